"""Pruning: content that nothing names any more goes, and results of steps that can be computed again.

What versions, data, deployments, the ledger or any other record names stays, and what that names in turn.
Results of steps are a cache: those that are too old are let go of, or the oldest until the content fits into
a budget; the newest of each step always stays. Content of the last hour stays too: whoever wrote it may not
have named it yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from nenrin.core.named import reached
from nenrin.core.store import ContentStore
from nenrin.core.unit import Unit, Units

GRACE = 3600.0  # seconds in which content that nothing names is left alone
_STEPS = 16  # between letting go of no result and of all, when a budget has to be met


class Old(NamedTuple):
    """A result that could go: its key, and the instant (microseconds UTC) at which it was remembered."""

    key: str
    at: int


class Retained(Protocol):
    """What the state keeps of things that can be made again. Adapter: ``nenrin.backends.sql.pruning``."""

    def results(self) -> list[Old]:
        """Results that are not the newest of their step, oldest first."""
        ...

    def named(self, without: Sequence[str]) -> set[str]:
        """Every digest that the state names, the results of these keys left out."""
        ...

    def ended_jobs(self) -> int:
        """How many jobs are over."""
        ...

    def drop(self, unit: Unit, results: Sequence[str]) -> None:
        """Let go of results, and of the jobs that are over."""
        ...


class Waste(msgspec.Struct, frozen=True, kw_only=True):
    """What goes, or went.

    Attributes:
        blobs, bytes: content that nothing names.
        results: results of steps that can be computed again.
        jobs: records of jobs that are over.
        kept_blobs, kept_bytes: content that stays.
        over: bytes by which what has to stay is over the budget; 0 where it fits.
    """

    blobs: int
    bytes: int
    results: int
    jobs: int
    kept_blobs: int
    kept_bytes: int
    over: int = 0


class _Marked(NamedTuple):
    """The content that stays if these results go, and how much it is."""

    without: list[str]
    names: set[str]
    bytes: int


class Pruning:
    """Prunes one folder. To be used while nothing else writes to its state.

    Args:
        units, store: state and content.
        retained: what the state keeps of things that can be made again.
        epoch: seconds since 1970.
    """

    def __init__(
        self, units: Units, store: ContentStore, retained: Retained, epoch: Callable[[], float]
    ) -> None:
        self._units = units
        self._store = store
        self._retained = retained
        self._epoch = epoch

    def prune(
        self,
        environment: str,
        at: int,
        *,
        before: int | None = None,
        budget: int | None = None,
        dry_run: bool = False,
    ) -> Waste:
        """Let go of what is not needed.

        Args:
            environment: where it is recorded.
            at: business instant.
            before: results remembered earlier go (microseconds UTC); None: none for their age.
            budget: bytes that the content may have; None: any.
            dry_run: only say what would go.

        Raises:
            IntegrityError: content that more than results name has changed: what it names is not known.
        """
        blobs = list(self._store.blobs())
        sizes = {each.digest: each.size for each in blobs}
        marked = self._marked(sizes, before, budget)
        limit = self._epoch() - GRACE
        waste = [
            each.digest
            for each in blobs
            if each.digest not in marked.names and each.written < limit
        ]
        kept = sum(sizes.values()) - sum(sizes[digest] for digest in waste)
        found = Waste(
            blobs=len(waste),
            bytes=sum(sizes[digest] for digest in waste),
            results=len(marked.without),
            jobs=self._retained.ended_jobs(),
            kept_blobs=len(sizes) - len(waste),
            kept_bytes=kept,
            over=max(0, kept - budget) if budget is not None else 0,
        )
        if not dry_run and (found.blobs or found.results or found.jobs):
            # results first: a kill in between leaves content that nothing names, never the reverse
            with self._units.write(environment, at) as unit:
                self._retained.drop(unit, marked.without)
                unit.record("content.pruned", "store", msgspec.to_builtins(found))
            self._store.sweep(waste, limit)
        return found

    def _marked(self, sizes: dict[str, int], before: int | None, budget: int | None) -> _Marked:
        old = self._retained.results()
        needed = reached(self._retained.named([result.key for result in old]), self._store)
        aged = sum(1 for result in old if before is not None and result.at < before)
        marked = self._stays(sizes, needed, old, aged)
        for step in range(1, _STEPS + 1):
            if budget is None or marked.bytes <= budget:
                break
            count = aged + -(-(len(old) - aged) * step // _STEPS)
            if count > len(marked.without):
                marked = self._stays(sizes, needed, old, count)
        return marked

    def _stays(
        self, sizes: dict[str, int], needed: set[str], old: list[Old], count: int
    ) -> _Marked:
        without = [result.key for result in old[:count]]
        # a result that was damaged runs again where it is wanted: it need not name anything
        names = reached(self._retained.named(without), self._store, needed, lenient=True)
        return _Marked(without, names, sum(sizes.get(name, 0) for name in names))
