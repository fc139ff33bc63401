"""How modules are imported where time or memory counts: without garbage, late, for one thread."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import RLock
from types import ModuleType
from typing import Any

ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "POLARS_MAX_THREADS",
    ),
    "1",
)
"""Variables that libraries read when they are imported. Two threads on shared cores burn more than one does,
for one spins while it waits for the other, and sums over threads differ from run to run.
"""


@contextmanager
def importing() -> Iterator[None]:
    """Within the block nothing is collected; what is there at its end is not looked at again.

    Imports leave no garbage, and looking for it takes a seventh of their time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.freeze()
            gc.enable()


def postpone(name: str) -> None:
    """Have ``import name`` cost nothing in this process until something of the module is asked for.

    For a library that many modules import and few processes need. One that is imported already stays.
    """
    if name not in sys.modules:
        sys.modules[name] = _Postponed(name)


class _Postponed(ModuleType):
    """Stands for a module, and becomes a copy of it. (``importlib.util.LazyLoader`` is no matter for
    threads before Python 3.12.)
    """

    _importing = RLock()

    def __getattr__(self, name: str) -> Any:
        with self._importing:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
            module = import_module(self.__name__)
            vars(self).update(vars(module))
        return getattr(module, name)
