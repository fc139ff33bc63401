"""A few rows of plain values, kept by column: what a request holds, and what a model is asked about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    _Rows = Sequence[dict[str, Any]]
else:
    _Rows = object  # an abstract class would make every isinstance of it a slow one


class _LeftOut:
    """Stands in a column for a value that a row leaves out, to be looked up; a dict of the row lacks it."""

    def __repr__(self) -> str:
        return "left out"

    def __reduce__(self) -> str:
        return "LEFT_OUT"  # there is one in each process


LEFT_OUT = _LeftOut()


class Records(_Rows):
    """Rows by column. As a sequence they are dicts, made only when somebody asks for them.

    Args:
        columns: values by column name, one a row, all of one length; None: made of what is set below.
        size: how many rows.
        gaps: whether some values are ``LEFT_OUT``.

    Attributes:
        gaps: as given.
        of: whose columns these are, where they were picked; else None.
        names: the columns of ``block``, of ``tuples``, or those that were picked.
        nulls: columns beside them that were left out.
        block: float64 (rows, names), NaN for a null, where all that was sent are numbers; else None.
        tuples: plain values, one tuple a row, where they were sent so; else None.
        text: the JSON of these, as it came; empty where they are not all that came.
    """

    __slots__ = ("_columns", "_size", "block", "gaps", "names", "nulls", "of", "text", "tuples")

    def __init__(
        self, columns: Mapping[str, Sequence[Any]] | None, size: int, *, gaps: bool = False
    ) -> None:
        self.gaps = gaps
        self.of: Records | None = None
        self._columns = columns
        self._size = size
        self.nulls: tuple[str, ...] = ()
        self.names: tuple[str, ...] = ()
        self.block: np.ndarray | None = None
        self.tuples: list[tuple[Any, ...]] | None = None
        self.text = b""

    @classmethod
    def of_block(
        cls, names: tuple[str, ...], block: np.ndarray, nulls: tuple[str, ...] = ()
    ) -> Records:
        """Rows of numbers alone.

        Args:
            names: of the columns of ``block``.
            block: float64 (rows, names), NaN for a null.
            nulls: names of further columns, null in every row.
        """
        found = cls(None, len(block))
        found.nulls, found.names, found.block = nulls, names, block
        return found

    @classmethod
    def of_tuples(
        cls,
        names: tuple[str, ...],
        tuples: list[tuple[Any, ...]],
        nulls: tuple[str, ...] = (),
        text: bytes = b"",
    ) -> Records:
        """Rows as they were sent: a tuple each, its values in the order of ``names``.

        Args:
            names: of the values.
            tuples: a row each.
            nulls: names of further columns, null in every row.
            text: the JSON that they were read from: a list of lists.
        """
        found = cls(None, len(tuples))
        found.nulls, found.names, found.tuples, found.text = nulls, names, tuples, text
        return found

    @classmethod
    def of_dicts(cls, rows: Sequence[Mapping[str, Any]]) -> Records:
        """Rows from dicts; a name that one lacks is null there."""
        names = dict.fromkeys(name for row in rows for name in row)
        return cls({name: [row.get(name) for row in rows] for name in names}, len(rows))

    @classmethod
    def joined(cls, parts: Sequence[Records]) -> Records:
        """The rows of several requests of one signature, one after the other."""
        first = parts[0]
        if len(parts) == 1:
            return first
        if all(part.block is not None and part.names == first.names for part in parts):
            whole = np.concatenate([part.block for part in parts if part.block is not None])
            return cls.of_block(first.names, whole, first.nulls)
        if all(part.tuples is not None and part.names == first.names for part in parts):
            tuples = [row for part in parts for row in part.tuples or ()]
            texts = [part.text.strip() for part in parts]
            text = b"[%b]" % b",".join(each[1:-1] for each in texts) if all(texts) else b""
            return cls.of_tuples(first.names, tuples, first.nulls, text)
        columns = [part.columns for part in parts]
        names = dict.fromkeys(name for each in columns for name in each)
        together = {
            name: [
                value
                for each, part in zip(columns, parts, strict=True)
                for value in (each[name] if name in each else [None] * len(part))
            ]
            for name in names
        }
        return cls(together, sum(map(len, parts)), gaps=any(part.gaps for part in parts))

    def joins(self, other: Records) -> bool:
        """Whether both are kept alike, so that they are not kept otherwise once they are joined."""
        return (
            (self.names is other.names or self.names == other.names)
            and (self.block is None) == (other.block is None)
            and (self.tuples is None) == (other.tuples is None)
            and self.nulls == other.nulls
            and self.gaps == other.gaps
        )

    @property
    def columns(self) -> Mapping[str, Sequence[Any]]:
        """Plain values by column; a null is None."""
        if self._columns is None:
            self._columns = self._plain()
        return self._columns

    def matrix(self, names: tuple[str, ...]) -> np.ndarray | None:
        """float64 (rows, names), if all of these are columns of the block."""
        if self.block is None or names == self.names:
            return self.block
        places = {name: place for place, name in enumerate(self.names)}
        if not all(name in places for name in names):
            return None
        return self.block[:, [places[name] for name in names]]

    def pick(self, names: tuple[str, ...]) -> Records:
        """These columns alone."""
        matrix = self.matrix(names)
        if matrix is not None:
            picked = Records.of_block(names, matrix)
        else:
            picked = Records(None, self._size, gaps=self.gaps)
            picked.names = names
        picked.of = self
        return picked

    def take(self, places: Sequence[int]) -> Records:
        """The rows at ``places``, in that order."""
        if self.block is not None:
            return Records.of_block(self.names, self.block[list(places)], self.nulls)
        if self.tuples is not None:
            return Records.of_tuples(
                self.names, [self.tuples[place] for place in places], self.nulls
            )
        picked = {
            name: [values[place] for place in places] for name, values in self.columns.items()
        }
        return Records(picked, len(places), gaps=self.gaps)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            if self.block is not None:
                return Records.of_block(self.names, self.block[place], self.nulls)
            if self.tuples is not None:
                return Records.of_tuples(self.names, self.tuples[place], self.nulls)
            size = len(range(*place.indices(self._size)))
            cut = {name: each[place] for name, each in self.columns.items()}
            return Records(cut, size, gaps=self.gaps)
        if not -self._size <= place < self._size:
            raise IndexError(place)
        row = {name: values[place] for name, values in self.columns.items()}
        return _without_gaps(row) if self.gaps else row

    def __iter__(self) -> Iterator[dict[str, Any]]:
        columns = self.columns
        if not columns:
            return iter([{} for _ in range(self._size)])
        names = tuple(columns)
        rows = (dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True))
        return map(_without_gaps, rows) if self.gaps else rows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def _plain(self) -> dict[str, Sequence[Any]]:
        if self.block is None and self.of is not None:
            known = self.of.columns
            return {name: known[name] for name in self.names}
        nulls = {name: [None] * self._size for name in self.nulls}
        if self.tuples is not None:
            return {**nulls, **dict(zip(self.names, zip(*self.tuples, strict=True), strict=True))}
        assert self.block is not None
        values: list[list[float | None]] = self.block.T.tolist()
        if np.isnan(self.block).any():
            # a NaN is the one number that is not itself
            values = [[value if value == value else None for value in each] for each in values]
        return {**nulls, **dict(zip(self.names, values, strict=True))}


def _without_gaps(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not LEFT_OUT}


Sequence.register(Records)
