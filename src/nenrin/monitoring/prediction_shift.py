"""Prediction shift: the answers of the last days are distributed otherwise than those before them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from nenrin.core.figures import figure
from nenrin.monitoring.alarms import Finding
from nenrin.stats.shift import COMPONENTS, POINTS, compare_days

DAYS = 7
REFERENCE_DAYS = 28
FEWEST_REFERENCE_DAYS = 14
REACH = 56  # days before the newest in which the reference days lie
OPENS, STAYS = 4.0, 2.0  # standard errors
FLOORS = {"location": 0.10, "scale": 0.12, "skew": 0.12, "tails": 0.12}
USUAL_AFTER = 28  # days after which what was new is no longer


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """How far one component has moved, in standard deviations, and the standard error of that."""

    size: float
    se: float

    def least(self, errors: float) -> float:
        """The least size within so many standard errors; below 0 where they reach across 0."""
        return abs(self.size) - errors * self.se


class ShiftFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What the answers of the last closed days say beside those of the days before them.

    Attributes:
        alarm: whether the shift is worth telling.
        usual: whether it was told for so long that it is no longer.
        days, reference: how many days were compared with how many.
        mean, mean_before: mean answer of both, days weighing the same.
        effects: by component, ``location``, ``scale``, ``skew`` and ``tails``; none before there are
            enough days.
    """

    alarm: bool
    usual: bool = False
    days: int
    reference: int
    mean: float = float("nan")
    mean_before: float = float("nan")
    effects: dict[str, Effect] = {}

    def told(self, deployment: str) -> Finding:
        """The same for people and the ledger; a ticket, for it starts nothing by itself."""
        numbers = {"days": float(self.days), "reference": float(self.reference)}
        numbers |= {"mean": self.mean, "mean_before": self.mean_before}
        for name, each in self.effects.items():
            numbers |= {name: each.size, f"{name}_se": each.se}
        return Finding(
            kind="prediction shift",
            subject=deployment,
            text=self._said(),
            numbers=numbers,
        )

    def _said(self) -> str:
        if not self.effects:
            return f"too few days to compare: {self.days} with {self.reference}"
        means = f"their mean is {figure(self.mean)}, before {figure(self.mean_before)}"
        which = f"the answers of the last {self.days} days"
        if self.usual:
            return f"{which} are as they were for {USUAL_AFTER} days, which is usual now; {means}"
        if not self.alarm:
            return f"{which} have not moved by more than days differ by; {means}"
        beyond = {name: each.least(OPENS) - FLOORS[name] for name, each in self.effects.items()}
        first = (
            name for name in beyond if beyond[name] > 0.0
        )  # a moved location moves the others too
        name = next(first, max(beyond, key=lambda name: beyond[name]))
        size, error = self.effects[name].size, OPENS * self.effects[name].se
        low, high = figure(size - error, plus=True), figure(size + error, plus=True)
        return (
            f"{which} have moved against the {self.reference} days before, in {name} by "
            f"{figure(size, plus=True)} sd [{low}, {high}]; {means}"
        )


class Shifts(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered from day to day.

    Attributes:
        since: number of the day at whose closing the open alarm opened; None without one.
        covered: days that an alarm covers or covered, in order: no reference for others, so that neither a
            shift nor its end is measured against itself.
    """

    since: int | None = None
    covered: tuple[int, ...] = ()


def follow(shifts: Shifts, points: Mapping[int, np.ndarray]) -> tuple[Shifts, ShiftFinding]:
    """What a day's closing finds, and what is remembered from then on.

    The newest seven days are compared with the 28 newest of the eight weeks before them that no alarm
    covers. An alarm that has stood for 28 days ends, and its days become reference.

    Args:
        shifts: what was remembered.
        points: of the closed days with answers (:func:`nenrin.stats.shift.day_points`), by the day's
            number, in order; the newest has just closed.
    """
    days = list(points)
    recent = days[-DAYS:]
    first = recent[0] if recent else 0
    covered = tuple(day for day in shifts.covered if day >= first - REACH)
    before = [day for day in days[:-DAYS] if day >= first - REACH and day not in covered]
    found = prediction_shift(
        _stacked(points, before[-REFERENCE_DAYS:]),
        _stacked(points, recent),
        standing=shifts.since is not None,
    )
    if not found.alarm:
        return Shifts(covered=covered), found
    if shifts.since is None:
        return Shifts(since=recent[-1], covered=_joined(covered, recent)), found
    if recent[-1] - shifts.since >= USUAL_AFTER:
        return Shifts(), msgspec.structs.replace(found, alarm=False, usual=True)
    return Shifts(since=shifts.since, covered=_joined(covered, recent[-1:])), found


def prediction_shift(
    reference: np.ndarray, recent: np.ndarray, *, standing: bool = False
) -> ShiftFinding:
    """Whether the answers have moved by more than days differ by chance, and by more than a floor.

    An alarm opens where a component's whole interval of four standard errors is beyond its floor. One
    that stands goes on while a component is beyond its floor and two standard errors.

    Args:
        reference: points of the days before (:func:`nenrin.stats.shift.day_points`), float64 (days, 100).
        recent: points of the newest days, float64 (days, 100); says nothing with fewer than seven of
            these, or fewer than 14 of the others.
        standing: whether an alarm is open.
    """
    if len(reference) < FEWEST_REFERENCE_DAYS or len(recent) < DAYS:
        return ShiftFinding(alarm=False, days=len(recent), reference=len(reference))
    moved = compare_days(reference, recent)
    effects = {
        name: Effect(size=size, se=se)
        for name, size, se in zip(COMPONENTS, *(each.tolist() for each in moved), strict=True)
    }
    return ShiftFinding(
        alarm=any(_beyond(name, each, standing) for name, each in effects.items()),
        days=len(recent),
        reference=len(reference),
        mean=float(recent.mean()),
        mean_before=float(reference.mean()),
        effects=effects,
    )


def _beyond(name: str, effect: Effect, standing: bool) -> bool:
    if effect.least(OPENS) > FLOORS[name]:
        return True
    return standing and abs(effect.size) > FLOORS[name] and effect.least(STAYS) > 0.0


def _stacked(points: Mapping[int, np.ndarray], days: list[int]) -> np.ndarray:
    return np.stack([points[day] for day in days]) if days else np.empty((0, POINTS))


def _joined(covered: tuple[int, ...], days: list[int]) -> tuple[int, ...]:
    return tuple(sorted({*covered, *days}))


def shift_waits(days: int, reference: int) -> str:
    """What a comparison of so many days with so many before them waits for, for people; empty: nothing."""
    most = DAYS + FEWEST_REFERENCE_DAYS
    if days >= DAYS and reference >= FEWEST_REFERENCE_DAYS:
        return ""
    return f"{days + reference} of {most} closed days"
