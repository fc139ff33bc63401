"""``tick``: one entry point; the same steps however coarsely time passes."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from nenrin.core.instants import DAY, HOUR, NEVER, local_midnight
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.faults import Injection
from nenrin.loop.ports import Step
from nenrin.loop.state import State
from nenrin.loop.turn import Loop
from tests.loop.world import BEGIN, ZONE, FakeTrainer, ListJournal, deployed, row_table

DAYS = 100
LOOK = BEGIN + timedelta(days=60)
TABLE, X = row_table(DAYS, 80)
OPTIONS = Options(injections=(Injection.parse("scrambled_fit:2021-03-12"),))
END = local_midnight(BEGIN + timedelta(days=DAYS), ZONE)


def begun() -> tuple[Loop, Deployed, ListJournal]:
    made = deployed(TABLE, FakeTrainer(TABLE, X), look=LOOK, options=OPTIONS)
    journal = ListJournal()
    return Loop(made, journal, END), made, journal


def plain(steps: list[Step]) -> list[bytes]:
    return [msgspec.json.encode(step) for step in steps]


@pytest.fixture(scope="module")
def whole() -> tuple[list[bytes], bytes]:
    loop, made, journal = begun()
    loop.tick(END)
    assert "rollout.rolled_back" in journal.kinds()
    return plain(journal.steps), made.state.dumps()


@pytest.mark.parametrize("pace", [HOUR + 7, DAY, 11 * DAY])
def test_ticks_may_come_often_or_seldom(pace: int, whole: tuple[list[bytes], bytes]) -> None:
    loop, made, journal = begun()
    now = made.state.next_look
    while now < END:
        loop.tick(now)
        assert loop.due() > now
        now += pace
    loop.tick(END)
    assert (plain(journal.steps), made.state.dumps()) == whole


def test_a_loop_that_is_read_again_goes_on_the_same(whole: tuple[list[bytes], bytes]) -> None:
    loop, made, journal = begun()
    now = made.state.next_look
    while now < END:
        loop.tick(now)
        made.state = State.loads(made.state.dumps())
        now += 5 * DAY
    loop.tick(END)
    assert (plain(journal.steps), made.state.dumps()) == whole


def test_nothing_happens_twice() -> None:
    loop, _, journal = begun()
    loop.tick(END)
    done = len(journal.steps)
    assert loop.tick(END) == []
    assert len(journal.steps) == done


def test_what_is_due_at_one_instant_closes_first_then_serves_then_looks() -> None:
    loop, made, journal = begun()
    state = made.state
    loop.tick(state.next_look + 2 * HOUR)
    edge = made.ground.closing(state.next_block + 8, state.settle)
    state.next_look = state.pulled = NEVER
    loop.tick(edge - 1)
    state.next_look = edge
    state.stage_at, state.stages_left = edge, (100,)
    state.next_day = made.ground.day_of(state.next_block)
    journal.steps.clear()
    assert loop.due() == edge
    steps = loop.tick(edge)
    named = ["look" if step.verdicts else "stage" if step.route else "close" for step in steps]
    assert named[-2:] == ["stage", "look"]
    assert state.next_block == made.ground.cut.closed_blocks(edge, state.settle)


def test_no_look_is_taken_after_the_data() -> None:
    made = deployed(TABLE, FakeTrainer(TABLE, X), look=LOOK)
    first = made.state.next_look
    loop = Loop(made, ListJournal(), first + DAY)
    loop.tick(END)
    assert made.state.last_look == first
    assert made.state.rings == 1
    assert made.state.next_day == DAYS - 1  # what was answered still closes, but the last evening
