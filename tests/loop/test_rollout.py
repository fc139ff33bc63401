"""Rollout: the fast lane, the canary, and back."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import numpy as np
import pytest

from nenrin.core.instants import HOUR, NEVER, local_midnight
from nenrin.loop.closing import fit_again
from nenrin.loop.deployed import Deployed
from nenrin.loop.holding import is_due
from nenrin.loop.ports import Step
from nenrin.loop.rollout import begin, decide, roll_back, stage_up, take_back
from nenrin.loop.state import Segment
from nenrin.loop.turn import Loop
from nenrin.stats.betting import Wealth
from tests.loop.world import (
    BEGIN,
    ZONE,
    ListJournal,
    Told,
    deployed,
    lines,
    row_table,
    sound,
    stand,
)

TABLE, X = row_table(95, 40)
WEEKS = [BEGIN + timedelta(days=30 + 7 * week) for week in range(5)]
NAMES = ("h-0", "h-1", "h-2", "t-0", "t-1", "t-2")
ANSWERS = {name: sound(X, 0.05 * i) for i, name in enumerate(NAMES)}
RECIPE = {"h": "history", "t": "trailing 30d"}
LOOK = WEEKS[3]


def made(champion: str = "h-1", look: date = LOOK) -> Deployed:
    fitted = [(f"{r}-{week}", RECIPE[r], WEEKS[week]) for week in range(3) for r in "ht"]
    return stand(TABLE, Told(ANSWERS), fitted, look=look, champion=champion)


def served(deployed: Deployed, version: str, at: int, *, canary: bool = False) -> Step:
    """Decide at ``at``, and serve when that is due."""
    decide(deployed, version, at, canary=canary)
    assert deployed.state.pending.at == at + HOUR
    step = Step(at=at + HOUR)
    begin(deployed, at + HOUR, step)
    return step


def test_a_refresh_takes_everything_an_hour_after_its_look() -> None:
    deployed = made()
    state = deployed.state
    state.probation = ["history", "trailing 30d"]
    at = state.next_look
    before = list(state.segments)
    step = served(deployed, "h-2", at)
    assert state.champion == "h-2"
    assert state.pending is None
    assert state.segments == [*before, Segment(at + HOUR, (("h-2", 100),))]
    assert (step.route, step.why, step.bad) == (state.segments[-1], "fast lane", [])
    assert (state.watch.subject, state.watch.ref, state.watch.opened) == ("h-2", "h-1", at + HOUR)
    assert state.probation == ["trailing 30d"]  # served: its recipe's is cleared
    assert state.stage_at == NEVER


def test_the_first_version_is_the_anchor_and_is_not_watched() -> None:
    table, x = row_table(95, 40)
    first = deployed(table, Told({"v": sound(x)}), look=LOOK)
    first.state.artefacts = {"v": made().state.artefacts["h-0"]}
    step = served(first, "v", first.state.next_look)
    assert (first.state.champion, first.state.anchor, first.state.watch) == ("v", "v", None)
    assert not step.lines


@pytest.mark.parametrize(
    ("look", "hours"),
    [
        (date(2021, 2, 20), 24 - 5),
        (date(2021, 3, 14), 24 - 5),  # clocks go forward at two in the morning: five is five
    ],
)
def test_another_recipe_gets_a_fifth_until_the_local_day_ends(look: date, hours: int) -> None:
    deployed = made(look=look)
    state = deployed.state
    at = state.next_look
    step = served(deployed, "t-2", at, canary=True)
    assert state.champion == "h-1"
    assert state.segments[-1].variants == (("h-1", 80), ("t-2", 20))
    assert step.why == "canary at 20 %"
    assert state.watch.subject == "t-2"  # watched from its first request, on every row
    assert state.stage_at == local_midnight(look + timedelta(days=1), ZONE)
    assert state.stage_at - step.at == hours * HOUR
    up = Step(at=state.stage_at)
    watch = state.watch
    stage_up(deployed, up.at, up)
    assert state.champion == "t-2"
    assert state.segments[-1] == Segment(up.at, (("t-2", 100),))
    assert (state.stage_at, state.stages_left) == (NEVER, ())
    assert state.watch is watch  # one watch a promotion
    assert up.why == "its canary was sound"


def test_the_canarys_part_is_served_and_sticks() -> None:
    deployed = made()
    state = deployed.state
    step = served(deployed, "t-2", state.next_look, canary=True)
    up = Step(at=state.stage_at)
    stage_up(deployed, up.at, up)
    lo, hi = deployed.ground.rows_between(step.at, up.at)
    found = deployed.served(lo, hi)
    mine = np.array([version == "t-2" for version in found.versions])[found.version]
    assert 0 < mine.sum() < 0.5 * len(mine)
    np.testing.assert_array_equal(found.p[mine], ANSWERS["t-2"][lo:hi][mine])
    np.testing.assert_array_equal(found.p[~mine], ANSWERS["h-1"][lo:hi][~mine])
    after = deployed.served(*deployed.ground.rows_between(up.at, NEVER - 1))
    assert after.versions == ("t-2",)


def test_three_stages_take_three_days() -> None:
    deployed = made()
    deployed.declared = msgspec.structs.replace(deployed.declared, canary=(5, 50, 100))
    state = deployed.state
    served(deployed, "t-2", state.next_look, canary=True)
    weights = [state.segments[-1].variants[-1][1]]
    days = []
    while state.stage_at != NEVER:
        days.append(state.stage_at)
        stage_up(deployed, state.stage_at, Step(at=state.stage_at))
        weights.append(state.segments[-1].variants[-1][1])
    assert weights == [5, 50, 100]
    assert days == [local_midnight(LOOK + timedelta(days=n), ZONE) for n in (1, 2)]


def test_back_from_the_fast_lane() -> None:
    deployed = made()
    state = deployed.state
    served(deployed, "h-2", state.next_look)
    at = state.next_look + 40 * HOUR
    step = Step(at=at)
    assert roll_back(deployed, at, step) == ["history"]
    assert state.champion == "h-1"
    assert state.bad == ["h-2"]
    assert state.probation == ["history"]
    assert state.watch is None
    assert state.segments[-1] == step.route == Segment(at, (("h-1", 100),))
    assert step.bad == ["h-2"]
    assert state.twin("history").version == "h-1"  # of those days too: they become the fit's before
    day = deployed.ground.day_start(deployed.ground.day_at(at))
    assert state.in_place("history", day).version == "h-1"
    assert state.twin("trailing 30d").version == "t-2"
    assert [line.kind for line in step.lines] == ["watch.closed", "rollout.rolled_back"]
    assert lines(step, "watch.closed")[0]["outcome"] == "alarm"
    told = {"to": "h-1", "bad": ["h-2"], "probation": ["history"], "wealth": 1.0}
    assert lines(step, "rollout.rolled_back") == [told]


def test_back_from_a_canary() -> None:
    deployed = made()
    state = deployed.state
    served(deployed, "t-2", state.next_look, canary=True)
    at = state.next_look + 10 * HOUR
    step = Step(at=at)
    assert roll_back(deployed, at, step) == ["trailing 30d"]
    assert state.champion == "h-1"
    assert (state.bad, state.probation) == (["t-2"], ["trailing 30d"])
    assert (state.stages_left, state.stage_at) == ((), NEVER)
    assert state.segments[-1].variants == (("h-1", 100),)


def test_everything_served_since_what_comes_back_is_bad() -> None:
    deployed = made(champion="h-0")
    state = deployed.state
    at = state.next_look
    served(deployed, "h-1", at)
    state.watch = msgspec.structs.replace(state.watch, wealth=Wealth(2.0, 2.0))  # leans to harm
    served(deployed, "t-1", at + 7 * 24 * HOUR, canary=True)
    stage_up(deployed, state.stage_at, Step(at=state.stage_at))
    assert (state.watch.subject, state.watch.ref) == ("t-1", "h-0")
    late = at + 9 * 24 * HOUR
    step = Step(at=late)
    roll_back(deployed, late, step)
    assert state.champion == "h-0"
    assert step.bad == ["h-1", "t-1"]
    assert state.bad == ["h-1", "t-1"]
    assert state.probation == ["trailing 30d"]


def test_a_roll_back_drops_what_was_decided_and_not_begun() -> None:
    deployed = made()
    state = deployed.state
    served(deployed, "h-2", state.next_look)
    at = state.next_look + 40 * HOUR
    decide(deployed, "t-2", at - 1, canary=True)
    roll_back(deployed, at, Step(at=at))
    assert state.pending is None


def test_without_a_watch_nothing_comes_back() -> None:
    deployed = made()
    step = Step(at=deployed.state.next_look)
    assert roll_back(deployed, step.at, step) == []
    assert not step.lines
    assert deployed.state.champion == "h-1"


def test_a_pause_keeps_a_canary_at_its_weight() -> None:
    deployed = made()
    state = deployed.state
    served(deployed, "t-2", state.next_look, canary=True)

    def stage(**options: object) -> int:
        deployed.options = msgspec.structs.replace(deployed.options, **options)
        agenda = Loop(deployed, ListJournal(), NEVER)._agenda()
        return next(at for at, act in agenda if act is stage_up)

    late = state.stage_at + HOUR
    assert stage() == state.stage_at
    assert is_due(state, late)
    assert stage(paused=True) == NEVER
    assert not is_due(msgspec.structs.replace(state, next_look=NEVER), late, paused=True)
    assert stage(paused=False, thawed=late) == late  # what was held happens then, never earlier


def test_what_was_taken_back_as_unsafe_is_fitted_at_the_next_turn() -> None:
    deployed = made()
    state = deployed.state
    assert isinstance(deployed.trainer, Told)
    served(deployed, "t-2", state.next_look, canary=True)
    at = state.next_look + 10 * HOUR
    assert state.watch is not None
    step = Step(at=at)
    state.refits = take_back(
        state, state.watch, at, step, why="not safe", thawed=0, outcome="unsafe"
    )
    state.refit_at = at
    assert lines(step, "watch.closed")[0]["outcome"] == "unsafe"
    assert is_due(state, at)
    deployed.trainer.coming = {"trailing 30d": ["t-3"]}
    deployed.trainer.answers["t-3"] = sound(X)
    again = Step(at=at)
    fit_again(deployed, at, again)
    assert [(artefact.recipe, artefact.version) for artefact, _ in again.fits] == [
        ("trailing 30d", "t-3")
    ]
    assert (state.refits, state.refit_at) == ([], NEVER)
    assert state.champion == "h-1"
