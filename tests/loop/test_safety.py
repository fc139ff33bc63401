"""Is it safe? Floors, the least of requests, strata; false roll-backs and power in short."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from benchmarks.safety import CASES, SOON, stopped
from nenrin.loop.safety import LEAST, NEEDS, Safety, judge
from nenrin.serving.observed import Arm, Split
from nenrin.stats.latency import BINS, bet, bin_of, longer
from nenrin.stats.share import log_evidence


def arm(answered: int, failed: int = 0, seconds: float = 0.01) -> Arm:
    counts = [0] * BINS
    counts[bin_of(seconds)] = answered
    return Arm(
        dealt=answered + failed, answered=answered, failed=failed, faults=failed, seconds=counts
    )


def split(mine: Arm, theirs: Arm, share: float = 0.5, spells: int = 0) -> Split:
    """Both sides' counts; as if they had been told apart by spells, all alike."""
    logs = [0.0, 0.0]
    for _ in range(spells):
        logs = bet(logs, longer(mine.seconds, theirs.seconds))
    return Split(
        deployment="d",
        subject="new",
        against="old",
        share=share,
        spells=spells,
        slower={"": logs} if spells else {},
        mine=mine,
        theirs=theirs,
    )


def breaches(*splits: Split) -> list[str]:
    return [metric.name for metric in judge("new", "old", splits).breaches]


def test_nothing_counted_is_no_evidence() -> None:
    safety = judge("new", "old", [])
    assert [metric.evidence for metric in safety.metrics] == [1.0, 1.0, 1.0]
    assert safety.breaches == ()
    assert safety.why == ""
    assert msgspec.json.decode(msgspec.json.encode(safety.told()), type=Safety) == safety


def test_errors_need_evidence_effect_and_requests() -> None:
    assert breaches(split(arm(160, 40), arm(196, 4))) == ["errors"]
    assert breaches(split(arm(60, 39), arm(196, 4))) == []  # 99 requests
    assert breaches(split(arm(196, 4), arm(160, 40))) == []  # the better one
    many = split(arm(980_000, 20_000), arm(985_000, 15_000))
    assert judge("new", "old", [many]).metrics[0].evidence > NEEDS
    assert breaches(many) == []  # half a point: below the floor


def test_the_words_have_the_numbers() -> None:
    safety = judge("new", "old", [split(arm(160, 40), arm(196, 4))])
    assert safety.why == "20.0% of its requests failed, of the other 2.0%"
    assert safety.requests == (200, 200)


def test_stretches_of_a_canary_multiply_each_by_its_own_share() -> None:
    early, late = split(arm(95, 5), arm(396, 4), 0.2), split(arm(190, 10), arm(98, 2), 0.6)
    evidence = judge("new", "old", [early, late]).metrics[0].evidence
    expected = log_evidence(5, 4, 0.2) + log_evidence(10, 2, 0.6)
    assert evidence == pytest.approx(math.exp(expected))


def test_other_pairs_say_nothing() -> None:
    other = msgspec.structs.replace(split(arm(100, 100), arm(200)), against="older")
    assert judge("new", "old", [other]).requests == (0, 0)


def test_slower_answers_count_from_a_quarter_and_a_millisecond() -> None:
    slow, usual = arm(300, seconds=0.02), arm(300)
    assert breaches(split(slow, usual, spells=8)) == ["latency"]
    assert breaches(split(slow, usual, spells=7)) == []
    assert breaches(split(arm(300, seconds=0.005), usual, spells=20)) == []
    quick = split(arm(300, seconds=0.0008), arm(300, seconds=0.0004), spells=20)
    assert judge("new", "old", [quick]).metrics[1].evidence == 1.0
    few = msgspec.structs.replace(split(arm(9_000), arm(9_000)), slower={"": [5.0, 9.0]})
    assert judge("new", "old", [few]).metrics[1].evidence > NEEDS
    assert breaches(few) == []  # alike on the whole


def test_bets_of_several_planes_are_averaged_and_those_of_stages_add_up() -> None:
    """One stall may strike all planes; a plane's stages follow each other."""
    one = split(arm(300, seconds=0.02), arm(300), spells=4)
    logs = one.slower[""]
    twice = msgspec.structs.replace(one, slower={"observed-0": logs, "observed-1": logs})
    evidence = judge("new", "old", [one]).metrics[1].evidence
    assert judge("new", "old", [twice]).metrics[1].evidence == pytest.approx(evidence)
    stages = [msgspec.structs.replace(one, slower={"observed-0": logs})] * 2
    more = judge("new", "old", stages).metrics[1].evidence
    assert more > evidence**2 / 2


def test_spells_of_the_stages_of_a_canary_add_up() -> None:
    stages = [split(arm(300, seconds=0.02), arm(300), share, spells=4) for share in (0.2, 0.5)]
    assert breaches(*stages) == ["latency"]


def test_what_failed_together_is_one_fault() -> None:
    """Forty requests that waited for one stall, in two spells."""
    stalled = arm(160, 40)
    stalled.faults = 2
    metric = judge("new", "old", [split(stalled, arm(196, 4))]).metrics[0]
    assert metric.effect == pytest.approx(0.18)
    assert not metric.breach


def test_answers_that_lie_elsewhere() -> None:
    mine, theirs = arm(300), arm(300)
    mine.answers = [30] * 5 + [30, 30, 30, 30, 30]
    theirs.answers = [30] * 10
    assert breaches(split(mine, theirs)) == []
    mine.answers = [0] * 9 + [300]
    assert breaches(split(mine, theirs)) == ["answers"]


def test_alone_by_what_the_former_answers() -> None:
    fails = split(arm(80, 20), Arm(), 1.0)
    assert breaches(fails) == ["errors"]
    assert judge("new", "old", [fails]).why == "20.0% of its requests failed"
    assert breaches(split(arm(970, 30), Arm(), 1.0)) == []  # 3 % are tolerated
    assert breaches(split(arm(20, 60), Arm(), 1.0)) == []  # 80 requests are too few
    assert LEAST == 100


@pytest.mark.parametrize("case", [case for case in CASES if case.healthy], ids=lambda c: c.name)
def test_sixty_checks_take_back_a_healthy_version_rarely(case) -> None:  # type: ignore[no-untyped-def]
    """Of 8 streams at most one; ``benchmarks/safety.py`` plays 500."""
    assert np.count_nonzero(stopped(case, 0.5, 8)) <= 1


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_twenty_percent_of_errors_are_found_in_three_checks(share: float) -> None:
    [case] = [case for case in CASES if case.soon]
    checks = stopped(case, share, 20)
    assert np.count_nonzero((checks > 0) & (checks <= SOON)) >= 19
