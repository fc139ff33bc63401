"""nenrin: the MLOps platform that closes the loop.

The words of a project file, as ``import nenrin as nr`` gives them. Each is loaded when it is first
used (PEP 562), so that importing nenrin costs next to nothing; ``__init__.pyi`` tells type checkers
the same.
"""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "NenrinError": "nenrin.core.errors",
    "choice": "nenrin.training.spaces",
    "container": "nenrin.training.declare",
    "cron": "nenrin.loop.declare",
    "dataset": "nenrin.data.declare",
    "deployment": "nenrin.loop.declare",
    "every": "nenrin.loop.declare",
    "feature_view": "nenrin.features.declare",
    "file": "nenrin.data.declare",
    "floats": "nenrin.training.spaces",
    "history": "nenrin.loop.declare",
    "import_model": "nenrin.training.declare",
    "integers": "nenrin.training.spaces",
    "map": "nenrin.project.steps",
    "model": "nenrin.training.declare",
    "predictor": "nenrin.training.declare",
    "remote": "nenrin.training.declare",
    "resources": "nenrin.pipelines.needs",
    "samples": "nenrin.data.samples",
    "score": "nenrin.project.scores",
    "step": "nenrin.project.steps",
    "trailing": "nenrin.loop.declare",
    "value": "nenrin.loop.worth",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'nenrin' has no attribute {name!r}")
    module = import_module(home)
    word = module if home.endswith(f".{name}") else getattr(module, name)
    globals()[name] = word
    return word


def __dir__() -> list[str]:
    return __all__
