"""What the safety test of a rollout promises and what it can see, by simulation. By hand.

    .venv/bin/python benchmarks/safety.py [--streams 500]

Prints Markdown; ``docs/benchmarks.md`` keeps what it printed. A stream is a canary's live requests, read
after every hundred of the challenger, sixty times. Sides are dealt by the canary's weight; what befalls a
request (its day, its burst) is drawn for both sides alike. Twenty requests come in a second. A stall holds
up all that one side is asked until it ends; each strikes a side that is drawn. Evidence, floors and alpha
are the loop's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nenrin.loop.safety import judge
from nenrin.serving.observed import ANSWER_BINS, Arm, Split
from nenrin.serving.plane.observed import SPELL
from nenrin.stats.latency import BINS, EDGES, bet, longer

SEED = 20_240_229
CHECKS, A_CHECK = 60, 100
SOON = 3
FALSE_BAR, POWER_BAR = 5.0, 95.0
RATE = 20.0  # requests a second
STALLS = 1 / 20  # a second
STALL_SECONDS = (0.1, 2.0)
WEIGHTS = (0.5, 0.2)
MOST = (0.8, 0.9)  # the challenger has most requests, and the champion few to compare with

Effect = Callable[[np.random.Generator, int], np.ndarray]


def steady(_random: np.random.Generator, n: int) -> np.ndarray:
    """No effect that requests share."""
    return np.zeros(n)


def days(random: np.random.Generator, n: int) -> np.ndarray:
    """Every 500 requests another day, by which everything is multiplied: sd 1 in logarithms."""
    return np.repeat(random.normal(0, 1, n // 500 + 1), 500)[:n]


def bursts(random: np.random.Generator, n: int) -> np.ndarray:
    """Outages of 20 to 200 requests, one in a thousand begins one: most of what comes then fails, slowly."""
    effect = np.zeros(n)
    for start in np.flatnonzero(random.random(n) < 0.001):
        effect[start : start + random.integers(20, 200)] = 3.5
    return effect


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Attributes:
        name: what is told of it.
        failing: part of requests that fail, of the champion and of the challenger.
        slower: the challenger's latency, as a multiple of the champion's.
        shift: what is added to the challenger's answers, in their standard deviations.
        effect: what requests share.
        stalls: whether one side or the other is held up now and then.
        within: seconds after which a request fails.
        healthy: whether a roll-back would be false.
        soon: whether the bar of three checks is for it.
        weights: of the challenger.
    """

    name: str
    failing: tuple[float, float] = (0.02, 0.02)
    slower: float = 1.0
    shift: float = 0.0
    effect: Effect = steady
    stalls: bool = False
    within: float = np.inf
    healthy: bool = False
    soon: bool = False
    weights: tuple[float, ...] = WEIGHTS


CASES = (
    Case("alike, 2 % fail", healthy=True, weights=WEIGHTS + MOST),
    Case("alike, 30 % fail", failing=(0.3, 0.3), healthy=True),
    Case("alike, days differ", effect=days, healthy=True),
    Case("alike, 30 % fail, days differ", failing=(0.3, 0.3), effect=days, healthy=True),
    Case("alike, bursts of failures", effect=bursts, healthy=True),
    Case("alike, one side stalls", stalls=True, healthy=True, weights=WEIGHTS + MOST),
    Case("alike, one side stalls, fails after .5 s", stalls=True, within=0.5, healthy=True),
    Case("2 % -> 20 % fail", failing=(0.02, 0.2), soon=True),
    Case("2 % -> 20 % fail, days differ", failing=(0.02, 0.2), effect=days),
    Case("2 % -> 5 % fail", failing=(0.02, 0.05)),
    Case("2 % -> 3 % fail", failing=(0.02, 0.03)),
    Case("twice as slow", slower=2.0, weights=WEIGHTS + MOST),
    Case("twice as slow, one side stalls", slower=2.0, stalls=True, weights=WEIGHTS + MOST),
    Case("1.5 times as slow", slower=1.5, weights=WEIGHTS + MOST),
    Case("1.1 times as slow (below the floor)", slower=1.1, healthy=True),
    Case("answers moved by 1 sd", shift=1.0),
    Case("answers moved by .2 sd (below the floor)", shift=0.2, healthy=True),
)


@dataclass(frozen=True)
class Spells:
    """What was counted by spells.

    Attributes:
        at: when each was counted, float64 (spells,).
        logs: what its bets then held, float64 (spells, bets).
    """

    at: np.ndarray
    logs: np.ndarray


