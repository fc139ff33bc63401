"""Recalibration as a challenger: what it would have gained on closed days decides whether it is used.

When a day closes, the answers of the last 14 closed days are recalibrated anew (:mod:`nenrin.stats.platt`).
A day's gain is that of the recalibration that was the newest when the day began, so no day is judged by what
has seen it. Answers go through the newest one as long as the gain over 28 closed days is significant.
"""

from __future__ import annotations

import numpy as np

from nenrin.core.instants import DAY
from nenrin.loop.deployed import Deployed
from nenrin.stats.platt import Platt, fit_platt, gains

FIT_DAYS = 14
GAIN_DAYS = 28


def recalibrate(deployed: Deployed, day: int, at: int) -> None:
    """Judge the recalibration of ``day``, which has just closed at ``at``, and fit the next one."""
    state = deployed.state
    recent = range(day + 1 - GAIN_DAYS, day + 1)
    kept = {each: gain for each, gain in state.gains.items() if each in recent}
    gain = _gain(deployed, day)
    state.gains = {**kept, day: gain} if np.isfinite(gain) else kept
    newest = _fitted(deployed, range(max(0, day + 1 - FIT_DAYS), day + 1))
    needed = [each for each in state.candidates if each[0] > at - 2 * DAY - state.settle]
    state.candidates = [*needed, (at, newest)]
    shown = gains(np.array([state.gains.get(each, np.nan) for each in recent]))
    state.recalibration = newest if shown else None


def _gain(deployed: Deployed, day: int) -> float:
    """What the newest recalibration that there was when a day began would have gained on it; NaN without."""
    ground, begun = deployed.ground, deployed.ground.day_start(day)
    then = next((p for at, p in reversed(deployed.state.candidates) if at <= begun), None)
    if then is None:
        return float("nan")
    p = deployed.served(*ground.day_rows(day), raw=True).p
    settle = deployed.state.settle
    return ground.day_mean(p, day, settle) - ground.day_mean(then.apply(p), day, settle)


def _fitted(deployed: Deployed, days: range) -> Platt:
    """The recalibration of what was answered on some closed days, with the labels known at their closings."""
    ground, settle = deployed.ground, deployed.state.settle
    p = deployed.served(*ground.day_rows(days.start, days.stop), raw=True).p
    y = np.concatenate(
        [ground.labels(*ground.day_rows(day), ground.day_closing(day, settle)) for day in days]
    )
    known = np.isfinite(y) & np.isfinite(p)
    return fit_platt(y[known], p[known])
