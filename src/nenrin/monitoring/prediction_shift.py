"""Prediction shift: the answers of the last days are distributed otherwise than those before them."""

from __future__ import annotations

import msgspec
import numpy as np

from nenrin.core.figures import figure
from nenrin.monitoring.alarms import Finding
from nenrin.stats.shift import COMPONENTS, compare_days

DAYS = 7
REFERENCE_DAYS = 28
FEWEST_REFERENCE_DAYS = 14
STANDARD_ERRORS = 4.0
FLOORS = {"location": 0.10, "scale": 0.12, "skew": 0.12, "tails": 0.12}
REACH = 56  # days before the newest in which the reference days lie
USUAL_AFTER = 28  # days after which what was new is no longer


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """How far one component has moved, in standard deviations, and its interval of four standard errors."""

    size: float
    low: float
    high: float

    @property
    def least(self) -> float:
        """The least size in the interval; 0 where it holds 0."""
        return max(self.low, -self.high, 0.0)


class ShiftFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What the answers of the last closed days say beside those of the days before them.

    Attributes:
        alarm: whether the shift is worth telling.
        days, reference: how many days were compared with how many.
        mean, mean_before: mean answer of both.
        effects: by component, ``location``, ``scale``, ``skew`` and ``tails``; none before there are
            enough days.
    """

    alarm: bool
    days: int
    reference: int
    mean: float = float("nan")
    mean_before: float = float("nan")
    effects: dict[str, Effect] = {}

    @property
    def moved(self) -> tuple[str, ...]:
        """Components whose interval lies beyond their floor, else those beyond 0; the farthest first."""
        beyond = [name for name, each in self.effects.items() if each.least > FLOORS[name]]
        found = beyond or [name for name, each in self.effects.items() if _still(name, each)]
        return tuple(sorted(found, key=lambda name: -self.effects[name].least / FLOORS[name]))

    def told(self, deployment: str, *, usual: bool = False) -> Finding:
        """The same for people and the ledger; a ticket, for it starts nothing by itself.

        ``usual``: the alarm has stood so long that it ends.
        """
        numbers = {"days": float(self.days), "reference": float(self.reference)}
        numbers |= {"mean": self.mean, "mean_before": self.mean_before}
        for name, each in self.effects.items():
            numbers |= {name: each.size, f"{name}_low": each.low, f"{name}_high": each.high}
        return Finding(
            kind="prediction shift",
            subject=deployment,
            text=self._said() + (f"; after {USUAL_AFTER} days this is usual" if usual else ""),
            numbers=numbers,
        )

    def _said(self) -> str:
        if not self.effects:
            return f"too few days to compare: {self.days} with {self.reference}"
        means = f"their mean is {figure(self.mean)}, before {figure(self.mean_before)}"
        if not self.moved:
            return f"the answers of the last {self.days} days are as before; {means}"
        each = self.effects[self.moved[0]]
        size, low, high = (figure(value, plus=True) for value in (each.size, each.low, each.high))
        return (
            f"the answers of the last {self.days} days have moved in {' and '.join(self.moved)} against "
            f"the {self.reference} days before, by {size} sd [{low}, {high}]; {means}"
        )


def prediction_shift(
    reference: np.ndarray, recent: np.ndarray, *, standing: bool = False
) -> ShiftFinding:
    """Whether the answers have moved by more than days differ by chance, and by more than a floor.

    An alarm opens where the whole interval of a component is beyond its floor. One that stands goes on
    while an effect is beyond its floor and its interval does not hold 0.

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
        name: Effect(size=size, low=size - STANDARD_ERRORS * se, high=size + STANDARD_ERRORS * se)
        for name, size, se in zip(COMPONENTS, *(each.tolist() for each in moved), strict=True)
    }
    opens = any(each.least > FLOORS[name] for name, each in effects.items())
    return ShiftFinding(
        alarm=opens or (standing and any(_still(name, each) for name, each in effects.items())),
        days=len(recent),
        reference=len(reference),
        mean=float(recent.mean()),
        mean_before=float(reference.mean()),
        effects=effects,
    )


def _still(name: str, effect: Effect) -> bool:
    return abs(effect.size) > FLOORS[name] and effect.least > 0.0


def shift_waits(days: int, reference: int) -> str:
    """What a comparison of so many days with so many before them waits for, for people; empty: nothing."""
    most = DAYS + FEWEST_REFERENCE_DAYS
    if days >= DAYS and reference >= FEWEST_REFERENCE_DAYS:
        return ""
    return f"{days + reference} of {most} closed days"
