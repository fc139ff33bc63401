"""Recalibration: fitted on what was answered, judged by days that it had not seen, used while it gains."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from nenrin.core.instants import HOUR
from nenrin.loop.closing import close_block
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.ports import Step
from nenrin.loop.recalibrating import FIT_DAYS
from nenrin.loop.state import State
from nenrin.stats.platt import Platt, fit_platt
from tests.loop.world import BEGIN, SETTLE, Told, day_mean, lines, row_table, sound, stand

TABLE, X = row_table(110, 200)
FIRST = BEGIN + timedelta(days=30)


def lived(answers: np.ndarray, **more: Any) -> Deployed:
    """One version, serving from the morning of the thirtieth day on; no look comes."""
    options = Options(watching=False, cooldown=10**18, **more)
    return stand(
        TABLE,
        Told({"h-0": answers}),
        [("h-0", "history", FIRST)],
        look=FIRST + timedelta(days=1),
        champion="h-0",
        options=options,
    )


def close(found: Deployed, days: int) -> list[dict[str, Any]]:
    """Close so many days; what the ledger was told of each."""
    steps, end = [], found.state.next_day + days
    while found.state.next_day < end:
        step = Step(at=found.ground.closing(found.state.next_block, SETTLE))
        close_block(found, step.at, step)
        steps.append(step)
    return [body for step in steps for body in lines(step, "day.closed")]


def test_sound_answers_stay_as_they_are() -> None:
    found = lived(sound(X))
    bodies = close(found, 40)
    used = [body["recalibration"] for body in bodies]
    assert used.count(None) >= 0.8 * len(used)  # one-sided 5 %, looked at day by day


def test_answers_that_are_off_go_through_the_newest_one_when_it_has_gained() -> None:
    found = lived(sound(X, 0.9))
    bodies = close(found, 40)
    first = next(n for n, body in enumerate(bodies) if body["recalibration"])
    assert first >= 8  # a gain needs eight days, and the first day has no recalibration before it
    assert all(body["recalibration"] for body in bodies[first:])
    lo, hi = found.ground.rows_between(found.state.segments[-1].start, TABLE.asked[-1])
    raw, answers = (found.served(lo, hi, raw=raw).p for raw in (True, False))
    np.testing.assert_array_equal(raw, sound(X, 0.9)[lo:hi])
    np.testing.assert_allclose(answers, found.state.recalibration.apply(raw))
    assert np.mean(np.abs(answers - sound(X)[lo:hi])) < 0.3 * np.mean(np.abs(raw - sound(X)[lo:hi]))
    assert bodies[-1]["loss"] < day_mean(found, sound(X, 0.9), found.state.next_day - 1)
    assert State.loads(found.state.dumps()) == found.state


def test_it_is_fitted_on_the_last_fourteen_closed_days_before_recalibration() -> None:
    found = lived(sound(X, 0.9))
    close(found, 30)
    day = found.state.next_day - 1
    ys, ps = [], []
    for each in range(day + 1 - FIT_DAYS, day + 1):
        lo, hi = found.ground.day_rows(each)
        closing = found.ground.day_start(each + 1) + SETTLE
        known = TABLE.answered[lo:hi] <= closing
        ys.append(TABLE.y[lo:hi][known])
        ps.append(sound(X, 0.9)[lo:hi][known])
    expected = fit_platt(np.concatenate(ys), np.concatenate(ps))
    at, newest = found.state.candidates[-1]
    assert at == found.ground.day_start(day + 1) + SETTLE
    assert (newest.a, newest.b) == pytest.approx((expected.a, expected.b))


def test_a_days_gain_is_that_of_the_one_before_it_began() -> None:
    found = lived(sound(X, 0.9))
    close(found, 12)
    day = found.state.next_day
    begun = found.ground.day_start(day)
    then = [platt for at, platt in found.state.candidates if at <= begun][-1]
    close(found, 1)
    p = sound(X, 0.9)
    gain = day_mean(found, p, day) - day_mean(found, then.apply(p), day)
    assert found.state.gains[day] == pytest.approx(gain)
    assert len(found.state.candidates) <= 4  # what no day needs any more is forgotten


def test_labels_that_come_late_wait_for_their_day() -> None:
    found = lived(sound(X, 0.9))
    found.state.settle = 5 * 24 * HOUR
    found.state.candidates = []
    bodies = close(found, 30)
    day = found.state.next_day - 1
    assert found.state.gains.keys() >= {day}
    assert [body["recalibration"] for body in bodies[:8]] == [None] * 8


def test_it_can_be_left_out() -> None:
    found = lived(sound(X, 0.9), recalibrating=False)
    assert all("recalibration" not in body for body in close(found, 20))
    assert found.state.recalibration is None


def test_the_route_says_what_answers_go_through() -> None:
    found = lived(sound(X, 0.9))
    close(found, 20)
    starts = [segment.start for segment in found.state.segments]
    assert starts == sorted(starts)
    last = found.state.segments[-1]
    assert isinstance(last.recalibration, Platt)
    assert last.variants == (("h-0", 100),)
