"""The first sign after a fault, and what faults cost."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from nenrin.core.instants import DAY, HOUR, iso, local_midnight
from nenrin.loop.backtest import Played
from nenrin.loop.noticed import costs, sentences, signs
from nenrin.loop.ports import Step

ZONE = "America/New_York"
BEGIN = local_midnight(date(2013, 7, 29), ZONE)
FAULT = ("null_burst:temp:2013-07-29", "2013-07-29")
BROKEN = {"checks": [{"text": "weather: temp: 80% nulls"}]}
NULLS = {"text": "weather: temp: 80% nulls"}
BIAS = {"text": "predictions are off by +0.05 on average (se 0.01)"}


def played(*events: tuple[int, str, str, dict[str, Any]]) -> Played:
    steps = []
    for at, kind, subject, body in events:
        step = Step(at=at)
        step.record(kind, subject, body)
        steps.append(step)
    return Played(lo=0, hi=0, answers=[], artefacts={}, segments={}, steps=steps)


def test_the_first_sign_counts() -> None:
    found = signs(
        played(
            (BEGIN - DAY, "alarm.opened", "calibration", BIAS),
            (BEGIN + HOUR, "day.closed", "2013-07-28", {}),
            (BEGIN + 52 * HOUR, "alarm.opened", "weather nulls", NULLS),
            (BEGIN + 52 * HOUR, "look.blocked", "delay", BROKEN),
        ),
        [FAULT],
        ZONE,
        [],
    )
    assert found == [
        {
            "fault": FAULT[0],
            "begins": iso(BEGIN),
            "noticed": iso(BEGIN + 52 * HOUR),
            "hours": 52.0,
            "by": "alarm.opened",
            "subject": "weather nulls",
            "text": "weather: temp: 80% nulls",
        }
    ]
    (said,) = sentences(found, {})
    assert said.startswith(
        f"{FAULT[0]}: first noticed 52 h after it began, by alarm.opened of weather nulls"
    )


def test_what_the_undisturbed_window_says_too_is_no_sign() -> None:
    alarm = (BEGIN + DAY, "alarm.opened", "calibration", BIAS)
    usual = [{"at": iso(BEGIN + DAY), "kind": "alarm", "text": "", "version": "calibration"}]
    (found,) = signs(played(alarm), [FAULT], ZONE, usual)
    assert found["noticed"] is None
    assert sentences([found], {}) == [f"{FAULT[0]} was not noticed."]
    later = [{**usual[0], "at": iso(BEGIN + 2 * DAY)}]
    assert signs(played(alarm), [FAULT], ZONE, later)[0]["hours"] == 24.0


def test_costs_are_against_the_same_policy_undisturbed() -> None:
    totals = {"loop": {"rmse": 1.5}, "weekly_all": {"rmse": 3.0}, "new": {"rmse": 9.0}}
    found = costs(totals, {"loop": {"rmse": 1.0}, "weekly_all": {"rmse": 1.0}}, "rmse")
    assert found == pytest.approx({"loop": 0.5, "weekly_all": 2.0})
    (said,) = sentences([], found)
    assert "cost the loop +0.5000 a row, and weekly all +2.000" in said
    (nothing,) = sentences([], {"loop": 0.0, "weekly_all": 0.0})
    assert nothing.endswith("it changed no policy's loss.")
