"""Keys of rows as small numbers: equal keys, equal numbers; a null key equals nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from nenrin.features.arrays import Ints
from nenrin.features.kinds import Kind, physical


class KeyTable:
    """The different keys of a frame, numbered in the order of their first appearance.

    Keys compare as physical values: integers of any width and sign as 64-bit integers, exactly.
    """

    def __init__(self, columns: Mapping[str, Kind], keys: pl.DataFrame) -> None:
        self.columns = dict(columns)
        self.keys = keys

    @classmethod
    def of(cls, columns: Mapping[str, Kind], frame: pl.DataFrame) -> KeyTable:
        """The keys without nulls that ``frame`` holds in ``columns``."""
        keys = physical(frame, columns).drop_nulls().unique(maintain_order=True)
        return cls(columns, keys)

    def __len__(self) -> int:
        return self.keys.height

    def numbers(self, frame: pl.DataFrame) -> Ints:
        """The number of every row's key, int64; -1 where it is unknown, or a part of it is null."""
        numbered = self.keys.with_columns(
            pl.int_range(pl.len(), dtype=pl.Int64).alias("__number__")
        )
        names = list(self.columns)
        found = physical(frame, self.columns).join(
            numbered, on=names, how="left", nulls_equal=False, maintain_order="left"
        )
        return found["__number__"].fill_null(-1).to_numpy()

    def number(self, key: Sequence[Any]) -> int:
        """The number of one key, given in the order of the columns; -1 as above."""
        return self.of_one.get(key[0] if len(self.columns) == 1 else tuple(key), -1)

    @cached_property
    def of_one(self) -> Mapping[Any, int]:
        """The numbers by key, made when one is asked for."""
        return {row: i for i, row in enumerate(self._rows())}

    def _rows(self) -> Iterable[Any]:
        """The keys in order; of one column the plain values, which take a third of the memory of tuples."""
        one = len(self.columns) == 1
        return self.keys.to_series().to_list() if one else self.keys.iter_rows()


def repeated(frame: pl.DataFrame, columns: Sequence[str]) -> Ints | None:
    """Equal numbers for rows that are equal in ``columns``, int64; None if no two rows are."""
    if not columns or not frame.select(columns).is_duplicated().any():
        return None
    ranks = frame.select(pl.struct(columns).rank("dense").cast(pl.Int64).alias("__same__"))
    return np.asarray(ranks["__same__"].to_numpy())
