"""What the safety test of a rollout promises and what it can see, by simulation. By hand.

    .venv/bin/python benchmarks/safety.py [--streams 500]

Prints Markdown; ``docs/benchmarks.md`` keeps what it printed. A stream is a canary's live requests, read
after every hundred of the challenger, sixty times. Sides are dealt by the canary's weight; what befalls a
request (its day, its burst) is drawn for both sides alike. Counts, evidence, floors and alpha are the
loop's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nenrin.loop.safety import judge
from nenrin.serving.observed import ANSWER_BINS, Arm, Split
from nenrin.stats.latency import BINS, EDGES

SEED = 20_240_229
CHECKS, A_CHECK = 60, 100
SOON = 3
FALSE_BAR, POWER_BAR = 5.0, 95.0

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
        healthy: whether a roll-back would be false.
        soon: whether the bar of three checks is for it.
    """

    name: str
    failing: tuple[float, float] = (0.02, 0.02)
    slower: float = 1.0
    shift: float = 0.0
    effect: Effect = steady
    healthy: bool = False
    soon: bool = False


CASES = (
    Case("alike, 2 % fail", healthy=True),
    Case("alike, 30 % fail", failing=(0.3, 0.3), healthy=True),
    Case("alike, days differ", effect=days, healthy=True),
    Case("alike, 30 % fail, days differ", failing=(0.3, 0.3), effect=days, healthy=True),
    Case("alike, bursts of failures", effect=bursts, healthy=True),
    Case("2 % -> 20 % fail", failing=(0.02, 0.2), soon=True),
    Case("2 % -> 20 % fail, days differ", failing=(0.02, 0.2), effect=days),
    Case("2 % -> 5 % fail", failing=(0.02, 0.05)),
    Case("2 % -> 3 % fail", failing=(0.02, 0.03)),
    Case("twice as slow", slower=2.0),
    Case("1.5 times as slow", slower=1.5),
    Case("1.1 times as slow (below the floor)", slower=1.1, healthy=True),
    Case("answers moved by 1 sd", shift=1.0),
    Case("answers moved by .2 sd (below the floor)", shift=0.2, healthy=True),
)


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
    seconds = np.searchsorted(EDGES, np.exp(log_seconds) * np.where(is_mine, case.slower, 1.0))
    value = random.normal(size=n) + effect / 2 + case.shift * is_mine
    edges = np.quantile(value[~is_mine][:100], np.arange(1, ANSWER_BINS) / ANSWER_BINS)
    split.edges = edges.tolist()
    bins = np.searchsorted(edges, value, side="right")
    ends = np.flatnonzero(is_mine)[A_CHECK - 1 :: A_CHECK][:CHECKS] + 1
    for check, (lo, hi) in enumerate(zip([0, *ends[:-1]], ends, strict=True), start=1):
        for arm, side in ((mine, True), (theirs, False)):
            asked = is_mine[lo:hi] == side
            well = asked & ~failed[lo:hi]
            arm.dealt += int(asked.sum())
            arm.failed += int((asked & failed[lo:hi]).sum())
            arm.answered += int(well.sum())
            arm.seconds = (arm.seconds + np.bincount(seconds[lo:hi][well], minlength=BINS)).tolist()
            counts = np.bincount(bins[lo:hi][well], minlength=ANSWER_BINS)
            arm.answers = (arm.answers + counts).tolist()
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
        for share in (0.5, 0.2):
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
