"""A mixture: who answers with which share, what a look puts into its slots, what a roll-back restores."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from nenrin.core.instants import HOUR, local_instant, local_midnight
from nenrin.loop.backtest import Backtest
from nenrin.loop.closing import close_block
from nenrin.loop.comparators import comparators
from nenrin.loop.deployed import Deployed
from nenrin.loop.look import take_look
from nenrin.loop.mixture import blend_of, routed, without_bad
from nenrin.loop.ports import Step
from nenrin.loop.race import ANCHOR
from nenrin.loop.rollout import begin, decide, roll_back, stage_up
from nenrin.loop.sharing import begin_shares
from nenrin.loop.slots import together
from nenrin.loop.state import State
from nenrin.serving.router import Member
from nenrin.stats.betting import Wealth
from nenrin.stats.fixed_share import fixed_share
from tests.loop.world import (
    BEGIN,
    SETTLE,
    ZONE,
    FakeTrainer,
    ListJournal,
    Told,
    copy_of,
    day_mean,
    deployed,
    lines,
    row_table,
    sound,
    stand,
)

TABLE, X = row_table(95, 120)
WEEKS = [BEGIN + timedelta(days=30 + 7 * week) for week in range(6)]
LOOK = BEGIN + timedelta(days=72)
RECIPE = {"h": "history", "t": "trailing 30d"}
SLOTS = ("history", "trailing 30d", ANCHOR)
GOOD, BAD = sound(X), sound(X, 0.9)
# bad from its first request on: the sanity check of a fit sees only rows before
TURNED = np.where(TABLE.asked < local_instant(LOOK, time(4), ZONE), GOOD, BAD)


def made(answers: dict[str, np.ndarray] | None = None, **more: Any) -> Deployed:
    """Six looks lie behind; the mixture of the last fits and the anchor has served since the last of them."""
    fitted = [(f"{r}-{week}", RECIPE[r], WEEKS[week]) for week in range(6) for r in "ht"]
    known = {name: GOOD for name, _, _ in fitted} | {"h-6": GOOD, "t-6": GOOD} | (answers or {})
    trainer = Told(known, {"history": ["h-6", "h-7"], "trailing 30d": ["t-6", "t-7"]})
    found = stand(TABLE, trainer, fitted, look=LOOK, champion="h-0", serve="mixture", **more)
    begin_shares(found)
    step = Step(at=found.state.artefacts["h-5"].look + HOUR)
    mixture = together(found, {"history": "h-5", "trailing 30d": "t-5"}, step.at - HOUR, step)
    decide(found, mixture.version, step.at - HOUR, canary=False)
    begin(found, step.at, step)
    found.state.watch = None
    return found


def look(found: Deployed) -> Step:
    step = Step(at=found.state.next_look)
    take_look(found, step.at, step)
    return step


def members(found: Deployed, version: str | None = None) -> dict[str, str]:
    return dict(found.state.artefacts[version or found.state.champion].members)


def shares_now(found: Deployed) -> dict[str, float]:
    return {member.slot: member.share for member in blend_of(found.state, found.state.champion)}


def test_it_answers_by_its_shares() -> None:
    found = made({"h-5": sound(X, 0.3), "t-5": sound(X, -0.3)})
    found.state.shares["h-0"] = {"history": 0.5, "trailing 30d": 0.3, ANCHOR: 0.2}
    found.state.segments[-1] = routed(found.state, *_place(found))
    lo, hi = found.ground.rows_between(found.state.segments[-1].start, TABLE.asked[-1])
    answers = found.served(lo, hi)
    expected = 0.5 * sound(X, 0.3) + 0.3 * sound(X, -0.3) + 0.2 * GOOD
    np.testing.assert_allclose(answers.p, expected[lo:hi], rtol=1e-12)
    assert answers.versions == (found.state.champion,)
    assert State.loads(found.state.dumps()).segments == found.state.segments


def _place(found: Deployed) -> tuple[int, tuple[tuple[str, int], ...]]:
    last = found.state.segments[-1]
    return last.start, last.variants


def test_its_content_is_its_member_list() -> None:
    found = made()
    step = Step(at=1)
    one = together(found, {"history": "h-4", "trailing 30d": "t-4"}, 1, step)
    same = together(found, {"trailing 30d": "t-4", "history": "h-4"}, 2, Step(at=2))
    assert one == same
    ((artefact, content),) = step.mixtures
    assert artefact.members == (("history", "h-4"), ("trailing 30d", "t-4"), (ANCHOR, "h-0"))
    assert content.parents == ("h-4", "t-4", "h-0")
    assert artefact.cutoff == found.state.artefacts["t-4"].cutoff


def test_slots_share_alike_at_first() -> None:
    assert shares_now(made()) == pytest.approx(dict.fromkeys(SLOTS, 1 / 3))


def test_a_look_fills_every_slot_by_the_fast_lane() -> None:
    found = made()
    before = found.state.champion
    step = look(found)
    (told,) = lines(step, "look.taken")
    assert [verdict.judged for verdict in step.verdicts] == ["h-5", "t-5"]
    assert [verdict.ships for verdict in step.verdicts] == ["h-6", "t-6"]
    (told,) = lines(step, "look.taken")
    assert told["verdicts"] == [verdict.id for verdict in step.verdicts]
    assert [verdict.against["champion"] for verdict in step.verdicts] == ["h-5", "t-5"]
    pending = found.state.pending
    assert pending.version == told["ships"] != before
    assert pending.stages == (100,)
    assert members(found, pending.version) == {
        "history": "h-6",
        "trailing 30d": "t-6",
        ANCHOR: "h-0",
    }
    begin(found, pending.at, Step(at=pending.at))
    watch = found.state.watch
    assert (watch.subject, watch.ref) == (pending.version, before)
    assert [member.version for member in watch.mine] == ["h-6", "t-6", "h-0"]
    assert [member.version for member in watch.theirs] == ["h-5", "t-5", "h-0"]
    assert sum(member.share for member in watch.mine) == pytest.approx(1)


def test_a_slot_that_is_refused_serves_on() -> None:
    found = made({"t-6": np.full(len(X), np.nan)})
    step = look(found)
    assert [verdict.admitted for verdict in step.verdicts] == [True, False]
    assert members(found, found.state.pending.version) == {
        "history": "h-6",
        "trailing 30d": "t-5",
        ANCHOR: "h-0",
    }
    assert step.bad == ["t-6"]


def test_a_slot_on_probation_is_judged_against_what_it_serves() -> None:
    found = made()
    state = found.state
    state.slots["history"] = (
        "h-4"  # what a roll-back restored; h-5 was fitted at once, and proves itself
    )
    state.probation = ["history"]
    step = look(found)
    assert step.verdicts[0].against["champion"] == "h-4"
    assert members(found, state.pending.version)["history"] == "h-6"  # no worse: it may come back
    worse = made({"h-5": BAD})
    worse.state.slots["history"], worse.state.probation = "h-4", ["history"]
    look(worse)
    assert members(worse, worse.state.pending.version)["history"] == "h-4"


def test_when_a_day_closes_shares_follow_what_each_slot_lost() -> None:
    found = made({"t-5": BAD})
    state, day = found.state, found.state.next_day
    close_days(found, 1)
    losses = [day_mean(found, p, day) for p in (GOOD, BAD, GOOD)]
    moved = fixed_share(np.full(3, 1 / 3), np.array(losses))
    assert list(state.shares["h-0"].values()) == pytest.approx(moved)
    assert state.segments[-1].start == found.ground.day_start(day + 1) + SETTLE
    assert shares_now(found) == pytest.approx(dict(zip(SLOTS, moved, strict=True)))
    assert dict(state.segments[-1].blends)[state.champion] == blend_of(state, state.champion)
    steps = close_days(found, 3)
    days = [body for step in steps for body in lines(step, "day.closed")]
    assert [body["shares"]["trailing 30d"] < 0.2 for body in days] == [True] * 3


def test_the_day_of_a_refresh_counts_what_each_slot_served_row_by_row() -> None:
    found = made({"h-6": TURNED})
    at = found.state.next_look
    while found.ground.closing(found.state.next_block, SETTLE) < at:
        close_days(found, 1)
    before = dict(found.state.shares["h-0"])
    look(found)
    begin(found, at + HOUR, Step(at=at + HOUR))
    day = found.ground.day_at(at)
    while found.state.next_day < day:
        close_days(found, 1)
        before = dict(found.state.shares["h-0"])
    switched = np.where(TABLE.asked < at + HOUR, GOOD, BAD)
    close_days(found, 1)
    losses = [day_mean(found, p, day) for p in (switched, GOOD, GOOD)]
    moved = fixed_share(np.array(list(before.values())), np.array(losses))
    assert list(found.state.shares["h-0"].values()) == pytest.approx(moved)


def test_a_frozen_mixture_keeps_its_shares_until_the_thaw() -> None:
    found = made({"t-5": BAD})
    found.options = msgspec.structs.replace(found.options, frozen=1)
    segments = list(found.state.segments)
    close_days(found, 2)
    assert found.state.segments == segments
    found.options = msgspec.structs.replace(found.options, frozen=None)
    close_days(found, 1)
    assert len(found.state.segments) == len(segments) + 1
    assert shares_now(found)["trailing 30d"] < 0.2


def test_a_roll_back_restores_the_mixture_and_leaves_the_shares() -> None:
    found = made()
    state, before = found.state, found.state.champion
    look(found)
    begin(found, state.pending.at, Step(at=state.pending.at))
    state.shares["h-0"] = shares = {"history": 0.6, "trailing 30d": 0.3, ANCHOR: 0.1}
    state.watch = msgspec.structs.replace(state.watch, wealth=Wealth(30.0, 30.0))
    subject = state.champion
    step = Step(at=state.segments[-1].start + 9 * HOUR)
    assert roll_back(found, step.at, step) == ["history", "trailing 30d"]
    assert state.champion == before
    assert state.slots == {"history": "h-5", "trailing 30d": "t-5"}
    assert state.probation == ["history", "trailing 30d"]
    assert step.bad == [subject, "h-6", "t-6"]
    assert state.shares["h-0"] == shares
    assert shares_now(found) == pytest.approx(shares)
    assert state.twin("history").version == "h-5"


def test_the_share_of_a_bad_member_goes_to_the_others_in_proportion() -> None:
    found = made()
    state = found.state
    state.shares["h-0"] = {"history": 0.6, "trailing 30d": 0.3, ANCHOR: 0.1}
    state.bad = ["t-5"]
    assert shares_now(found) == pytest.approx({"history": 6 / 7, ANCHOR: 1 / 7})
    state.bad = ["h-5", "t-5", "h-0"]
    assert len(shares_now(found)) == 3  # somebody has to answer
    blend = (Member("a", "t-5", 0.2), Member("b", "x", 0.8))
    assert without_bad(state, blend) == (Member("b", "x", 1.0),)


def test_an_empty_slot_is_filled_again_and_keeps_its_part_meanwhile() -> None:
    found = made({"h-5": BAD})
    state = found.state
    state.bad, state.slots = ["t-5"], {"history": "h-5"}
    state.segments[-1] = routed(state, *_place(found))
    part = state.shares["h-0"]["trailing 30d"]
    close_days(found, 1)
    assert state.shares["h-0"]["trailing 30d"] == pytest.approx(0.98 * part + 0.02 / 3)
    assert "trailing 30d" not in shares_now(found)
    step = look(found)
    assert step.verdicts[1].judged == "t-4"
    assert members(found, state.pending.version)["trailing 30d"] == "t-6"


def test_one_fit_that_a_person_promoted_is_followed_by_a_mixture_through_a_canary() -> None:
    found = made()
    state = found.state
    state.champion = "h-3"
    state.segments.append(routed(state, state.segments[-1].start + HOUR, (("h-3", 100),)))
    close_days(found, 1)  # no shares move meanwhile
    assert shares_now(found) == {"history": 1.0}
    look(found)
    assert state.pending.stages == (20, 100)
    step = Step(at=state.pending.at)
    begin(found, step.at, step)
    assert state.segments[-1].variants[1][1] == 20
    assert [version for version, _ in state.segments[-1].blends] == [
        state.segments[-1].variants[1][0]
    ]
    stage_up(found, state.stage_at, Step(at=state.stage_at))
    assert members(found)["history"] == "h-6"


def test_the_watch_goes_on_without_a_member_that_turned_bad() -> None:
    found = made({"t-6": TURNED})
    look(found)
    begin(found, found.state.pending.at, Step(at=found.state.pending.at))
    other = made({"t-6": TURNED})
    look(other)
    begin(other, other.state.pending.at, Step(at=other.state.pending.at))
    other.state.bad = ["t-6"]
    for each in (found, other):
        each.state.next_block = each.state.watch.block
        close_blocks(each, 8)
    same = Wealth()
    for _ in range(other.state.watch.blocks):
        same = same.bet(0.0, other.state.watch.margin, 0.1)
    assert other.state.watch.wealth.mean == pytest.approx(same.mean)
    assert found.state.watch.wealth.mean > same.mean


@pytest.mark.parametrize("drift", [0.0, 0.02])
def test_a_replayed_mixture_is_no_worse_than_its_best_recipe_by_much(drift: float) -> None:
    """A promise of the shares, looked at on streams that stand still and that move."""
    days, a_day = 130, 100
    table, x = row_table(days, a_day, drift)
    first = BEGIN + timedelta(days=60)
    found = deployed(table, FakeTrainer(table, x), look=first, serve="mixture")
    journal = ListJournal()
    until = local_midnight(BEGIN + timedelta(days=days), ZONE)
    played = Backtest(found, journal, until, comparators(found, until, None)).play(lambda at: None)
    assert "rollout.rolled_back" not in journal.kinds()
    looks = journal.kinds().count("look.taken")
    mixtures = [step for step in journal.steps if step.mixtures]
    assert looks == len(mixtures) >= 10
    begun = found.ground.day_at(found.state.segments[0].start) + 1
    closed = range(begun, found.state.next_day)
    served = [found._served_loss(day) for day in closed]
    for slot in ("history", "trailing 30d"):
        alone = [
            found.ground.day_mean(
                found.counter.slot(
                    found.state.segments, found.state.artefacts, slot, *found.ground.day_rows(day)
                ),
                day,
                SETTLE,
            )
            for day in closed
        ]
        assert np.mean(served) <= np.mean(alone) + np.log(3) / len(closed)
    assert played.answers[0].versions == tuple(
        (version, found.state.artefacts[version].cutoff)
        for version in dict.fromkeys(s.variants[0][0] for s in found.state.segments)
    )
    assert copy_of(found) == found.state


def close_blocks(found: Deployed, blocks: int) -> list[Step]:
    steps = []
    for _ in range(blocks):
        step = Step(at=found.ground.closing(found.state.next_block, SETTLE))
        close_block(found, step.at, step)
        steps.append(step)
    return steps


def close_days(found: Deployed, days: int) -> list[Step]:
    """Close the blocks of so many days."""
    steps, end = [], found.state.next_day + days
    while found.state.next_day < end:
        steps += close_blocks(found, 1)
    return steps


@pytest.mark.parametrize(("twin", "comes_back"), [(GOOD, True), (BAD, False)])
def test_an_empty_slot_on_probation_is_judged_against_the_mixture(
    twin: np.ndarray, comes_back: bool
) -> None:
    found = made({"t-4": twin})
    state = found.state
    state.bad, state.slots, state.probation = ["t-5"], {"history": "h-5"}, ["trailing 30d"]
    state.segments[-1] = routed(state, *_place(found))
    step = look(found)
    assert step.verdicts[1].against["champion"] == state.champion
    assert ("trailing 30d" in members(found, state.pending.version)) is comes_back
