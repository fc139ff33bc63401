"""Data tests: is today like the days before it? One finding a cause, however many columns it moved.

A day is compared with the reference days as they were, worst day included, so that seasons,
weekdays and random day effects are known from the reference. Something must then be beyond twice
the worst of these days and a floor, and rarer than the error budget of all tests of the day
together: few rows alarm nobody. Days that were themselves found broken are no reference.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

import msgspec

from nenrin.core.instants import HOUR, spell
from nenrin.monitoring.alarms import Finding, Severity
from nenrin.monitoring.day_profile import DayProfile
from nenrin.stats.quantiles import beta_binomial_tail

REFERENCE_DAYS = 28
FEWEST_REFERENCE_DAYS = 7
ERROR_BUDGET = 0.01  # false alarms a day and dataset, over all columns
NULLS_FLOOR = 0.01
NULLS_PAGE = (1 - NULLS_FLOOR) / 2  # from here on twice as much and the floor is all there is
NEW_FLOOR = 0.005


class _Count(msgspec.Struct, frozen=True):
    hits: int
    rows: int

    @property
    def share(self) -> float:
        return self.hits / self.rows if self.rows else 0.0


def check_day(dataset: str, reference: Sequence[DayProfile], today: DayProfile) -> list[Finding]:
    """Everything about a day that the reference days do not explain.

    Args:
        dataset: the subject of the findings.
        reference: profiles of days before, in order; the last 28 are read, and fewer than seven
            say nothing.
        today: profile of a day that is over.
    """
    days = reference[-REFERENCE_DAYS:]
    if len(days) < FEWEST_REFERENCE_DAYS:
        return []
    nulls = _nulls(dataset, days, today)
    seen = set(nulls[0].columns) if nulls else set()
    return [
        *_volume(dataset, days, today),
        *nulls,
        *_new_values(dataset, days, today, seen),
        *_ranges(dataset, days, today, seen),
    ]


def reference_of(before: Sequence[DayProfile], broken: Collection[int]) -> Sequence[DayProfile]:
    """The days that others are compared with: without the broken, unless fewer than seven are left.

    So a fault is not measured against itself, and what stays for three weeks is usual from then on.

    Args:
        before: profiles of the 28 days before, in order.
        broken: numbers of the days of which a page was found.
    """
    sound = [day for day in before if day.day not in broken]
    return sound if len(sound) >= FEWEST_REFERENCE_DAYS else before


def check_freshness(dataset: str, reference: Sequence[DayProfile], now: int) -> list[Finding]:
    """Whether rows have stopped to come: nothing new for twice the longest silence, and an hour.

    Args:
        dataset: the subject of the finding.
        reference: profiles of days before, in order; the last 28 are read.
        now: business instant, microseconds UTC.
    """
    days = reference[-REFERENCE_DAYS:]
    if len(days) < FEWEST_REFERENCE_DAYS:
        return []
    silence, usual = now - days[-1].newest, max(day.gap for day in days)
    if silence <= 2 * usual + HOUR:
        return []
    text = f"no new row for {_spelled(silence)}; the longest silence so far was {_spelled(usual)}"
    numbers = {"silence": float(silence), "usual": float(usual)}
    return [_finding("freshness", dataset, text, numbers, severity="page")]


def no_rows(day: int, newest: int) -> DayProfile:
    """The profile of a day in which no row became known."""
    return DayProfile(day=day, rows=0, newest=newest, gap=0, nulls={}, numbers={}, values={})


def _volume(dataset: str, days: Sequence[DayProfile], today: DayProfile) -> list[Finding]:
    fewest, most = min(day.rows for day in days), max(day.rows for day in days)
    # Square roots of counts differ by chance with a standard deviation of one half: three of them.
    short = today.rows < fewest / 2 and math.sqrt(fewest) - math.sqrt(today.rows) > 1.5
    long = today.rows > most * 2 and math.sqrt(today.rows) - math.sqrt(most) > 1.5
    if not short and not long:
        return []
    text = f"{today.rows:,} rows; the days before had {fewest:,} to {most:,}"
    numbers = {"rows": float(today.rows), "fewest": float(fewest), "most": float(most)}
    severity: Severity = "page" if today.rows == 0 else "ticket"
    return [_finding("volume", dataset, text, numbers, severity=severity)]


def _nulls(dataset: str, days: Sequence[DayProfile], today: DayProfile) -> list[Finding]:
    counts = {
        name: (
            [_Count(day.nulls[name], day.rows) for day in days if name in day.nulls],
            _Count(hits, today.rows),
        )
        for name, hits in today.nulls.items()
    }
    moved = _bursts(counts, NULLS_FLOOR)
    if not moved:
        return []
    most = max(now for _, now in moved.values())
    severity: Severity = "page" if most >= NULLS_PAGE else "ticket"
    return [_of_shares("nulls", dataset, "nulls", moved, severity)]


def _new_values(
    dataset: str, days: Sequence[DayProfile], today: DayProfile, seen: set[str]
) -> list[Finding]:
    counts = {}
    for name, values in today.values.items():
        before = [day.values[name] for day in days if name in day.values]
        if name in seen or len(before) < len(days):
            continue
        days_with = _days_with(before)
        known = [_Count(_only_there(day, days_with), sum(day.values())) for day in before]
        new = sum(count for value, count in values.items() if value not in days_with)
        counts[name] = (known, _Count(new, sum(values.values())))
    moved = _bursts(counts, NEW_FLOOR)
    return [_of_shares("new values", dataset, "never seen values", moved)] if moved else []


def _days_with(days: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Number of days with each value."""
    found: dict[str, int] = {}
    for value in chain.from_iterable(days):
        found[value] = found.get(value, 0) + 1
    return found


