"""Evidence from a share: against exact sums and a plain loop, and its promise however often one looks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nenrin.stats.share import ODDS_RATIOS, log_evidence, log_mean


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.8])
def test_its_mean_is_one_where_events_fall_by_the_share(share: float) -> None:
    n = 30
    chances = [math.comb(n, a) * share**a * (1 - share) ** (n - a) for a in range(n + 1)]
    mean = sum(c * math.exp(log_evidence(a, n - a, share)) for a, c in enumerate(chances))
    assert mean == pytest.approx(1.0)


def test_it_is_the_mean_of_bets_laid_one_event_at_a_time() -> None:
    random, share = np.random.default_rng(3), 0.3
    mine = random.random(60) < 0.6
    bets = np.ones(len(ODDS_RATIOS))
    for is_mine in mine:
        for place, odds in enumerate(ODDS_RATIOS):
            q = share * odds / (share * odds + 1 - share)
            bets[place] *= q / share if is_mine else (1 - q) / (1 - share)
    found = log_evidence(int(mine.sum()), int((~mine).sum()), share)
    assert found == pytest.approx(math.log(bets.mean()))


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_looking_after_every_event_alarms_falsely_at_most_as_promised(share: float) -> None:
    """Exactly, by the recursion over (mine, theirs): the chance that 20 is ever reached in 300 events."""
    alive, alarmed = {0: 1.0}, 0.0
    for n in range(1, 301):
        after: dict[int, float] = {}
        for mine, chance in alive.items():
            after[mine + 1] = after.get(mine + 1, 0.0) + chance * share
            after[mine] = after.get(mine, 0.0) + chance * (1 - share)
        crossed = {a for a in after if log_evidence(a, n - a, share) >= math.log(20)}
        alarmed += sum(after.pop(mine) for mine in crossed)
        alive = after
    assert 0.005 < alarmed <= 0.05


def test_fewer_events_than_the_share_are_no_evidence() -> None:
    assert log_evidence(0, 40, 0.5) < 0
    assert log_evidence(0, 0, 0.5) == 0.0


def test_large_counts_stay_finite() -> None:
    assert math.isfinite(log_evidence(10**7, 10**7, 0.2))
    assert log_mean(np.array([-1e6, -1e6])) == pytest.approx(-1e6)