def spells(asked: np.ndarray, told: np.ndarray, is_mine: np.ndarray, bins: np.ndarray) -> Spells:
    """What a plane counts by spells, plainly.

    Args:
        asked, told: when each request came (ascending), and when it was over; float64 (n,).
        is_mine: the side of each, bool (n,).
        bins: the bin of its seconds; negative: it does not count. int64 (n,).
    """
    at: list[float] = []
    logs = [[0.0, 0.0]]
    start = 0
    while start < len(asked):
        ends = asked[start] + SPELL
        stop = int(np.searchsorted(asked, ends))
        others = np.flatnonzero(
            is_mine[start:] != is_mine[start]
        )  # until both sides have been asked
        stop = max(stop, start + int(others[0]) + 1) if len(others) else len(asked)
        inside = slice(start, stop)
        counts = [
            np.bincount(b[b >= 0], minlength=BINS)
            for b in (bins[inside][is_mine[inside]], bins[inside][~is_mine[inside]])
        ]
        start = int(np.searchsorted(asked, max(ends, told[inside].max()) + SPELL))
        if start < len(asked) and all(each.any() for each in counts):
            at.append(asked[start])
            logs.append(bet(logs[-1], longer(*(each.tolist() for each in counts))))
    return Spells(np.array(at), np.array(logs))


def held_up(asked: np.ndarray, is_mine: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Seconds that each request waits for the end of a stall of its side, float64 (n,)."""
    waits = np.zeros(len(asked))
    for start in np.cumsum(random.exponential(1 / STALLS, int(asked[-1] * STALLS * 2) + 20)):
        end, side = start + random.uniform(*STALL_SECONDS), random.random() < 0.5
        struck = (asked >= start) & (asked < end) & (is_mine == side)
        waits[struck] = np.maximum(waits[struck], end - asked[struck])
    return waits


def stream(case: Case, share: float, random: np.random.Generator) -> int:
    """The check at which one stream is rolled back; 0: never in sixty."""
    mine, theirs = Arm(), Arm()
    split = Split(deployment="d", subject="b", against="a", share=share, mine=mine, theirs=theirs)
    n = int(CHECKS * A_CHECK / share * 1.2)
    is_mine = random.random(n) < share
    effect = case.effect(random, n)
    base = np.where(is_mine, case.failing[1], case.failing[0])
    failed = random.random(n) < np.minimum(base * np.exp(effect), 0.95)
    log_seconds = np.log(0.01) + 0.5 * random.normal(size=n) + effect / 2
    seconds = np.exp(log_seconds) * np.where(is_mine, case.slower, 1.0)
    value = random.normal(size=n) + effect / 2 + case.shift * is_mine
    edges = np.quantile(value[~is_mine][:100], np.arange(1, ANSWER_BINS) / ANSWER_BINS)
    split.edges = edges.tolist()
    bins = np.searchsorted(edges, value, side="right")
    asked = np.cumsum(random.exponential(1 / RATE, n))
    if case.stalls:
        seconds += held_up(asked, is_mine, random)
    late = seconds > case.within
    failed &= ~late
    seconds = np.minimum(seconds, case.within)
    slow = np.searchsorted(EDGES, seconds)
    spelt = np.where(failed, -1, np.where(late, BINS - 1, slow))
    counted = spells(asked, asked + seconds, is_mine, spelt)
    ends = np.flatnonzero(is_mine)[A_CHECK - 1 :: A_CHECK][:CHECKS] + 1
    for check, (lo, hi) in enumerate(zip([0, *ends[:-1]], ends, strict=True), start=1):
        for arm, side in ((mine, True), (theirs, False)):
            here = is_mine[lo:hi] == side
            well = here & ~failed[lo:hi] & ~late[lo:hi]
            arm.dealt += int(here.sum())
            arm.failed += int((here & ~well).sum())
            arm.faults += int((here & failed[lo:hi]).sum())
            arm.answered += int(well.sum())
            took = spelt[lo:hi][here & ~failed[lo:hi]]
            arm.seconds = (arm.seconds + np.bincount(took, minlength=BINS)).tolist()
            counts = np.bincount(bins[lo:hi][well], minlength=ANSWER_BINS)
            arm.answers = (arm.answers + counts).tolist()
        split.spells = int(np.searchsorted(counted.at, asked[hi - 1], side="right"))
        split.slower = {"": counted.logs[split.spells].tolist()}
        if judge("b", "a", [split]).breaches:
            return check
    return 0


def stopped(case: Case, share: float, streams: int, seed: int = SEED) -> np.ndarray:
    """The check at which each of some streams is rolled back, int64 (streams,); 0: never."""
    seeds = np.random.SeedSequence([seed, int(share * 100)]).spawn(streams)
    found = [stream(case, share, np.random.default_rng(each)) for each in seeds]
    return np.array(found, dtype=np.int64)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=500)
    streams = parser.parse_args().streams
    print("| | weight | rolled back in 60 checks | in 3 checks | median check | bar |")
    print("|---|---|---|---|---|---|")
    for case in CASES:
        for share in case.weights:
            checks = stopped(case, share, streams)
            found = checks[checks > 0]
            ever, soon = 100 * np.mean(checks > 0), 100 * np.mean((checks > 0) & (checks <= SOON))
            bar = ""
            if case.healthy:
                bar = f"<= {FALSE_BAR} %: {'met' if ever <= FALSE_BAR else '**missed**'}"
            elif case.soon:
                bar = f">= {POWER_BAR} % in 3: {'met' if soon >= POWER_BAR else '**missed**'}"
            median = f"{np.median(found):.0f}" if len(found) else ""
            print(f"| {case.name} | {share:.0%} | {ever:.1f} % | {soon:.1f} % | {median} | {bar} |")


if __name__ == "__main__":
    main()
