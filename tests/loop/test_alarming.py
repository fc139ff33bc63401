"""Alarms of a deployment: prediction shift opens one, is updated and resolved, and decides nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from nenrin.core.errors import NotFoundError
from nenrin.core.instants import local_midnight
from nenrin.loop.alarming import told_alarms, watch_data
from nenrin.loop.closing import close_block
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.ports import Step
from nenrin.loop.state import Segment, State
from nenrin.monitoring import prediction_shift
from nenrin.monitoring.alarms import Finding
from tests.loop.world import BEGIN, SETTLE, ZONE, Told, row_table, sound, stand

DAYS = 110
TABLE, X = row_table(DAYS, 100)
FITTED = [("h-0", "history", BEGIN + timedelta(days=9))]
FIRST, END = 60, 75  # days of other answers


def between(first: int, end: int) -> np.ndarray:
    """Which rows were asked in these days."""
    begins, ends = (local_midnight(BEGIN + timedelta(days=day), ZONE) for day in (first, end))
    inside: np.ndarray = (TABLE.asked >= begins) & (TABLE.asked < ends)
    return inside


def spread_out() -> np.ndarray:
    """Answers that for two weeks are farther from their middle: as right on average, and shifted."""
    p, rows = sound(X), between(FIRST, END)
    p[rows] = sound(X * 3, 0.0)[rows]
    return p


def lived(answers: np.ndarray) -> Deployed:
    """One version that serves from the morning of day 9 on."""
    options = Options(recalibrating=False)
    look = BEGIN + timedelta(days=10)
    return stand(TABLE, Told({"h-0": answers}), FITTED, look=look, champion="h-0", options=options)


def close(deployed: Deployed, until: int) -> list[Step]:
    """Close the blocks of the days before ``until``."""
    steps = []
    while deployed.state.next_day < until:
        step = Step(at=deployed.ground.closing(deployed.state.next_block, SETTLE))
        close_block(deployed, step.at, step)
        steps.append(step)
    return steps


def told(steps: list[Step], kind: str, subject: str) -> list[tuple[int, dict[str, Any]]]:
    lines = [(step.at, line) for step in steps for line in step.lines]
    return [(at, line.body) for at, line in lines if (line.kind, line.subject) == (kind, subject)]


def test_a_shift_is_one_alarm_that_is_updated_and_resolved() -> None:
    deployed = lived(spread_out())
    steps = close(deployed, DAYS - 1)
    ((opened, first),) = told(steps, "alarm.opened", "prediction shift")
    ((resolved, last),) = told(steps, "alarm.resolved", "prediction shift")
    updated = told(steps, "alarm.updated", "prediction shift")
    start = deployed.ground.day_start
    assert start(FIRST + 1) <= opened < start(FIRST + 7) + SETTLE
    assert start(END) < resolved <= start(END + 7) + SETTLE
    assert [body["seen"] for _, body in updated] == list(range(2, 2 + len(updated)))
    closed = [deployed.ground.day_at(at - SETTLE - 1) for at in (opened, resolved)]
    assert len(updated) == closed[1] - closed[0] - 1
    assert (first["kind"], first["severity"]) == ("prediction shift", "ticket")
    assert first["numbers"]["tails"] - 4 * first["numbers"]["tails_se"] > 0.12
    assert (first["numbers"]["days"], first["numbers"]["reference"]) == (7, 28)
    assert last["numbers"]["scale"] < first["numbers"]["scale"]
    assert deployed.state.alarms == []


def test_it_pulls_no_look_and_changes_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed, blind = lived(spread_out()), lived(spread_out())
    steps = close(deployed, FIRST + 10)
    (alarm,) = told_alarms(deployed.state)["alarms"]
    assert (alarm["cause"], alarm["severity"]) == ("prediction shift", "ticket")
    assert "have moved against the 28 days before, in scale by +" in alarm["text"]
    monkeypatch.setattr(prediction_shift, "FLOORS", dict.fromkeys(prediction_shift.FLOORS, np.inf))
    others = [line for step in close(blind, FIRST + 10) for line in step.lines]
    lines = [line for step in steps for line in step.lines]
    assert others == [line for line in lines if line.subject != "prediction shift"]
    blind.state.alarms, blind.state.shifts = deployed.state.alarms, deployed.state.shifts
    assert blind.state == deployed.state


def test_healthy_answers_open_none() -> None:
    assert not told(close(lived(sound(X)), DAYS - 1), "alarm.opened", "prediction shift")


def test_a_loop_that_is_opened_anew_each_day_says_the_same() -> None:
    whole = [step.lines for step in close(lived(spread_out()), FIRST + 10)]
    state, pieces = lived(spread_out()).state, []
    for day in range(state.next_day + 1, FIRST + 11):
        deployed = lived(spread_out())
        deployed.state = State.loads(state.dumps())
        pieces += [step.lines for step in close(deployed, day)]
        state = deployed.state
    assert pieces == whole


def test_rows_that_are_yet_to_come_change_nothing() -> None:
    p = spread_out()
    later = p.copy()
    later[between(FIRST + 5, DAYS)] = 0.5
    cut = [step.lines for step in close(lived(later), FIRST + 5)]
    assert cut == [step.lines for step in close(lived(p), FIRST + 5)]


def test_before_there_are_21_whole_days_it_waits_and_says_so() -> None:
    deployed = lived(spread_out())
    assert told_alarms(deployed.state) == {"alarms": [], "shift_waits": ""}
    # the first day is served from the morning on, and no whole day
    deployed.state.segments = [Segment(deployed.ground.day_start(FIRST - 19) + 1, (("h-0", 100),))]
    close(deployed, FIRST - 18)
    assert told_alarms(deployed.state)["shift_waits"] == "0 of 21 closed days"
    steps = close(deployed, FIRST + 2)
    assert told_alarms(deployed.state)["shift_waits"] == "20 of 21 closed days"
    assert not told(steps, "alarm.opened", "prediction shift")
    close(deployed, FIRST + 3)
    assert told_alarms(deployed.state)["shift_waits"] == ""


def test_days_that_nothing_can_answer_any_more_are_passed_over() -> None:
    p = sound(X)
    p[between(20, 50)] = np.nan
    deployed = lived(p)
    close(deployed, 60)
    assert deployed.state.compared == (7, 13)  # of days 10 to 19 and 50 to 59


def test_a_former_model_that_cannot_be_read_any_more_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployed = lived(sound(X))
    state, start = deployed.state, deployed.ground.day_start
    state.artefacts["h-1"] = msgspec.structs.replace(
        state.artefacts["h-0"], version="h-1", model="h-1"
    )
    state.segments = [Segment(start(10), (("h-0", 100),)), Segment(start(40), (("h-1", 100),))]
    trainer = Told({"h-1": sound(X)})

    def scorable(model: str) -> bool:
        if model not in trainer.answers:
            raise NotFoundError(f"{model} is gone")
        return True

    monkeypatch.setattr(trainer, "scorable", scorable)
    state.next_day, state.next_block = 60, deployed.ground.block_at(start(60))
    deployed = stand(
        TABLE,
        trainer,
        FITTED,
        look=BEGIN + timedelta(days=10),
        champion="h-0",
        options=Options(recalibrating=False),
    )
    deployed.state = state
    steps = close(deployed, 62)
    assert len([line for step in steps for line in step.lines if line.kind == "day.closed"]) == 2
    assert state.compared == (7, 15)  # of days 40 to 61


@pytest.mark.parametrize("severity", ["ticket", "page"])
def test_alarms_of_data_are_one_a_cause_and_dataset_and_leave_the_others(severity: Any) -> None:
    deployed = lived(spread_out())
    close(deployed, FIRST + 10)
    (shift,) = deployed.state.alarms

    def found(kind: str, subject: str) -> Finding:
        return Finding(kind=kind, subject=subject, severity=severity, text=f"{subject} {kind}")

    kinds = ("freshness", "volume", "nulls", "new values", "range")
    causes = [found(kind, subject) for subject in ("flights", "weather") for kind in kinds]
    opened, updated, resolved = (Step(at=shift.opened + n) for n in range(3))
    watch_data(deployed, [*causes, *causes], opened.at, opened)
    assert [(e.kind, e.subject) for e in opened.lines] == [
        ("alarm.opened", f"{each.subject} {each.kind}") for each in causes
    ]
    watch_data(deployed, causes[1:], updated.at, updated)
    assert [e.kind for e in updated.lines] == ["alarm.updated"] * 9 + ["alarm.resolved"]
    watch_data(deployed, [], resolved.at, resolved)
    assert {(e.kind, e.body["seen"]) for e in resolved.lines} == {("alarm.resolved", 2)}
    assert deployed.state.alarms == [shift]
