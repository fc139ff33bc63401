"""The main job on the whole of 2013, by hand: budget, heads, prefix, and twelve bad fits.

    .venv/bin/python benchmarks/main_job.py [--only budget heads prefix faults]

Prints Markdown; ``docs/benchmarks.md`` keeps what it printed. Every replay runs in a process of its own;
CPU seconds and memory are those of its whole process tree.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from nenrin.backends.sql.database import Database
from nenrin.core.instants import local_midnight
from nenrin.project.init import write_example

NENRIN = str(Path(sys.executable).with_name("nenrin"))
FIRST = date(2013, 4, 1)
PARTS = ("budget", "heads", "prefix", "faults")


@dataclass
class Cost:
    """What a command took: CPU seconds and peak memory (PSS) of its tree, and seconds on the wall."""

    cpu: float
    wall: float
    peak_mb: float


class Peak(threading.Thread):
    """Samples the proportional set size of a process tree."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.mb = 0.0
        self._root = root
        self.over = threading.Event()

    def run(self) -> None:
        """Sample until told that it is over."""
        while not self.over.wait(0.25):
            self.mb = max(self.mb, sum(map(_pss, _tree(self._root))) / 1024)


def _tree(root: int) -> Iterator[int]:
    yield root
    try:
        children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
        for task in Path(f"/proc/{root}/task").iterdir():
            children += (task / "children").read_text().split()
    except OSError:
        return
    for child in {int(pid) for pid in children}:
        yield from _tree(child)


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def nenrin(folder: Path, *arguments: str, seed: str = "0") -> tuple[str, Cost]:
    """Run a command in ``folder``; what it printed, and what it took."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    process = subprocess.Popen(
        [NENRIN, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    peak = Peak(process.pid)
    peak.start()
    said, _ = process.communicate()
    peak.over.set()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"nenrin {' '.join(arguments)} ended with {process.returncode}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return said, Cost(cpu, time.perf_counter() - start, peak.mb)


def backtest(folder: Path, *arguments: str, seed: str = "0") -> tuple[dict[str, Any], Cost]:
    """A replay's report and cost."""
    said, cost = nenrin(folder, "backtest", "--json", *arguments, seed=seed)
    report: dict[str, Any] = json.loads(said)
    return report, cost


@contextmanager
def project() -> Iterator[Path]:
    """A fresh folder with the flights example."""
    with tempfile.TemporaryDirectory(prefix="nenrin-bench-") as name:
        write_example(Path(name), "flights")
        yield Path(name)


def budget() -> None:
    """What the year costs, and what it shows."""
    with project() as folder:
        report, cost = backtest(folder)
    cpu = report["cost"]["cpu"]
    total = cpu["fit"] + cpu["predict"] + cpu["platform"]
    print("## The year: cost\n")
    print("| | measured | budget |\n|---|---|---|")
    print(f"| CPU of the process tree | {cost.cpu:.0f} s | 300 s |")
    print(f"| of it the platform, as reported | {cpu['platform']:.0f} s | 60 s |")
    print(f"| fit + predict, as reported | {cpu['fit']:.0f} + {cpu['predict']:.0f} s | |")
    print(f"| reported sum against the process tree | {total / cost.cpu - 1:+.1%} | within 3 % |")
    print(f"| wall | {cost.wall:.0f} s | 200 s |")
    print(f"| peak PSS of the tree | {cost.peak_mb:.0f} MB | 2,048 MB |\n")
    print("## The year: result\n")
    print(
        "| policy | log loss | ROC AUC | bias | loop minus it, 95 % interval |\n|---|---|---|---|---|"
    )
    gaps = {gap["against"]: gap for gap in report["differences"]}
    for policy in report["policies"]:
        line, gap = report["total"][policy["name"]], gaps.get(policy["name"])
        shown = f"{gap['mean']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]" if gap else ""
        print(
            f"| {policy['title']} | {line['log_loss']:.4f} | {line['roc_auc']:.4f} "
            f"| {line['bias']:+.4f} | {shown} |"
        )
    counts = ", ".join(f"{name} {count}" for name, count in report["counts"].items())
    print(f"\n{counts}.\n")


