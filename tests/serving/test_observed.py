"""Spells: one observation each, whatever waits for a stall; against a plain reading of the same requests."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from benchmarks.safety import held_up, spells
from nenrin.core.timer import SystemTimer
from nenrin.serving.observed import Split
from nenrin.serving.plane.observed import SPELL, Counting
from nenrin.stats.latency import BINS, bet, bin_of, longer


class Hand(SystemTimer):
    """Stands where it is set."""

    now = 0.0

    def wall(self) -> float:
        return self.now


def counting() -> tuple[Counting, Hand]:
    timer = Hand()
    split = Split(deployment="d", subject="new", against="old", share=0.5)
    return Counting(split, timer), timer


def replayed(asked: np.ndarray, seconds: np.ndarray, is_mine: np.ndarray, within: float) -> Split:
    """The split that a plane counts, request after request and answer after answer."""
    here, timer = counting()
    steps = [(at, 1, place) for place, at in enumerate(asked.tolist())]
    heapq.heapify(steps)
    held = {}
    while steps:
        timer.now, comes, place = heapq.heappop(steps)
        took, mine = float(seconds[place]), bool(is_mine[place])
        if comes:
            held[place] = here.begin(mine)
            heapq.heappush(steps, (timer.now + min(took, within), 0, place))
        elif took > within:
            here.late(mine, held[place])
            here.leave(held[place])
        else:
            here.answered(mine, took, None, held[place])
            here.leave(held[place])
    return here.split


@pytest.mark.parametrize("seed", range(4))
def test_it_counts_as_a_plain_reading_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    asked = np.cumsum(random.exponential([0.05, 0.5, 3.0, 0.2][seed], 600))
    is_mine = random.random(600) < [0.5, 0.2, 0.5, 0.05][seed]
    seconds = random.lognormal(-4, 1, 600) + held_up(asked, is_mine, random)
    within = 0.5
    late = seconds > within
    took = np.minimum(seconds, within)
    bins = np.where(late, BINS - 1, [bin_of(each) for each in took])
    plain = spells(asked, asked + took, is_mine, bins)
    split = replayed(asked, seconds, is_mine, within)
    assert split.spells == len(plain.at) > 5
    assert split.slower[""] == pytest.approx(plain.logs[-1].tolist())
    assert split.mine.faults == split.theirs.faults == 0
    assert split.mine.failed == np.count_nonzero(late & is_mine)


def test_a_stall_is_one_observation_however_many_wait() -> None:
    """A hundred wait for two seconds, over the end of a spell; they move the bets once."""
    asked = np.concatenate([np.arange(0.0, 1.5, 0.1), np.linspace(1.5, 3.4, 100), [3.5, 9.0, 9.1]])
    is_mine = np.arange(len(asked)) % 2 == 0
    waits = np.where(is_mine & (asked >= 1.5) & (asked < 3.5), 3.5 - asked, 0.0)
    split = replayed(asked, 0.01 + waits, is_mine, np.inf)
    assert split.spells == 1
    assert bet([0.0, 0.0], 0.0) < split.slower[""] < bet([0.0, 0.0], 1.0)


def test_no_answer_in_time_is_the_slowest_and_no_fault() -> None:
    here, timer = counting()
    for _ in range(50):
        here.late(True, here.begin(True))
    here.failed(True)
    mine = here.split.mine
    assert (mine.failed, mine.faults, mine.seconds[-1]) == (51, 1, 50)
    timer.now = 10 * SPELL
    assert here.begin(True) is here.begin(
        True
    )  # the other side was not asked: the same spell still


def test_when_a_spell_ends_does_not_depend_on_how_long_answers_take() -> None:
    """One that was asked and slow lets no more of the other side in than one that was quick."""
    here, timer = counting()
    first = here.begin(True)
    here.begin(False)
    timer.now = SPELL
    assert here.begin(True) is None
    assert first is not None
    assert first.waiting == 2


def test_a_spell_in_which_a_side_only_failed_says_nothing() -> None:
    here, timer = counting()
    for mine in (True, False):
        spell = here.begin(mine)
        here.leave(spell)
        if mine:
            here.answered(mine, 0.5, None, spell)
    timer.now = 3 * SPELL
    here.begin(True)
    assert (here.split.spells, here.split.slower) == (0, {})


def test_it_waits_for_the_last_answer_and_rests_as_long_again() -> None:
    here, timer = counting()
    first, slow = here.begin(False), here.begin(True)
    here.answered(False, 0.01, None, first)
    here.leave(first)
    timer.now = 5 * SPELL
    assert here.begin(False) is None  # that side has not answered yet
    here.answered(True, 5 * SPELL, None, slow)
    here.leave(slow)
    timer.now += SPELL * 0.9
    assert here.begin(True) is None
    timer.now += SPELL * 0.1
    assert here.begin(True) is not first
    assert here.split.spells == 1
    counts = [[0] * BINS, [0] * BINS]
    for side, seconds in zip(counts, (5 * SPELL, 0.01), strict=True):
        side[bin_of(seconds)] = 1
    assert here.split.slower[""] == bet([0.0, 0.0], longer(*counts))
