"""The rules of docs/features.md in plain Python, one row at a time: slow, and easy to believe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]
ALWAYS = float("-inf")


def known_of(row: Row) -> float:
    return ALWAYS if row["__known__"] is None else row["__known__"]


def visible(row: Row, by: Sequence[str], key: Sequence[Any], asked: int) -> bool:
    """R2, R5, R9: equal keys without nulls, an event that has happened, and was known."""
    if None in key or [row[name] for name in by] != list(key) or row["__event__"] is None:
        return False
    return row["__event__"] <= asked and known_of(row) <= asked


def newest(
    rows: Sequence[Row], by: Sequence[str], key: Sequence[Any], asked: int | None, ttl: int | None
) -> Row | None:
    """R2-R5, R9: the newest event, then the newest known, then the later in order; not too old."""
    if asked is None:
        return None
    found = [row for row in rows if visible(row, by, key, asked)]
    if not found:
        return None
    best = max(
        enumerate(found), key=lambda pair: (pair[1]["__event__"], known_of(pair[1]), pair[0])
    )[1]
    return None if ttl is not None and asked - best["__event__"] > ttl else best


def in_window(
    rows: Sequence[Row],
    identity: Sequence[str],
    by: Sequence[str],
    key: Sequence[Any],
    asked: int,
    span: int,
    hop: int,
) -> list[Row]:
    """The events of a window: of each event its newest version known at ``asked``, if it lies inside."""
    current: dict[Any, Row] = {}
    for number, row in enumerate(rows):
        name = tuple(row[column] for column in identity) if identity else number
        if known_of(row) > asked:
            continue
        if name not in current or known_of(row) >= known_of(current[name]):
            current[name] = row
    start = (asked - span) // hop * hop
    return [
        row
        for row in current.values()
        if visible(row, by, key, asked) and row["__event__"] >= start
    ]


def count(events: Sequence[Row], value: Callable[[Row], Any] | None = None) -> int:
    return sum(1 for row in events if value is None or value(row) is not None)


def total(events: Sequence[Row], value: Callable[[Row], Any]) -> Any:
    return sum(value(row) for row in events if value(row) is not None)


def mean(events: Sequence[Row], value: Callable[[Row], Any]) -> float | None:
    seen = count(events, value)
    return float(total(events, value)) / seen if seen else None