def heads() -> None:
    """One and two workers, two hash seeds, two runs."""
    found = {}
    for workers, seed in (("1", "1"), ("2", "2")):
        with project() as folder:
            report, _ = backtest(folder, "--workers", workers, seed=seed)
            found[f"{workers} workers, PYTHONHASHSEED={seed}"] = report["ledger_head"]
            if workers == "2":
                report, _ = backtest(folder, "--workers", workers, seed="3")
                found["the same folder again, PYTHONHASHSEED=3"] = report["ledger_head"]
    print("## The ledger's head\n")
    for name, head in found.items():
        print(f"- {name}: `{head}`")
    print(f"\n{'All equal.' if len(set(found.values())) == 1 else '**They differ.**'}\n")


def prefix() -> None:
    """Data cut at 30 September gives the beginning of the year's events."""
    with project() as folder:
        report, _ = backtest(folder)
        whole = _events(folder, report["id"])
    with project() as folder:
        path = folder / "project.py"
        text = path.read_text()
        for name, column in (
            ("flights", "sched_dep"),
            ("arrivals", "landed_at"),
            ("weather", "observed_at"),
        ):
            text = text.replace(
                f'nr.samples.nycflights13("{name}")',
                f'cut(nr.samples.nycflights13("{name}"), "{column}")',
            )
        first, rest = text.split("\n", 1)
        path.write_text(f"{first}\n{_CUT}{rest}")
        report, _ = backtest(folder)
        short = _events(folder, report["id"])
    end = local_midnight(date(2013, 9, 30), "America/New_York")
    before = [event for event in whole[1:] if event["at"] < end]
    same = [event for event in short[1:] if event["at"] < end] == before
    print("## Prefix\n")
    print(
        f"Data cut at 30 September: {len(before)} events before the cut, "
        f"{'equal, event for event' if same else '**different**'}.\n"
    )


_CUT = """import polars as pl
from datetime import datetime
from zoneinfo import ZoneInfo
END = datetime(2013, 9, 30, 4, tzinfo=ZoneInfo("UTC"))
def cut(frame, time):
    at = pl.col(time)
    if frame.schema[time].time_zone is None:
        at = at.dt.replace_time_zone("America/New_York", ambiguous="earliest")
    return frame.filter(at.dt.convert_time_zone("UTC") < END)
"""


def _events(folder: Path, backtest_id: str) -> list[dict[str, Any]]:
    with Database(f"sqlite:///{folder}/.nenrin/state.db", read_only=True) as units:
        return [
            {"at": e.at, "kind": e.kind, "subject": e.subject, "body": e.body}
            for e in units.events(f"backtest/{backtest_id}")
        ]


def faults() -> None:
    """Twelve looks spread over the year, each with a scrambled and with a shifted fit."""
    days = [FIRST + timedelta(days=7 * week) for week in range(2, 38, 3)]
    print("## Bad fits\n")
    print(
        "| look | scrambled: rolled back after | cost a row | shifted: rolled back after | cost a row |"
    )
    print("|---|---|---|---|---|")
    with project() as folder:
        clean, _ = backtest(folder)
        for day in days:
            cells = []
            for kind in ("scrambled_fit", "shifted_fit"):
                report, _ = backtest(folder, "--inject", f"{kind}:{day}")
                bad = report["bad_week"]
                hours = bad["served_hours"]
                cells.append("never" if hours is None else f"{hours / 24:.1f} days")
                cells.append(f"{bad['policies']['loop']['cost']:+.4f}")
            print(f"| {day} | {' | '.join(cells)} |", flush=True)
        blind, _ = backtest(folder, "--inject", "scrambled_fit:2013-07-29", "--without", "watch")
    rollbacks = clean["counts"]["rollbacks"]
    promotions = clean["counts"]["promotions"]
    print(f"\nWithout a fault {rollbacks} of {promotions} promotions are rolled back.")
    told = blind["bad_week"]["rolled_back"] or "never"
    print(f"With `--without watch` the fit of 29 July is rolled back: {told}.\n")


def main() -> None:
    """Run the parts asked for, and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    wanted = parser.parse_args().only
    for part in PARTS:
        if part in wanted:
            globals()[part]()


if __name__ == "__main__":
    main()
