"""Brings feature states into an online store: what changed only, again and again without harm.

An entry's version is the place of its feature state among all that were ever served (the sequence of the
event that named it first): a later state is over more data, and its entries win whoever writes last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

import msgspec
import numpy as np

from nenrin.core.errors import IntegrityError, NotFoundError
from nenrin.core.instants import DAY
from nenrin.core.store import ContentStore
from nenrin.features.arrays import NO_INSTANT, Ints
from nenrin.features.changes import changed
from nenrin.features.index import ViewIndex
from nenrin.features.online import space_of, spaces, state_key
from nenrin.features.ports import Entry, OnlineStore
from nenrin.features.service import FeatureSet
from nenrin.features.slices import key_bytes, slices

KEPT = DAY
"""How far before the end of a view's dataset an instant may lie that a store answers, microseconds."""

_NEWEST, _PROGRESS = b"newest", b"progress"
_BATCH = 1_000  # keys
_COUNT_BITS = 32


class Progress(Protocol):
    """Told how far the writing is."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` keys of the view ``note`` are written."""
        ...


class Materialiser:
    """Writes the feature states of one folder.

    A space goes on from the state that was written last: only keys that answer otherwise are written. It is
    emptied and begun anew when that state is unknown here (another folder wrote it, or it was pruned), or
    when keys are gone; until it is full again it answers nobody.

    Args:
        store: where to.
        content: where the feature states are.
    """

    def __init__(self, store: OnlineStore, content: ContentStore) -> None:
        self._store = store
        self._content = content
        self._spaces: dict[tuple[str, str], list[str]] = {}

    def bring(
        self,
        environment: str,
        states: Iterable[str],
        places: Callable[[], Mapping[str, int]],
        ends: Mapping[str, int],
        progress: Progress | None = None,
    ) -> int:
        """Write those states that the store does not hold; how many keys were written.

        Args:
            environment: whose they are.
            states: their digests.
            places: gives the place of each among all states of the environment, from 1 on. One whose event is
                not sealed yet has none, and is left for the next time.
            ends: by dataset, the instant that most questions will not lie before, microseconds: the newest at
                which something of it became known, or earlier.
            progress: told how far it is.

        Raises:
            UnavailableError: the store does not answer. What is written stays, and is not written again.
        """
        missing = {state for state in states if self._lacks(environment, state)}
        if not missing:
            return 0
        order = places()
        return sum(
            self._put(environment, state, order[state], ends, progress)
            for state in sorted(missing & order.keys(), key=lambda state: order[state])
        )

    def _lacks(self, environment: str, state: str) -> bool:
        if (environment, state) not in self._spaces:
            self._spaces[environment, state] = spaces(environment, self._content.file(state))
        return any(
            self._store.get_many(space, [state_key(state)]) == [None]
            for space in self._spaces[environment, state]
        )

    def _put(
        self,
        environment: str,
        state: str,
        place: int,
        ends: Mapping[str, int],
        progress: Progress | None,
    ) -> int:
        written = 0
        features = FeatureSet.loads(self._content.get(state))
        own = features.by_key and features.by_key[1]
        for name, index in features.indexes.items():
            writing = _Writing(
                space=space_of(environment, index.traced),
                index=index,
                state=state.encode(),
                place=place,
                # of the model's own rows all versions are kept: they are few, and looked up at any instant
                since=NO_INSTANT if index is own else _since(index, ends),
                told=partial(progress, "online", note=name) if progress else None,
            )
            written += self._put_view(writing, environment)
            self._store.put_newer(writing.space, [(state_key(state), place, b"")])
        return written

    def _put_view(self, writing: _Writing, environment: str) -> int:
        space = writing.space
        newest, begun = self._store.get_many(space, [_NEWEST, _PROGRESS])
        before = None if newest is None else self._written(environment, space, newest[1])
        if newest is not None and before is not None and newest[0] >= writing.place:
            return 0  # a later state is there
        keys = None if before is None else changed(before, writing.index)
        # what was begun from another state was another list of keys
        note = writing.state if newest is None else newest[1] + b" " + writing.state
        first = writing.begun(begun, note)
        if keys is None:
            keys = np.arange(len(writing.index.keys))
            if newest is not None or (begun is not None and first is None):
                self._store.drop(space)
                note, first = writing.state, None
        if first is None:
            first = 0
            self._store.put_newer(space, [(_PROGRESS, writing.step(0), note)])
        for start in range(first, keys.size, _BATCH):
            self._store.put_newer(space, writing.entries(keys[start : start + _BATCH]))
            done = min(start + _BATCH, keys.size)
            self._store.put_newer(space, [(_PROGRESS, writing.step(done), note)])
            if writing.told:
                writing.told(done, keys.size)
        self._store.put_newer(space, [(_NEWEST, writing.place, writing.state)])
        return keys.size - first

    def _written(self, environment: str, space: str, state: bytes) -> ViewIndex | None:
        """The index that a space was written from; None: it is not known here."""
        try:
            stored = self._content.get(state.decode())
        except (NotFoundError, IntegrityError):
            return None
        found = FeatureSet.loads(stored).indexes.values()
        return next((each for each in found if space_of(environment, each.traced) == space), None)


class _Writing(msgspec.Struct, frozen=True, kw_only=True):
    """One view of one state, on its way into its space."""

    space: str
    index: ViewIndex
    state: bytes
    place: int
    since: int
    told: Callable[[int, int], None] | None

    def entries(self, keys: Ints) -> list[Entry]:
        """The entries of some keys."""
        names = self.index.keys.keys[keys].iter_rows()
        found = slices(self.index, keys, self.since)
        return [(key_bytes(key), self.place, kept) for key, kept in zip(names, found, strict=True)]

    def step(self, done: int) -> int:
        """The version of the note that so many keys are written."""
        return (self.place << _COUNT_BITS) + done

    def begun(self, found: tuple[int, bytes] | None, note: bytes) -> int | None:
        """How many keys an earlier process had written, if what it left is this note; else None."""
        if found is None or found[1] != note or found[0] >> _COUNT_BITS != self.place:
            return None
        return found[0] - self.step(0)


def _since(index: ViewIndex, ends: Mapping[str, int]) -> int:
    return ends.get(index.traced.dataset, min(ends.values(), default=0)) - KEPT
