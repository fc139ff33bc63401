"""How much successors differ from what they replaced on the flights of 2013, as the watch reads it. By hand.

    .venv/bin/python benchmarks/watched_flights.py [--serve champion]

Prints Markdown: quantiles, over the promotions of a backtest without a fault, of the paired loss differences
that each one's watch read. It says which rows of ``benchmarks/watch.py`` are realistic. Takes two minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np

from nenrin.cli.app import main as nenrin
from nenrin.loop import closing
from nenrin.loop.deployed import Deployed
from nenrin.loop.watching import LEAST_LABELS, differences, read_block
from nenrin.project.init import write_example

QUANTILES = (("median", 0.5), ("90 %", 0.9), ("greatest", 1.0))


@dataclass
class Watched:
    """What one promotion's watch read: its margin, and the row differences of each day's blocks."""

    margin: float
    days: dict[int, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))

    def spread(self) -> tuple[float, ...]:
        """Standard deviations of rows within blocks, of blocks within days and of days; mean; margin."""
        blocks = [rows for day in self.days.values() for rows in day]
        return (
            _within([rows for rows in blocks if len(rows) >= LEAST_LABELS]),
            _within([np.array([rows.mean() for rows in day]) for day in self._full_days()]),
            float(np.std([np.concatenate(day).mean() for day in self.days.values()], ddof=1)),
            float(np.concatenate(blocks).mean()),
            self.margin,
        )

    def _full_days(self) -> list[list[np.ndarray]]:
        kept = [[r for r in day if len(r) >= LEAST_LABELS] for day in self.days.values()]
        return [day for day in kept if len(day) > 1]


def _within(groups: list[np.ndarray]) -> float:
    """Pooled standard deviation within groups."""
    squares = sum(float(np.var(each)) * len(each) for each in groups)
    return float(np.sqrt(squares / sum(len(each) - 1 for each in groups)))


def replayed(serve: str) -> list[Watched]:
    """Replay the flights, and keep what every watch reads; watches of three days and more."""
    seen: dict[str, Watched] = {}

    def reading(deployed: Deployed, block: int) -> bool:
        watch = deployed.state.watch
        if watch is not None and block >= watch.block:
            rows = differences(deployed, watch, block, block)
            kept = seen.setdefault(watch.subject, Watched(watch.margin))
            if len(rows):
                kept.days[deployed.ground.day_of(block)].append(rows)
        return read_block(deployed, block)

    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = Path(name)
        write_example(folder, "flights")
        file = folder / "project.py"
        file.write_text(file.read_text().replace('serve="mixture"', f'serve="{serve}"'))
        with (
            mock.patch.object(closing, "read_block", reading),
            mock.patch.object(sys, "argv", ["nenrin", "backtest", "--json"]),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            try:
                nenrin()
            except SystemExit as end:
                if end.code:
                    raise
    return [each for each in seen.values() if len(each.days) >= 3]


def main() -> None:
    """Replay and print."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--serve", choices=("mixture", "champion"), default="mixture")
    serve = options.parse_args().serve
    os.environ.setdefault("PYTHONHASHSEED", "0")
    watched = replayed(serve)
    spreads = np.array([each.spread() for each in watched])
    print(
        f'| flights, serve="{serve}", {len(watched)} promotions | {" | ".join(q for q, _ in QUANTILES)} |'
    )
    print("|---|---|---|---|")
    names = ("rows within a block, sd", "blocks within a day, sd", "days, sd", "mean", "margin m")
    for name, of in zip(names, spreads.T, strict=True):
        print(f"| {name} | {' | '.join(f'{np.quantile(of, q):.4f}' for _, q in QUANTILES)} |")


if __name__ == "__main__":
    main()
