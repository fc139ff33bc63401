"""Leases: of several processes that could do something by themselves, one does.

A lease saves work, it does not guard it: a process that was frozen for a while may wake up believing that it
still holds one. What it then decides is refused where it is written (:func:`nenrin.loop.journal.keep`).
One that is merely cut off knows: by its own clock it gives up a lease before others can have it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

LEASE = 15.0  # seconds after which a holder that gives no sign of life has lost its lease


Ours = Callable[[], bool]
"""Whether a lease is ours at this moment."""


class Leases(Protocol):
    """Gives out leases. Adapter: ``nenrin.backends.sql.leases``."""

    def hold(self, name: str) -> AbstractContextManager[Ours]:
        """Whether the lease ``name`` is ours; if so it is kept up as long as the block lasts.

        A block that takes long asks again before it does what others may be doing by then. The lease stays
        ours for :data:`LEASE` seconds after the block, so that one process goes on with what it has begun.
        """
        ...

    def close(self) -> None:
        """Let go of every lease."""
        ...


class Alone:
    """Leases where one process writes: whoever holds the folder's lock holds them all."""

    def hold(self, name: str) -> AbstractContextManager[Ours]:
        """Ours."""
        return nullcontext(lambda: True)

    def close(self) -> None:
        """Nothing is kept anywhere."""
