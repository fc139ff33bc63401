"""Closing: every day is scored once, with the labels known then; alarms, tickets and ends of watches."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from nenrin.core.instants import DAY, HOUR, NEVER, local_midnight
from nenrin.loop.closing import close_block
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.ports import Step
from nenrin.loop.state import Segment
from nenrin.loop.watching import open_watch
from nenrin.loop.worth import Value
from tests.loop.world import (
    BEGIN,
    SETTLE,
    ZONE,
    Told,
    day_mean,
    row_table,
    sound,
    stand,
    table_of,
)

DAYS = 95
TABLE, X = row_table(DAYS, 150)
LOOK = BEGIN + timedelta(days=30)
OLD = [("h-0", "history", BEGIN + timedelta(days=29))]


def lived(answers: np.ndarray, **more: Any) -> Deployed:
    """One version, serving from the morning of the thirtieth day on, as it is."""
    more = {"options": Options(recalibrating=False), **more}
    return stand(TABLE, Told({"h-0": answers}), OLD, look=LOOK, champion="h-0", **more)


def close(deployed: Deployed, days: int) -> list[Step]:
    """Close the blocks of so many days."""
    steps, end = [], deployed.state.next_day + days
    while deployed.state.next_day < end:
        at = deployed.ground.closing(deployed.state.next_block, deployed.state.settle)
        step = Step(at=at)
        close_block(deployed, at, step)
        steps.append(step)
    return steps


def told(steps: list[Step], kind: str) -> list[tuple[int, str, dict[str, Any]]]:
    return [(s.at, line.subject, line.body) for s in steps for line in s.lines if line.kind == kind]


def test_a_day_closes_with_its_last_block_and_the_labels_known_then() -> None:
    deployed = lived(sound(X))
    first = deployed.state.next_day
    found = told(close(deployed, 5), "day.closed")
    assert [day for _, day, _ in found] == [
        (BEGIN + timedelta(days=29 + n)).isoformat() for n in range(5)
    ]
    for number, (at, day, body) in enumerate(found, start=first):
        begins, ends = (local_midnight(BEGIN + timedelta(days=number + n), ZONE) for n in (0, 1))
        assert at == ends + SETTLE
        rows = np.flatnonzero((TABLE.asked >= begins) & (TABLE.asked < ends))
        served = rows[TABLE.asked[rows] >= deployed.state.segments[0].start]
        assert body["rows"] == len(rows)
        assert body["labelled"] == np.count_nonzero(TABLE.answered[served] <= at)
        assert body["versions"] == ["h-0"]
        if number > first:  # the first was answered in part
            assert body["loss"] == pytest.approx(day_mean(deployed, sound(X), number)), day


def test_days_before_the_first_answer_are_not_scored() -> None:
    deployed = lived(sound(X))
    deployed.state.segments = [Segment(deployed.ground.day_start(40), (("h-0", 100),))]
    found = told(close(deployed, 12), "day.closed")
    assert [day for _, day, _ in found] == [(BEGIN + timedelta(days=40)).isoformat()]


def test_a_days_digests_cover_every_bit_of_its_answers_and_labels() -> None:
    (_, _, before), *_ = told(close(lived(sound(X)), 3)[8:], "day.closed")
    row = int(np.flatnonzero(TABLE.asked >= local_midnight(BEGIN + timedelta(days=30), ZONE))[0])
    p = sound(X)
    p[row] = np.nextafter(p[row], 1)
    (_, _, other), *_ = told(close(lived(p), 3)[8:], "day.closed")
    assert other["predictions"] != before["predictions"]
    assert other["labels"] == before["labels"]
    p[row + 1_000] = 0.5  # another day's
    (_, _, same), *_ = told(close(lived(p), 3)[8:], "day.closed")
    assert same == other
    y = TABLE.y.copy()
    y[row] = 1 - y[row]
    flipped = table_of(TABLE.asked, TABLE.answered, y)
    deployed = stand(flipped, Told({"h-0": sound(X)}), OLD, look=LOOK, champion="h-0")
    (_, _, last), *_ = told(close(deployed, 3)[8:], "day.closed")
    assert last["labels"] != before["labels"]
    assert last["predictions"] == before["predictions"]


def biases(deployed: Deployed, p: np.ndarray, first: int, end: int) -> list[float]:
    """Day means of (label - answer), in plain Python."""
    found = []
    for day in range(first, end):
        lo, hi = np.searchsorted(
            TABLE.asked, [deployed.ground.day_start(day), deployed.ground.day_start(day + 1)]
        )
        closing = deployed.ground.day_start(day + 1) + SETTLE
        lo = max(lo, int(np.searchsorted(TABLE.asked, deployed.state.segments[0].start)))
        known = [r for r in range(lo, hi) if TABLE.answered[r] <= closing]
        found.append(sum(TABLE.y[r] - p[r] for r in known) / len(known))
    return found


def test_bias_beyond_three_errors_and_two_hundredths_opens_and_resolves_an_alarm() -> None:
    p = sound(X)
    week = (TABLE.asked >= local_midnight(BEGIN + timedelta(days=45), ZONE)) & (
        TABLE.asked < local_midnight(BEGIN + timedelta(days=53), ZONE)
    )
    p[week] = sound(X, 0.7)[week]
    deployed = lived(p)
    first = deployed.state.next_day
    steps = close(deployed, 40)
    rest = biases(deployed, p, first, first + 40)
    opened, resolved, alarm = [], [], False
    for n in range(40):
        last = rest[max(0, n - 6) : n + 1]
        mean = sum(last) / len(last)
        se = float(np.std(last, ddof=1)) / len(last) ** 0.5 if len(last) >= 3 else np.inf
        beyond = abs(mean) > 3 * se and abs(mean) > 0.02
        at = deployed.ground.day_start(first + n + 1) + SETTLE
        opened += [(at, pytest.approx(mean))] if beyond and not alarm else []
        resolved += [(at, pytest.approx(mean))] if alarm and not beyond else []
        alarm = beyond
    assert opened
    assert resolved
    found = told(steps, "alarm.opened")
    found = [each for each in told(steps, "alarm.opened") if each[1] == "calibration"]
    assert [(at, body["numbers"]["bias"]) for at, _, body in found] == opened
    assert {body["numbers"]["floor"] for _, _, body in found} == {0.02}
    found = [each for each in told(steps, "alarm.resolved") if each[1] == "calibration"]
    assert [(at, body["numbers"]["bias"]) for at, _, body in found] == resolved


def test_an_alarm_pulls_the_look_to_the_next_morning_not_within_three_days() -> None:
    p = sound(X, 0.7)
    deployed = lived(p)
    state = deployed.state
    steps = close(deployed, 2)
    assert not told(steps, "alarm.opened")  # three days at least
    last = local_midnight(BEGIN + timedelta(days=30), ZONE) + 4 * HOUR
    state.last_look = last
    steps = close(deployed, 1)
    (opened, *_), *_ = told(steps, "alarm.opened")
    assert opened == local_midnight(BEGIN + timedelta(days=32), ZONE) + SETTLE
    candidate = local_midnight(BEGIN + timedelta(days=33), ZONE) + 4 * HOUR
    assert state.pulled == candidate == last + 3 * DAY
    close(deployed, 1)
    assert state.pulled == candidate  # it is not pulled twice
    assert state.next_look == local_midnight(LOOK, ZONE) + 4 * HOUR  # the grid stays


@pytest.mark.parametrize(("days", "wait"), [(3, 0), (4, 1), (5, 2), (6, 3)])
def test_an_alarm_that_comes_soon_after_a_look_waits(days: int, wait: int) -> None:
    deployed = lived(sound(X, 0.7), options=Options(recalibrating=False, cooldown=days * DAY))
    state = deployed.state
    state.last_look = local_midnight(BEGIN + timedelta(days=30), ZONE) + 4 * HOUR
    close(deployed, 3 + wait)
    assert state.pulled == state.last_look + days * DAY
    deployed = lived(sound(X, 0.7), options=Options(recalibrating=False, cooldown=days * DAY))
    deployed.state.last_look = state.last_look
    close(deployed, 2 + wait)
    assert deployed.state.pulled == NEVER


def test_a_version_that_serves_for_28_days_gets_one_ticket() -> None:
    deployed = lived(sound(X))
    steps = close(deployed, 40)
    (at, subject, body), *more = told(steps, "ticket.opened")
    assert not more
    look = deployed.state.artefacts["h-0"].look
    assert (subject, body) == ("h-0", {"cause": "age", "days": 28})
    assert look + 28 * DAY <= at < look + 29 * DAY


def followed(later: np.ndarray, **more: Any) -> Deployed:
    """A second version that has just replaced the first, and is watched; a third fit waits."""
    fitted = [*OLD, ("h-1", "history", BEGIN + timedelta(days=36))]
    trainer = Told({"h-0": sound(X), "h-1": later, "h-2": sound(X, 0.01)}, {"history": ["h-2"]})
    look = BEGIN + timedelta(days=43)
    deployed = stand(TABLE, trainer, fitted, look=look, champion="h-1", **more)
    ground, state = deployed.ground, deployed.state
    opened = state.segments[-1].start
    state.next_block = ground.block_at(opened)
    state.next_day = ground.day_at(opened)
    open_watch(deployed, "h-1", "h-0", opened, Step(at=opened))
    return deployed


def test_a_watch_ends_after_fourteen_days() -> None:
    deployed = followed(sound(X, 0.001))
    opened = deployed.state.watch.opened
    found = told(close(deployed, 16), "watch.closed")
    assert [(subject, body["outcome"]) for _, subject, body in found] == [("h-1", "over")]
    assert opened + 14 * DAY <= found[0][0] < opened + 14 * DAY + 3 * HOUR
    assert deployed.state.watch is None
    assert deployed.state.champion == "h-1"


def test_a_harmful_version_is_rolled_back_and_its_recipe_fitted_at_once() -> None:
    worse = sound(-X)
    deployed = followed(worse)
    state = deployed.state
    steps = close(deployed, 4)
    (at, subject, body), *more = told(steps, "rollout.rolled_back")
    assert not more
    assert (subject, body["to"], body["probation"]) == ("h-1", "h-0", ["history"])
    assert at - state.segments[1].start <= 2 * DAY
    assert (state.champion, state.bad, state.probation) == ("h-0", ["h-1"], ["history"])
    step = next(s for s in steps if s.at == at)
    assert [artefact.version for artefact, _ in step.fits] == ["h-2"]
    order = deployed.trainer.orders[-1]
    assert (order.at, order.recipe.name) == (at, "history")
    assert order.cutoff == deployed.ground.cut.cutoff(at, SETTLE)
    assert state.twin("history").version == "h-2"  # for the next look; not served
    assert state.segments[-1].variants == (("h-0", 100),)
    after = deployed.served(*deployed.ground.rows_between(at, NEVER - 1))
    assert after.versions == ("h-0",)


def test_a_flawed_fit_after_a_roll_back_is_no_twin() -> None:
    deployed = followed(sound(-X))
    deployed.trainer.answers["h-2"] = np.full(len(X), np.nan)
    steps = close(deployed, 4)
    ((at, subject, _),) = told(steps, "fit.refused")
    assert (subject, at) == ("h-2", told(steps, "rollout.rolled_back")[0][0])
    assert deployed.state.twin("history").version == "h-0"


def test_unwatched_it_serves_on() -> None:
    deployed = followed(sound(-X), options=Options(watching=False, recalibrating=False))
    steps = close(deployed, 20)
    assert not told(steps, "rollout.rolled_back")
    assert deployed.state.champion == "h-1"


def test_a_day_tells_what_its_answers_were_worth_where_that_was_declared() -> None:
    deployed = lived(sound(X))
    worth = Value(above=0.5, hit=10.0, false_alarm=-1.0)
    deployed.declared = msgspec.structs.replace(deployed.declared, value=worth)
    *_, (at, _, body) = told(close(deployed, 3)[8:], "day.closed")
    lo, hi = deployed.ground.day_rows(deployed.state.next_day - 1)
    known = TABLE.answered[lo:hi] <= at
    y, p = TABLE.y[lo:hi][known], sound(X)[lo:hi][known]
    earned = sum(
        (10.0 if label else -1.0) for label, answer in zip(y, p, strict=True) if answer > 0.5
    )
    assert body["value"] == pytest.approx(earned)
    assert all("value" not in body for _, _, body in told(close(lived(sound(X)), 2), "day.closed"))
