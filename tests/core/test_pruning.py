"""What pruning keeps, against a plain walk over random graphs of content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.pruning import GRACE, Old, Pruning
from nenrin.core.store import Blob
from nenrin.core.unit import Unit
from nenrin.testing.stores import MemoryStore, MemoryUnits

NOW = 1e9


class Dated(MemoryStore):
    """A store whose content was put at instants of one's choice."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[str, float] = {}

    def blobs(self) -> Iterator[Blob]:
        for each in super().blobs():
            yield each._replace(written=self.at.get(each.digest, 0.0))


class Retained:
    """Records that name content, and results that may go, in lists."""

    def __init__(self, records: list[str], results: list[tuple[str, int, str]]) -> None:
        self.records = records
        self.kept = {key: (at, digest) for key, at, digest in results}
        self.dropped_jobs = 0

    def results(self) -> list[Old]:
        old = [Old(key, at) for key, (at, _) in self.kept.items()]
        return sorted(old, key=lambda result: (result.at, result.key))

    def named(self, without: Sequence[str]) -> set[str]:
        results = {digest for key, (_, digest) in self.kept.items() if key not in set(without)}
        return {*self.records, *results}

    def ended_jobs(self) -> int:
        return 3

    def drop(self, unit: Unit, results: Sequence[str]) -> None:
        self.dropped_jobs += 3
        for key in results:
            del self.kept[key]


@st.composite
def folders(draw: st.DrawFn) -> tuple[Dated, list[str], dict[str, set[str]]]:
    """A store, its digests, and what each names: blobs name some of those put before them."""
    store, digests, names = Dated(), list[str](), dict[str, set[str]]()
    for number in range(draw(st.integers(1, 12))):
        named = draw(st.lists(st.sampled_from(digests), max_size=3)) if digests else []
        digest = store.put(msgspec.json.encode([number, "x" * number, named]))
        store.at[digest] = draw(st.sampled_from([0.0, NOW - GRACE / 2]))
        digests.append(digest)
        names[digest] = set(named)
    return store, digests, names


def _reached(roots: set[str], names: dict[str, set[str]]) -> set[str]:
    found = set(roots)
    while more := {other for name in found for other in names[name]} - found:
        found |= more
    return found


@given(folders(), st.data())
def test_what_is_named_stays_and_the_rest_goes(
    folder: tuple[Dated, list[str], dict[str, set[str]]], data: st.DataObject
) -> None:
    store, digests, names = folder
    one = st.sampled_from(digests)
    records = data.draw(st.lists(one, max_size=2))
    outputs = data.draw(st.lists(st.tuples(st.integers(0, 9), one), max_size=5))
    results = [(f"key {n}", at, digest) for n, (at, digest) in enumerate(outputs)]
    before = data.draw(st.none() | st.integers(0, 10))
    budget = data.draw(st.none() | st.integers(0, 500))
    retained = Retained(records, results)
    units = MemoryUnits()
    pruning = Pruning(units, store, retained, lambda: NOW)
    said = pruning.prune("dev", 7, before=before, budget=budget, dry_run=True)
    assert list(store.digests()) == sorted(digests)
    assert len(retained.kept) == len(results)
    assert pruning.prune("dev", 7, before=before, budget=budget) == said

    left = set(store.digests())
    roots = {*records, *(digest for _, digest in retained.kept.values())}
    wanted = _reached(roots, names)
    young = {digest for digest in digests if store.at[digest] > 0}
    assert left == wanted | young
    assert said.kept_blobs == len(left)
    assert said.kept_bytes == sum(store.size(digest) for digest in left)
    gone = {key for key, _, _ in results} - set(retained.kept)
    assert {key for key, at, _ in results if before is not None and at < before} <= gone
    if budget is None:
        assert all(at < (before or 0) for key, at, _ in results if key in gone)
    elif sum(store.size(digest) for digest in wanted) > budget:
        assert retained.kept == {}  # nothing more can go
    oldest_first = sorted(results, key=lambda result: (result[1], result[0]))
    assert [key for key, _, _ in oldest_first[: len(gone)]] == [
        key for key, _, _ in oldest_first if key in gone
    ]
    events: list[Any] = [event.kind for event in units.events("dev")]
    assert events == ["content.pruned"]
