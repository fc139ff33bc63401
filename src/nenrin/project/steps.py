"""``nr.step``: a step of one's own in the graph. A parameter's name is the edge."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from nenrin.core.errors import ProjectError


class StepSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A declared step: its name, the names of the nodes it reads, and ``file:line``."""

    name: str
    inputs: tuple[str, ...]
    where: str


class Step:
    """A declared step. Calling it calls the function."""

    def __init__(self, function: Callable[..., Any], declared: StepSpec) -> None:
        self.function = function
        self.declared = declared

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function gives."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<step {self.declared.name}>"


def step(function: Callable[..., Any]) -> Step:
    """Make the decorated function a step of the graph.

    Its parameters name what it reads: a dataset (a polars frame), a model (its newest version, which has
    ``predict``), or another step (what that returned).

    Raises:
        ProjectError: it has ``*args`` or ``**kwargs``: an edge needs a name.
    """
    code = inspect.unwrap(function).__code__
    where = f"{code.co_filename}:{code.co_firstlineno}"
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        raise ProjectError(
            f"step {function.__name__} has *args or **kwargs",
            hint="name what it reads: def report(delay, flights)",
            where=where,
        )
    inputs = tuple(parameter.name for parameter in parameters)
    return Step(function, StepSpec(name=function.__name__, inputs=inputs, where=where))
