"""What the alarm of prediction shift promises and sees: false alarms and power, on the same streams. By hand.

    .venv/bin/python benchmarks/shift.py [--streams 200]

Prints Markdown; ``docs/benchmarks.md`` keeps what it printed. A stream is 90 days of 300 answers whose logits
are normal with sd 1. All answers of a day share an effect that is zero on average, in some streams one that
lasts (of the next day's, a share is today's). A shift is added to the logits of the fiftieth day and the 14
after it, of every fourth stream. What is compared, found and remembered is the loop's own.
"""

from __future__ import annotations

import argparse

import numpy as np

from nenrin.monitoring.prediction_shift import Shifts, follow
from nenrin.stats.shift import day_points

SEED = 20_130_904
DAYS, ROWS = 90, 300
BEGINS, ENDS, SOON = 50, 65, 7
SHIFTS = (0.5, 1.0)
CASES = ((0.05, 0.0), (0.2, 0.0), (0.3, 0.0), (0.5, 0.0), (0.3, 0.5), (0.3, 0.7))


def stream(seed: int, sd: float, lasting: float) -> np.ndarray:
    """Logits of the answers, float64 (days, rows)."""
    random = np.random.default_rng([SEED, seed])
    effects = random.normal(size=DAYS)
    for day in range(1, DAYS):
        effects[day] = lasting * effects[day - 1] + np.sqrt(1 - lasting**2) * effects[day]
    logits: np.ndarray = random.normal(size=(DAYS, ROWS)) + sd * effects[:, None]
    return logits


def alarms(logits: np.ndarray) -> list[tuple[int, int]]:
    """First day and end of each alarm."""
    points: dict[int, np.ndarray] = {}
    shifts, found = Shifts(), list[tuple[int, int]]()
    for day, each in enumerate(1 / (1 + np.exp(-logits))):
        points[day] = day_points(each)
        before, (shifts, _) = shifts, follow(shifts, points)
        if shifts.since is None and before.since is not None:
            found.append((before.since, day))
    return found if shifts.since is None else [*found, (shifts.since, DAYS)]


def row(sd: float, lasting: float, streams: int) -> str:
    """A line of the table."""
    cells = [f"{sd}", f"{lasting}"]
    healthy = [alarms(stream(seed, sd, lasting)) for seed in range(streams)]
    cells.append(f"{sum(map(bool, healthy)) / streams:.1%}")
    gone: list[int] = []
    for size in SHIFTS:
        moved = np.zeros((DAYS, 1))
        moved[BEGINS:ENDS] = size
        found = 0
        for seed in range(0, streams, 4):
            lived = alarms(stream(seed, sd, lasting) + moved)
            mine = [each for each in lived if BEGINS <= each[0] < BEGINS + SOON]
            found += bool(mine)
            gone += [end - ENDS for _, end in mine[:1]]
        cells.append(f"{found / len(range(0, streams, 4)):.0%}")
    late = np.quantile(gone, [0.5, 0.95], method="inverted_cdf") if gone else [np.nan, np.nan]
    return "| " + " | ".join([*cells, f"{late[0]:.0f}, {late[1]:.0f}"]) + " |"


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--streams", type=int, default=200)
    streams = asked.parse_args().streams
    titles = [
        "day sd",
        "lasting",
        "false alarm in 90 days",
        *(f"{s} sd found in 7 days" for s in SHIFTS),
    ]
    titles.append("resolved, days after its end: median, 95 %")
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}", flush=True)
    for sd, lasting in CASES:
        print(row(sd, lasting, streams), flush=True)


if __name__ == "__main__":
    main()
