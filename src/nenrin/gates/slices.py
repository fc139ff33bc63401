"""Slices: whether a challenger that is no worse on the whole hurts some part of the rows.

Each slice is judged by its day means, like the whole, and the family of slices by Holm's procedure
("A Simple Sequentially Rejective Multiple Test Procedure", 1979): a hundred slices that differ by
chance raise one false alarm in twenty runs, not five in each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np

from nenrin.stats.quantiles import t_tail

FEWEST_ROWS = 500
FEWEST_DAYS = 7
FAMILY_ERROR = 0.05
MOST_VALUES = 50
FLOOR = 0.02  # nat; a fifth of the watch's clip for other losses


class SliceColumn(NamedTuple):
    """What cuts rows into slices: int codes of shape (rows,), -1 for none, and their names."""

    codes: np.ndarray
    names: tuple[str, ...]


class SliceResult(msgspec.Struct, frozen=True, kw_only=True):
    """How much more the challenger loses in one slice.

    Attributes:
        column: the column that cuts.
        value: the slice's value.
        rows: labelled rows in it.
        days: closed days with rows in it.
        mean: mean over days of the day's mean of (loss of the challenger - loss of the champion).
        se: its standard error over days.
        worse: whether the harm is significant over all slices together, and above the floor.
    """

    column: str
    value: str
    rows: int
    days: int
    mean: float
    se: float
    worse: bool


def ranges(values: np.ndarray, parts: int = 4) -> SliceColumn:
    """Cut a numeric column, shape (rows,), into ranges of as many rows each; NaN is in none."""
    known = ~np.isnan(values)
    if not known.any():
        return SliceColumn(np.full(len(values), -1), ())
    inner = np.unique(np.quantile(values[known], np.arange(1, parts) / parts))
    codes = np.where(known, np.searchsorted(inner, values, side="left"), -1)
    ends = ["-inf", *(f"{edge:g}" for edge in inner), "inf"]
    names = tuple(f"({low}, {high}]" for low, high in pairwise(ends))
    return SliceColumn(codes, names)


def compare_slices(
    columns: Mapping[str, SliceColumn],
    days: np.ndarray,
    e: np.ndarray,
    *,
    floor: float = FLOOR,
    fewest_rows: int = FEWEST_ROWS,
) -> tuple[SliceResult, ...]:
    """Compare in every slice that has enough rows and days.

    Args:
        columns: what cuts the rows; columns with more than fifty values cut into nothing that can
            be judged and are left out.
        days: number of each row's closed day, int64 of shape (rows,).
        e: each row's loss of the challenger - loss of the champion; NaN for a row without a label.
        floor: harm that nobody minds.
        fewest_rows: a slice with fewer labelled rows is not judged.

    Returns:
        one result a slice, by column and value in the order given.
    """
    labelled = ~np.isnan(e)
    day = np.unique(days[labelled], return_inverse=True)[1]
    found = []
    for name, column in columns.items():
        if len(column.names) <= MOST_VALUES:
            found += _column(name, column, labelled, day, e[labelled], fewest_rows)
    return _judged(found, floor)


def _column(
    name: str,
    column: SliceColumn,
    labelled: np.ndarray,
    day: np.ndarray,
    e: np.ndarray,
    fewest_rows: int,
) -> list[SliceResult]:
    codes = column.codes[labelled].astype(np.int64)
    width = int(day.max(initial=-1)) + 1
    cell = (codes * width + day)[codes >= 0]
    size = len(column.names) * width
    shape = (len(column.names), width)
    rows = np.bincount(cell, minlength=size).reshape(shape)
    sums = np.bincount(cell, weights=e[codes >= 0], minlength=size).reshape(shape)
    found = []
    for value, counts, totals in zip(column.names, rows, sums, strict=True):
        used = counts > 0
        present = int(np.count_nonzero(used))
        if counts.sum() < fewest_rows or present < FEWEST_DAYS:
            continue
        means = totals[used] / counts[used]
        found.append(
            SliceResult(
                column=name,
                value=value,
                rows=int(counts.sum()),
                days=present,
                mean=float(means.mean()),
                se=float(means.std(ddof=1)) / float(np.sqrt(present)),
                worse=False,
            )
        )
    return found


def _judged(found: Sequence[SliceResult], floor: float) -> tuple[SliceResult, ...]:
    chances = [_chance(result) for result in found]
    worse: set[int] = set()
    for rank, at in enumerate(sorted(range(len(found)), key=lambda at: (chances[at], at))):
        if chances[at] > FAMILY_ERROR / (len(found) - rank):
            break
        worse.add(at)
    return tuple(
        msgspec.structs.replace(result, worse=at in worse and result.mean > floor)
        for at, result in enumerate(found)
    )


def _chance(result: SliceResult) -> float:
    """Chance of so much harm in a slice that is not hurt."""
    if result.se == 0.0:
        return 0.0 if result.mean > 0.0 else 1.0
    return t_tail(result.mean / result.se, result.days - 1)
