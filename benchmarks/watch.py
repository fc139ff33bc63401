"""What the watch promises and what it can see: false roll-backs and power, on the same streams. By hand.

    .venv/bin/python benchmarks/watch.py [--streams 500]

Prints Markdown; ``docs/benchmarks.md`` keeps what it printed. A stream is what a successor differs by from
the version it replaced, in nats a row: 28 days before the promotion and 14 after it, eight blocks of three
hours each. All blocks of a day share an effect that is zero on average; rows add noise. Every cell reads
the same draws: day effects are scaled, and a harm is added to the blocks after the promotion. Margin, clip,
bets, alarm and end are the loop's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nenrin.core.instants import DAY, HOUR
from nenrin.loop.deployed import Options
from nenrin.loop.state import Watch
from nenrin.stats.betting import MARGIN_DAYS, clip_of, margin

SEED = 20_240_229
HISTORY = 28  # days before the promotion that the margin is taken from
BLOCK, BLOCKS_A_DAY = 3 * HOUR, 8
SETTLE = 9 * HOUR  # the settle age of the flights of 2013
ROWS_A_DAY = 1000
ROW_SD = 0.25
DAY_SDS = (0.01, 0.02, 0.03, 0.05, 0.1)
HARMS = (0.1, 0.05, 0.02, 0.005)  # nats a row
SOON = 4.0  # days
FALSE_BAR, POWER_BAR, POWER_UP_TO = 5.0, 95.0, 0.03


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Attributes:
        name: what is told of it.
        day_sd: standard deviation of the effect that a day's blocks share, nats.
        known: days before the promotion on which both versions can be compared.
        persistence: correlation of a day's effect with that of the day before.
        barred: whether the bars are for it.
        tolerate: the margin; None: the loop's, from the days before.
        row_sd: standard deviation of the rows' differences, nats.
    """

    name: str
    day_sd: float
    known: int = HISTORY
    persistence: float = 0.0
    barred: bool = False
    tolerate: float | None = None
    row_sd: float = ROW_SD


@dataclass(frozen=True)
class Stream:
    """Mean differences of a successor that is no worse on average.

    Attributes:
        days: day means before the promotion, float64 (28,).
        blocks: block means after it, float64 (14 * 8,).
    """

    days: np.ndarray
    blocks: np.ndarray


@dataclass(frozen=True)
class Found:
    """What came of a case's streams.

    Attributes:
        margins: the margin of each.
        fates: for each harm, the days from promotion to roll-back of each stream; infinity: never.
    """

    margins: np.ndarray
    fates: dict[float, np.ndarray]

    def within(self, harm: float, days: float | None = None) -> float:
        """Percent of the streams with that harm that are rolled back within so many days, or at all."""
        fates = self.fates[harm]
        return 100.0 * float(np.mean(np.isfinite(fates) if days is None else fates <= days))


def stream(case: Case, number: int) -> Stream:
    """Stream ``number`` of a case; the draws are the same in every case."""
    random = np.random.default_rng([SEED, number])
    watched = Options().watch_for // DAY
    shocks = random.normal(size=HISTORY + watched)
    effects = np.empty_like(shocks)
    effects[0] = shocks[0]
    fresh = np.sqrt(1.0 - case.persistence**2)
    for day in range(1, len(shocks)):
        effects[day] = case.persistence * effects[day - 1] + fresh * shocks[day]
    noise = random.normal(size=(HISTORY + watched, BLOCKS_A_DAY))
    block_sd = case.row_sd / np.sqrt(ROWS_A_DAY / BLOCKS_A_DAY)
    means = case.day_sd * effects[:, None] + block_sd * noise
    return Stream(means[:HISTORY].mean(axis=1), means[HISTORY:].ravel())


