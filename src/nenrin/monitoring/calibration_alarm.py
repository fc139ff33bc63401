"""The calibration alarm: what was served is off on average, by more than days differ by chance."""

from __future__ import annotations

import msgspec
import numpy as np

from nenrin.core.figures import figure
from nenrin.monitoring.alarms import Finding
from nenrin.stats.intervals import day_mean_interval

DAYS = 7
STANDARD_ERRORS = 3.0
FLOOR = 0.02


class CalibrationFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What the last closed days say about the served predictions.

    Attributes:
        alarm: whether the bias is worth a look.
        mean: mean over days of the day's mean of (y - p); NaN without days.
        se: its standard error over days; infinite with fewer than three days.
        days: closed days with labels.
        floor: bias that is never worth an alarm.
    """

    alarm: bool
    mean: float
    se: float
    days: int
    floor: float

    def told(self, deployment: str) -> Finding:
        """The same for people and the ledger; a page, for it pulls a look forward."""
        off = f"predictions are off by {figure(self.mean, plus=True)} on average (se {figure(self.se)})"
        numbers = {"bias": self.mean, "se": self.se, "floor": self.floor, "days": float(self.days)}
        return Finding(
            kind="calibration", subject=deployment, severity="page", text=off, numbers=numbers
        )


def calibration_alarm(bias_days: np.ndarray, *, floor: float = FLOOR) -> CalibrationFinding:
    """Whether the bias of the last seven closed days is beyond three standard errors and the floor.

    Args:
        bias_days: day means of (y - p served), closed days in order, float64 of shape (days,); NaN
            for a day without labels. Only the last seven are read.
        floor: .02 for probabilities, a fifth of the label's standard deviation for a regression.

    >>> calibration_alarm(np.array([0.05, 0.06, 0.05, 0.04])).alarm
    True
    """
    recent = bias_days[-DAYS:]
    mean, se = day_mean_interval(recent)
    beyond = abs(mean) > STANDARD_ERRORS * se and abs(mean) > floor
    days = int(np.count_nonzero(~np.isnan(recent)))
    return CalibrationFinding(alarm=beyond, mean=mean, se=se, days=days, floor=floor)
