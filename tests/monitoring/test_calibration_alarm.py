"""The calibration alarm: beyond three standard errors and beyond the floor, on seven days."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nenrin.monitoring.calibration_alarm import calibration_alarm

STEADY = np.array([0.05, 0.06, 0.05, 0.04, 0.05, 0.06, 0.04])


def test_a_lasting_bias_alarms_in_both_directions():
    for days in (STEADY, -STEADY):
        found = calibration_alarm(days)
        assert found.alarm
        assert found.mean == pytest.approx(days.mean())
        assert found.days == 7


def test_a_bias_within_the_floor_or_within_chance_does_not():
    assert not calibration_alarm(STEADY / 3).alarm
    assert not calibration_alarm(STEADY, floor=0.06).alarm
    assert not calibration_alarm(np.array([0.3, -0.2, 0.1, 0.2, -0.1, 0.2, 0.1])).alarm


def test_only_the_last_seven_days_are_read():
    assert calibration_alarm(np.append(np.zeros(50), STEADY)).alarm
    assert not calibration_alarm(np.append(STEADY, np.zeros(7))).alarm


def test_fewer_than_three_days_do_not_alarm():
    found = calibration_alarm(np.array([np.nan] * 5 + [0.5, 0.5]))
    assert not found.alarm
    assert (found.days, found.se) == (2, math.inf)
    assert not calibration_alarm(np.empty(0)).alarm


def test_calibrated_predictions_whose_days_differ_seldom_alarm():
    random = np.random.default_rng(0)
    weeks = random.normal(scale=0.05, size=(2_000, 7))
    # Three standard errors of seven days: Student's t with 6 degrees of freedom, 2.4 %.
    assert sum(calibration_alarm(week).alarm for week in weeks) <= 0.035 * 2_000
