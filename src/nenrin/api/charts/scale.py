"""From values to pixels: nice ticks for numbers, calendar ticks for days."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

POINTS = 2_000


def finite(values: Iterable[float | None]) -> list[float]:
    """The values that can be drawn."""
    return [value for value in values if value is not None and math.isfinite(value)]


def linear(domain: tuple[float, float], pixels: tuple[float, float], value: float) -> float:
    """Where ``value`` of ``domain`` lies between two pixel positions."""
    (low, high), (start, end) = domain, pixels
    return start + (value - low) / (high - low) * (end - start)


def extent(values: Iterable[float | None], *, pad: float = 0.06) -> tuple[float, float]:
    """Lowest and highest finite value with some room around; never empty."""
    drawn = finite(values) or [0.0, 1.0]
    low, high = min(drawn), max(drawn)
    room = (high - low) * pad or abs(high) * 0.1 or 1.0
    return low - room, high + room


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round numbers from ``low`` to ``high``: steps of 1, 2 or 5 times ten to n."""
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(each for each in (1, 2, 5, 10) if rough <= each * power * 1.0001)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def decimals(positions: Sequence[float]) -> int:
    """How many decimals tell neighbouring ticks apart."""
    if len(positions) < 2:
        return 2
    return max(0, -math.floor(math.log10(abs(positions[1] - positions[0])) + 1e-9))


def plain(values: Sequence[float]) -> list[str]:
    """Ticks as texts with equal decimals and a true minus sign."""
    places = decimals(values)
    return [f"{value + 0.0:,.{places}f}".replace("-", "−") for value in values]


def ordinal(moment: date) -> float:
    """Days since the year one, the hours of a ``datetime`` as a fraction."""
    if isinstance(moment, datetime):
        seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
        return moment.toordinal() + seconds / 86_400
    return float(moment.toordinal())


def day_ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    """Positions and names of months, weeks or days, at most about ``count`` of them.

    Args:
        low: first day as an ordinal.
        high: last day as an ordinal.
        count: how many labels there is room for.
    """
    span = high - low
    if span > 62:  # names of months are shorter than those of days
        return _month_ticks(low, high, math.ceil(span / 30.4 / count / 1.4))
    step = next(each for each in (1, 2, 7, 14, 28) if each == 28 or span / each <= count)
    first = date.fromordinal(math.ceil(low))
    if step >= 7:
        first += timedelta(days=-first.weekday() % 7)
    days = range(first.toordinal(), math.floor(high) + 1, step)
    return [(float(day), short(date.fromordinal(day))) for day in days]


def short(day: date) -> str:
    """A day as an axis names it: ``1 Apr``."""
    return f"{day.day} {day:%b}"


def _month_ticks(low: float, high: float, step: int) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    day = date.fromordinal(math.floor(low))
    index = day.year * 12 + day.month - 1 + (day.day > 1)
    while (first := date(index // 12, index % 12 + 1, 1)).toordinal() <= high:
        new_year = not found or first.year != date.fromordinal(int(found[-1][0])).year
        found.append((float(first.toordinal()), f"{first:%b %Y}" if new_year else f"{first:%b}"))
        index += step
    return found


def thin(
    x: Sequence[float], y: Sequence[float | None], limit: int = POINTS
) -> list[tuple[float, float | None]]:
    """At most ``limit`` points of a line: of each bucket the lowest and the highest value.

    Extremes survive, which means hide (Jugel et al., "M4: a visualization-oriented time series data
    aggregation", 2014, without the two end points).
    """
    points = list(zip(x, y, strict=True))
    if len(points) <= limit:
        return points
    size = math.ceil(len(points) / (limit // 2))
    kept: list[tuple[float, float | None]] = []
    for start in range(0, len(points), size):
        bucket = [point for point in points[start : start + size] if finite([point[1]])]
        if not bucket:
            kept.append((points[start][0], None))
            continue
        low = min(bucket, key=lambda point: point[1] or 0.0)
        high = max(bucket, key=lambda point: point[1] or 0.0)
        kept += sorted({low, high})
    return kept


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions moved apart to at least ``gap``, as little as possible, inside ``low`` to ``high``."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    placed = [0.0] * len(positions)
    below = low - gap
    for index in order:
        placed[index] = below = max(positions[index], below + gap)
    above = high + gap
    for index in reversed(order):
        placed[index] = above = min(placed[index], above - gap)
    return placed
