"""Pickles of models: equal bytes for equal models, and the project's own code carried within.

cloudpickle names classes by a drawn id and code by its path; both are taken out here. A class that is
read twice is two classes then, as two versions of a project's code should be.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import cloudpickle


def dumps(value: Any, project: Path | None = None) -> bytes:
    """``value`` as a pickle.

    Args:
        value: anything that cloudpickle takes.
        project: folder whose modules are carried in the pickle, so that it can be read without them.
    """
    out = io.BytesIO()
    with _by_value(project):
        _Pickler(out, protocol=5).dump(value)
    return out.getvalue()


def loads(data: bytes) -> Any:
    """What was pickled. Runs code that is in the pickle."""
    return cloudpickle.loads(data)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def reducer_override(self, value: Any) -> Any:
        """How ``value`` is pickled, without what differs from process to process."""
        if isinstance(value, CodeType):
            named = value.replace(co_filename=Path(value.co_filename).name)
            return self.dispatch_table[CodeType](named)
        reduced = super().reducer_override(value)
        if not isinstance(reduced, tuple):
            return reduced
        function, arguments, *rest = reduced
        if isinstance(value, FunctionType):
            # The globals that its functions share; cloudpickle's own dict, not the module's.
            for shared in arguments:
                if isinstance(shared, dict) and isinstance(shared.get("__file__"), str):
                    shared["__file__"] = Path(shared["__file__"]).name
        if isinstance(value, type):
            arguments = tuple(None if _drawn(each) else each for each in arguments)
        return (function, arguments, *rest)


def _drawn(argument: object) -> bool:
    """Whether an argument of a class' constructor is cloudpickle's id of it, a UUID's 32 digits."""
    return (
        isinstance(argument, str)
        and len(argument) == 32
        and not set(argument) - set("0123456789abcdef")
    )


@contextmanager
def _by_value(project: Path | None) -> Iterator[None]:
    own = [] if project is None else [m for m in sys.modules.copy().values() if _within(m, project)]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)


def _within(module: Any, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    named = sys.modules.get(getattr(module, "__name__", "")) is module
    return named and isinstance(file, str) and Path(file).is_relative_to(folder)
