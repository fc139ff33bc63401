"""Features from an online store: what a data plane answers with that does not hold a feature state.

A view with ``by=`` columns has a space of the store, by its environment and by what it stores (its dataset,
keys, columns and windows): views that store the same share one. A space holds

- the key of a row: its slice of the index (:mod:`nenrin.features.slices`);
- ``state DIGEST``: that every key is there as in that feature state, or in a newer one;
- ``newest``: the state that was written last; ``progress``: how far the writing of which one is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from nenrin.core.digest import digest
from nenrin.core.errors import IntegrityError, UnavailableError
from nenrin.features import archive
from nenrin.features.by_row import RowFunction
from nenrin.features.entities import Entities, Lookup
from nenrin.features.index import ViewIndex
from nenrin.features.partitioned import PartitionedView
from nenrin.features.ports import OnlineStore
from nenrin.features.request import RequestColumn, physical_row
from nenrin.features.request_view import RequestView
from nenrin.features.service import Seen
from nenrin.features.slices import SliceReader
from nenrin.features.traced import Traced

_FORMAT = 2

_AnsweredHere = RequestView | RowFunction | PartitionedView
_ANSWERED_HERE: Mapping[str, type[_AnsweredHere]] = {
    kind.__name__: kind for kind in (RequestView, RowFunction, PartitionedView)
}


class _Stored(msgspec.Struct, frozen=True):
    """A feature state whose views are not read yet."""

    columns: tuple[RequestColumn, ...]
    views: tuple[tuple[str, str, memoryview], ...]
    rows: tuple[Entities, memoryview] | None = None

    @property
    def indexes(self) -> list[memoryview]:
        """What is read by key: views with ``by=`` columns, and the model's own rows."""
        views = [view for _, kind, view in self.views if kind == ViewIndex.__name__]
        return views if self.rows is None else [*views, self.rows[1]]


def space_of(environment: str, traced: Traced) -> str:
    """The space of a view. How old a row may be, and what is computed of it, are not stored."""
    columns = [list(each.items()) for each in (traced.by, traced.columns)]
    stored = [_FORMAT, traced.key, columns, traced.hop, msgspec.to_builtins(traced.windows)]
    return f"{environment}/{traced.dataset}/{digest(stored)[:16]}"


def state_key(state: str) -> bytes:
    """The entry that says that a feature state is all there."""
    return b"state " + state.encode()


def spaces(environment: str, path: Path) -> list[str]:
    """The spaces that a stored feature state needs.

    Raises:
        IntegrityError: the file is none.
    """
    return [space_of(environment, archive.header(each, Traced)) for each in _read(path).indexes]


def _read(path: Path) -> _Stored:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=_Stored)
    except msgspec.MsgspecError as error:
        raise IntegrityError(
            f"stored features cannot be read: {error}", hint="build them again: nenrin run"
        ) from error


class OnlineFeatures:
    """All features of a model, those of views with ``by=`` columns from an online store.

    Attributes:
        waits: whether there is such a view.

    Args:
        path: a stored feature state; of views with ``by=`` only their definition is kept in memory.
        store: where their values are.
        environment: whose.
        state: digest of the feature state.

    Raises:
        UnavailableError: the store does not answer, or does not hold the state.
        IntegrityError: the file is no feature state.
    """

    def __init__(self, path: Path, store: OnlineStore, environment: str, state: str) -> None:
        self._store = store
        self._state = state_key(state)
        stored = _read(path)
        self._columns = stored.columns
        self._parts = {name: _part(environment, kind, view) for name, kind, view in stored.views}
        self._by_key = stored.rows and (stored.rows[0], _online(environment, stored.rows[1]))
        self.waits = bool(stored.indexes)
        for each in stored.indexes:
            self._slices(_online(environment, each).space, [])

    passes = None
    unread = False

    def read(self) -> None:
        """Nothing: the rows are in the store."""

    def rows(self, raw: Sequence[Mapping[str, Any]], asked: Sequence[int]) -> list[dict[str, Any]]:
        """All features of n requests, as :meth:`FeatureSet.rows` has them.

        Raises:
            RequestError: a column is missing or wrong, or the instant is earlier than what is kept.
            UnavailableError: the store does not answer, or lost the state.
        """
        return self.seen(raw, asked).features

    def seen(
        self,
        raw: Sequence[Mapping[str, Any]],
        asked: Sequence[int],
        lookup: Lookup | None = None,
    ) -> Seen:
        """All features of n requests, as :meth:`FeatureSet.seen` has them.

        Raises:
            RequestError, UnknownKeyError, UnavailableError: as :meth:`rows` and :meth:`FeatureSet.seen`.
        """
        values, asked = self._completed(raw, asked, lookup)
        seen = Seen([{} for _ in values], [{} for _ in values], asked)
        for name, part in self._parts.items():
            if isinstance(part, _OnlineView):
                read = self._online(part, values, asked)
                for found, ages, (more, age) in zip(seen.features, seen.ages, read, strict=True):
                    found.update(more)
                    ages[name] = age
            else:
                for found, row, at in zip(seen.features, values, asked, strict=True):
                    found.update(part.row(row, at))
        return seen

    def _completed(
        self, raw: Sequence[Mapping[str, Any]], asked: Sequence[int], lookup: Lookup | None
    ) -> tuple[list[dict[str, Any]], Sequence[int]]:
        if self._by_key is None or lookup is None:
            return [physical_row(self._columns, row) for row in raw], asked
        entities, view = self._by_key
        return entities.completed(self._columns, raw, asked, lookup, partial(self._found, view))

    def _found(
        self, view: _OnlineView, keys: Sequence[Mapping[str, Any]], asked: Sequence[int]
    ) -> list[dict[str, Any] | None]:
        read = self._online(view, keys, asked)
        return [None if age is None else values for values, age in read]

    def _online(
        self, view: _OnlineView, values: Sequence[Mapping[str, Any]], asked: Sequence[int]
    ) -> Iterator[tuple[dict[str, Any], float | None]]:
        keys = list(map(view.reader.key, values, asked))
        wanted = list(dict.fromkeys(key for key in keys if key is not None))
        slices = self._slices(view.space, wanted) if wanted else {}
        for key, at in zip(keys, asked, strict=True):
            yield (
                (view.reader.nothing(), None) if key is None else view.reader.read(slices[key], at)
            )

    def _slices(self, space: str, keys: Sequence[bytes]) -> dict[bytes, bytes | None]:
        """The slices of keys; None for a key that the data does not have.

        Of a space that was emptied since, every key would be such a key: so it is looked at each time, in
        the same command, whether the state is there.
        """
        state, *found = self._store.get_many(space, [self._state, *keys])
        if state is None:
            raise UnavailableError(
                "the online store does not hold the feature state that is served",
                where=space,
                hint="`nenrin up` fills it, or nenrin run, with the same NENRIN_ONLINE",
            )
        return {key: each and each[1] for key, each in zip(keys, found, strict=True)}


class _OnlineView(msgspec.Struct, frozen=True):
    space: str
    reader: SliceReader


def _part(environment: str, kind: str, view: memoryview) -> _OnlineView | _AnsweredHere:
    if kind == ViewIndex.__name__:
        return _online(environment, view)
    return _ANSWERED_HERE[kind].loads(bytes(view))


def _online(environment: str, view: memoryview) -> _OnlineView:
    traced = archive.header(view, Traced)
    return _OnlineView(space_of(environment, traced), SliceReader(traced))