def _only_there(day: Mapping[str, int], days_with: Mapping[str, int]) -> int:
    """Rows of a day with values of no other day: what was new then, the other days given."""
    return sum(count for value, count in day.items() if days_with[value] == 1)


def _ranges(
    dataset: str, days: Sequence[DayProfile], today: DayProfile, seen: set[str]
) -> list[Finding]:
    beyond: dict[str, float] = {}
    for name, middle in today.numbers.items():
        before = [day.numbers[name] for day in days if name in day.numbers]
        if name in seen or len(before) < FEWEST_REFERENCE_DAYS:
            continue
        least, greatest = min(day.least for day in before), max(day.greatest for day in before)
        width = greatest - least
        outside = max(least - middle.lower, middle.upper - greatest)
        if width > 0.0 and outside > width / 2:
            beyond[name] = outside / width
    if not beyond:
        return []
    columns = tuple(sorted(beyond, key=lambda name: (-beyond[name], name)))
    text = (
        f"{_listed(columns)}: a quarter of the rows lies outside all values of the days before, by "
        f"{beyond[columns[0]]:.1f} times their width"
    )
    return [_finding("range", dataset, text, beyond, columns=columns)]


def _bursts(
    counts: Mapping[str, tuple[Sequence[_Count], _Count]], floor: float
) -> dict[str, tuple[float, float]]:
    """Columns whose share of hits has burst, with the worst share before and the share now."""
    moved = {}
    for name, (before, now) in counts.items():
        worst = max((day.share for day in before), default=0.0)
        if now.share <= 2 * worst + floor:
            continue
        hits, rows = sum(day.hits for day in before), sum(day.rows for day in before)
        chance = beta_binomial_tail(now.hits, now.rows, hits + 0.5, rows - hits + 0.5)
        if chance < ERROR_BUDGET / len(counts):
            moved[name] = (worst, now.share)
    return moved


def _of_shares(
    kind: str,
    dataset: str,
    what: str,
    moved: Mapping[str, tuple[float, float]],
    severity: Severity = "ticket",
) -> Finding:
    columns = tuple(sorted(moved, key=lambda name: (moved[name][0] - moved[name][1], name)))
    worst, now = moved[columns[0]]
    text = f"{_listed(columns)}: {now:.1%} {what}; the worst of the days before had {worst:.1%}"
    numbers = {name: share for name, (_, share) in moved.items()}
    return _finding(kind, dataset, text, numbers, columns=columns, severity=severity)


def _finding(
    kind: str,
    dataset: str,
    text: str,
    numbers: Mapping[str, float],
    *,
    columns: tuple[str, ...] = (),
    severity: Severity = "ticket",
) -> Finding:
    return Finding(
        kind=kind,
        subject=dataset,
        columns=columns,
        severity=severity,
        text=f"{dataset}: {text}",
        numbers=dict(numbers),
    )


def _listed(columns: Sequence[str]) -> str:
    return columns[0] if len(columns) == 1 else f"{columns[0]} and {len(columns) - 1} more"


def _spelled(us: int) -> str:
    return spell(us - us % (60 * 1_000_000))
