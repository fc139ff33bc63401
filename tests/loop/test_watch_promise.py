"""What the watch promises and sees: false roll-backs and power on the same streams, in seconds.

The whole table is made by ``benchmarks/watch.py``.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import numpy as np
import pytest

from benchmarks.watch import SETTLE, SOON, Case, Found, fate, found, opened, stream
from nenrin.core.instants import DAY, HOUR, local_midnight
from nenrin.loop.deployed import Deployed
from nenrin.loop.ports import Step
from nenrin.loop.watching import open_watch, read_block
from tests.loop.world import BEGIN, ZONE, Told, stand, table_of

STREAMS = 60
HARMS = (0.0, 0.005, 0.1)


@cache
def known(day_sd: float) -> Found:
    return found(Case("28 days known", day_sd), STREAMS, HARMS)


@pytest.mark.parametrize("day_sd", [0.01, 0.02, 0.03, 0.05])
def test_successors_that_are_no_worse_on_average_stay(day_sd: float) -> None:
    assert known(day_sd).within(0.0) <= 5.0


@pytest.mark.parametrize("day_sd", [0.01, 0.02, 0.03])
def test_on_the_same_streams_a_tenth_of_a_nat_is_found_within_four_days(day_sd: float) -> None:
    assert known(day_sd).within(0.1, SOON) >= 95.0


def test_harm_below_its_margin_is_not_seen() -> None:
    assert known(0.03).within(0.005) <= 5.0


@pytest.mark.parametrize("day_sd", [0.02, 0.03, 0.05])
def test_without_the_margin_good_versions_would_go(day_sd: float) -> None:
    assert found(Case("m = 0", day_sd, tolerate=0.0), STREAMS, (0.0,)).within(0.0) >= 10.0


def test_with_less_than_two_weeks_known_the_margin_is_a_guess() -> None:
    cold = Case("cold start", 0.1, known=13)
    assert set(found(cold, 5, (0.0,)).margins) == {0.02}
    assert found(cold, STREAMS, (0.0,)).within(0.0) > known(0.1).within(0.0)


def test_roll_backs_are_counted_from_the_promotion_with_the_age_at_which_labels_settle() -> None:
    """Gross harm is told when the eighth block closes."""
    gross = found(Case("cold start", 0.0, known=0), 1, (1.0,))
    assert gross.fates[1.0].tolist() == [(8 * 3 * HOUR + SETTLE) / DAY]


@pytest.mark.parametrize(("last", "alarms"), [(109, True), (110, False)])
def test_the_first_block_that_closes_after_fourteen_days_is_the_last_that_is_read(
    last: int, alarms: bool
) -> None:
    """Of 112 blocks 109: labels of the others settle too late. Seven of gross harm make an alarm."""
    watch = opened(Case("28 days known", 0.0), np.zeros(28))
    blocks = np.full(14 * 8, watch.margin)  # which neither wins nor loses
    blocks[last - 7 : last] = 1.0
    assert np.isfinite(fate(watch, blocks.tolist())) == alarms


@pytest.mark.parametrize(("number", "harm"), [(0, 0.0), (1, 0.1), (2, 0.05), (3, 0.05)])
def test_the_loop_reads_a_stream_as_the_simulation_does(number: int, harm: float) -> None:
    """The days and blocks of a stream, given to the loop as rows: margin, wealth and alarm are the same."""
    case = Case("28 days known", 0.03)
    drawn = stream(case, number)
    simulated, blocks = opened(case, drawn.days), drawn.blocks + harm
    deployed = successor(drawn.days, blocks)
    opening = deployed.ground.day_start(OPENING)
    open_watch(deployed, "new", "old", opening, Step(at=opening))
    assert deployed.state.watch.margin == pytest.approx(simulated.margin)
    for block, x in enumerate(blocks.tolist(), deployed.state.watch.block):
        simulated = simulated.read(x)
        assert read_block(deployed, block) == simulated.wealth.alarms
        assert deployed.state.watch.wealth.mean == pytest.approx(simulated.wealth.mean)
    assert simulated.blocks == 14 * 8


OPENING = (
    32  # two days for fits, one that neither counts for, 28 of history, one that is not closed
)


def successor(days: np.ndarray, blocks: np.ndarray) -> Deployed:
    """Twelve rows a block, of which each loses by the new version what the stream says."""
    spare = [np.zeros(8 * n) for n in (3, 1)]
    harm = np.concatenate([spare[0], np.repeat(days, 8), spare[1], blocks])
    asked = local_midnight(BEGIN, ZONE) + np.arange(12 * len(harm)) * (3 * HOUR // 12)
    table = table_of(asked, asked + HOUR, np.ones(len(asked)))
    old = np.full(len(asked), 0.5)
    trainer = Told({"old": old, "new": old * np.exp(-np.repeat(harm, 12))})
    fitted = [
        (name, "history", BEGIN + timedelta(days=n)) for n, name in enumerate(("old", "new"), 1)
    ]
    look = BEGIN + timedelta(days=OPENING)
    return stand(table, trainer, fitted, look=look, champion="old")
