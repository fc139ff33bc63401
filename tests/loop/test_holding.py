"""A freeze: blocks close, days are scored, and nothing else happens before the thaw."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import numpy as np
import pytest

from nenrin.core.errors import RefusedError
from nenrin.core.instants import DAY, HOUR, NEVER, iso, local_midnight
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.holding import frozen_line, held, is_due, refuse_frozen
from nenrin.loop.state import Promotion
from nenrin.loop.turn import Loop
from nenrin.serving.deployments import Deployment
from nenrin.serving.router import Route, Variant
from nenrin.serving.signature import RequestSignature
from tests.loop.world import (
    BEGIN,
    ZONE,
    FakeTrainer,
    ListJournal,
    Told,
    deployed,
    lines,
    noon,
    row_table,
    sound,
    stand,
)

DAYS = 60
TABLE, X = row_table(DAYS, 80)
END = local_midnight(BEGIN + timedelta(days=DAYS), ZONE)
CLOSED = {
    "day.closed",
    "alarm.opened",
    "alarm.updated",
    "alarm.resolved",
    "watch.closed",
    "ticket.opened",
}


def _lived() -> Deployed:
    """A deployment whose champion serves, with its next look on day 30."""
    made = deployed(TABLE, FakeTrainer(TABLE, X), look=BEGIN + timedelta(days=22))
    Loop(made, ListJournal(), END).tick(made.state.next_look + 2 * HOUR)
    assert made.state.champion
    return made


def _set(made: Deployed, **options: object) -> Deployed:
    made.options = msgspec.structs.replace(made.options, **options)
    return made


def _record(**more: object) -> Deployment:
    return Deployment(
        name="demo",
        environment="dev",
        model="demo",
        revision="r",
        route=Route(deployment="demo", variants=(Variant(version="v1"),)),
        anchor="v1",
        request=RequestSignature(fields=(), key=()),
        at=0,
        **more,  # type: ignore[arg-type]
    )


def test_days_close_and_no_look_is_taken() -> None:
    made, journal = _lived(), ListJournal()
    frozen = made.state.next_look - 3 * DAY
    champion, look = made.state.champion, made.state.next_look
    Loop(_set(made, frozen=frozen), journal, END).tick(END)
    assert set(journal.kinds()) <= CLOSED | {"change.held"}
    assert journal.kinds().count("day.closed") > 30
    assert (made.state.champion, made.state.next_look) == (champion, look)
    told = [line for step in journal.steps for line in lines(step, "change.held")]
    assert told[0] == {
        "change": "look",
        "would": f"look for a better version, due since {iso(look)}",
    }


def test_what_is_held_is_said_once_a_freeze() -> None:
    made, journal = _lived(), ListJournal()
    loop = Loop(_set(made, frozen=made.state.next_look - DAY), journal, END)
    for day in range(1, 20):
        loop.tick(made.state.next_look + day * DAY)
    assert journal.kinds().count("change.held") == 1
    made.options = msgspec.structs.replace(made.options, frozen=made.state.next_look + 20 * DAY)
    loop.tick(made.state.next_look + 21 * DAY)
    assert journal.kinds().count("change.held") == 2


def test_after_the_thaw_one_look_is_taken_and_nothing_is_served_before_it() -> None:
    made, journal = _lived(), ListJournal()
    look, routes = made.state.next_look, len(made.state.segments)
    thawed = look + 17 * DAY + 5 * HOUR
    Loop(_set(made, frozen=look - DAY), journal, END).tick(thawed)
    steps = Loop(_set(made, frozen=None, thawed=thawed), journal, END).tick(thawed + 2 * HOUR)
    assert [step.at for step in steps if step.fits] == [thawed]
    assert made.state.last_look == thawed
    assert made.state.next_look == look + 21 * DAY  # the grid has not moved
    assert [segment.start for segment in made.state.segments[routes:]] == [thawed + HOUR]


def test_a_promotion_and_a_stage_wait_for_the_thaw() -> None:
    made, journal = _lived(), ListJournal()
    state = made.state
    version, at = state.champion, state.next_look - 2 * DAY
    state.pending = Promotion(version=version, at=at, stages=(20, 100), ring=1)
    Loop(_set(made, frozen=at - HOUR), journal, END).tick(at + DAY)
    assert [line["change"] for step in journal.steps for line in lines(step, "change.held")] == [
        "promotion"
    ]
    thawed = at + DAY + HOUR
    made.options = msgspec.structs.replace(made.options, frozen=None, thawed=thawed)
    Loop(made, journal, END).tick(thawed)
    assert state.pending is None
    assert state.segments[-1].start == thawed
    assert state.stages_left == (100,)
    stage = state.stage_at
    Loop(_set(made, frozen=thawed + 1), journal, END).tick(stage + HOUR)
    assert state.stage_at == stage
    [told] = lines(journal.steps[-1], "change.held")
    assert told["change"] == "stage"
    assert "100 %" in told["would"]
    again = stage + 2 * HOUR
    Loop(_set(made, frozen=None, thawed=again), journal, END).tick(again)
    assert (state.segments[-1].start, state.stage_at) == (again, NEVER)


def _harmed() -> tuple[Deployed, int]:
    """A promotion that does harm, under a watch since noon of day 20; and the instant of that noon."""
    answers = {"good": sound(X), "bad": sound(X, 3.0), "again": sound(X)}
    made = stand(
        TABLE,
        Told(answers, {"history": ["again"]}),
        [("good", "history", BEGIN + timedelta(days=12))],
        look=BEGIN + timedelta(days=50),
        champion="good",
        options=Options(cooldown=100 * DAY),  # no look is pulled forward
    )
    at = noon(BEGIN + timedelta(days=20))
    state = made.state
    first = state.artefacts["good"]
    state.artefacts["bad"] = msgspec.structs.replace(first, version="bad", model="bad")
    state.fits["history"] = ["good", "bad"]
    state.next_block = made.ground.cut.closed_blocks(at, state.settle)
    state.next_day = made.ground.cut.closed_days(at, state.settle)
    state.pending = Promotion(version="bad", at=at, stages=(100,), ring=1)
    return made, at


def test_a_roll_back_is_held_and_happens_at_the_thaw() -> None:
    made, at = _harmed()
    journal = ListJournal()
    Loop(made, journal, END).tick(at)
    assert made.state.champion == "bad"
    thawed = at + 16 * DAY  # the watch would have ended by then
    Loop(_set(made, frozen=at + 1), journal, END).tick(thawed)
    assert made.state.champion == "bad"
    told = [line for step in journal.steps for line in lines(step, "change.held")]
    assert told == [{"change": "rollback", "would": "roll back to good: the watch found bad worse"}]
    assert is_due(made.state, at)
    Loop(_set(made, frozen=None, thawed=thawed), journal, END).tick(thawed)
    assert made.state.champion == "good"
    assert made.state.segments[-1].start == thawed
    assert "rollout.rolled_back" in journal.kinds()
    assert made.state.fits["history"][-1] == "again"
    starts = [segment.start for segment in made.state.segments]
    assert starts == sorted(starts)


def test_without_a_freeze_it_is_rolled_back_at_once() -> None:
    made, at = _harmed()
    Loop(made, ListJournal(), END).tick(at + 16 * DAY)
    assert made.state.champion == "good"
    assert made.state.segments[-1].start < at + 5 * DAY


def test_a_status_tells_what_is_held() -> None:
    made, at = _harmed()
    state = made.state
    told = frozen_line(_record(frozen=True, frozen_since=at, frozen_why="release"), state, at)
    assert told["frozen_why"] == "release"
    assert told["held"] == [f"promote bad, decided for {iso(at)}"]
    state.held = {"code": f"{at} abc", "refresh": f"{at - 1} 120"}
    told = frozen_line(_record(frozen=True, frozen_since=at, frozen_why="release"), state, at)
    assert told["held"] == [
        f"promote bad, decided for {iso(at)}",
        "judge the project's new code",
    ]
    assert frozen_line(_record(), state, at)["held"] == []
    assert [each.change for each in held(state, at - 1)] == []


def test_only_a_person_gets_a_version_in() -> None:
    refuse_frozen(None)
    refuse_frozen(_record())
    with pytest.raises(RefusedError, match="'demo' is frozen: release"):
        refuse_frozen(_record(frozen=True, frozen_why="release"))


def test_answers_of_days_in_a_freeze_are_by_who_served_then() -> None:
    """A look that was held changes nothing of what was answered before the thaw."""
    made, journal = _lived(), ListJournal()
    champion, look = made.state.champion, made.state.next_look
    thawed = look + 10 * DAY
    Loop(_set(made, frozen=look - DAY), journal, END).tick(thawed)
    Loop(_set(made, frozen=None, thawed=thawed), journal, END).tick(END)
    lo, hi = TABLE.between(look + DAY, thawed)
    answers = made.served(lo, hi)
    assert answers.versions == (champion,)
    assert np.isfinite(answers.p).all()