def opened(case: Case, days: np.ndarray) -> Watch:
    """The watch that the loop opens after these days, at instant 0."""
    cap = clip_of("log_loss", np.empty(0))
    m = margin(days[HISTORY - case.known :], cap) if case.tolerate is None else case.tolerate
    return Watch(subject="new", ref="old", ref_since=0, opened=0, margin=m, cap=cap, block=0)


def fate(watch: Watch, blocks: Sequence[float]) -> float:
    """Days from the promotion to the roll-back, the settle age included; infinity: none."""
    for number, harm in enumerate(blocks):
        closes = (number + 1) * BLOCK + SETTLE
        watch = watch.read(harm)
        if watch.wealth.alarms:
            return closes / DAY
        if watch.over(closes, Options().watch_for):
            break
    return float("inf")


def found(case: Case, streams: int, harms: Sequence[float] = (0.0, *HARMS)) -> Found:
    """Let the watch read the streams of a case, with each harm added after the promotion."""
    drawn = [stream(case, number) for number in range(streams)]
    watches = [opened(case, each.days) for each in drawn]
    fates = {
        harm: np.array(
            [
                fate(watch, (each.blocks + harm).tolist())
                for watch, each in zip(watches, drawn, strict=True)
            ]
        )
        for harm in harms
    }
    return Found(np.array([watch.margin for watch in watches]), fates)


def cases() -> Iterator[Case]:
    """The rows of the table, in order."""
    for day_sd in DAY_SDS:
        yield Case("28 days known", day_sd, barred=True)
    for day_sd in DAY_SDS:
        yield Case("cold start", day_sd, known=MARGIN_DAYS - 1)
    for day_sd in (0.02, 0.05, 0.1):
        yield Case("days follow days, .7", day_sd, persistence=0.7)
    for row_sd in (0.06, 0.5):
        for day_sd in (0.03, 0.1):
            yield Case(f"28 days known, rows of sd {row_sd:g}", day_sd, row_sd=row_sd)
    for day_sd in DAY_SDS:
        yield Case("28 days known, m = 0", day_sd, tolerate=0.0)


def bars(case: Case, result: Found) -> str:
    """Whether the bars are met, where there are any."""
    if not case.barred:
        return ""
    missed = []
    if result.within(0.0) > FALSE_BAR:
        missed.append("false")
    if case.day_sd <= POWER_UP_TO and result.within(0.1, SOON) < POWER_BAR:
        missed.append("power")
    return f"**missed**: {', '.join(missed)}" if missed else "met"


def percent(share: float) -> str:
    """A percentage with one decimal."""
    return f"{share:.1f} %"


def row(case: Case, result: Found) -> str:
    """A row of the table."""
    day = float(np.median(result.fates[0.1]))
    cells = [
        case.name,
        f"{case.day_sd:g}",
        f"{np.median(result.margins):.3f}",
        percent(result.within(0.0)),
        *(percent(result.within(harm, SOON)) for harm in HARMS[:3]),
        *(percent(result.within(harm)) for harm in HARMS[1:]),
        f"{day:.1f}" if np.isfinite(day) else "never",
        bars(case, result),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Simulate and print."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--streams", type=int, default=500)
    streams = options.parse_args().streams
    days = Options().watch_for // DAY
    heads = [
        "",
        "day sd",
        "median m",
        f"false, {days} d",
        *(f"{harm:g} nat, {SOON:g} d" for harm in HARMS[:3]),
        *(f"{harm:g} nat, {days} d" for harm in HARMS[1:]),
        f"{HARMS[0]:g} nat: median days",
        "bars",
    ]
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")
    for case in cases():
        print(row(case, found(case, streams)), flush=True)
    print(
        f"\n{streams} streams a row; rows of sd {ROW_SD:g}, {ROWS_A_DAY} a day. Bars: false at most "
        f"{FALSE_BAR:g} %; .1 nat found within {SOON:g} days in at least {POWER_BAR:g} % where the day sd "
        f"is at most {POWER_UP_TO:g}."
    )


if __name__ == "__main__":
    main()
