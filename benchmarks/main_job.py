"""The main job on the whole of 2013, by hand: budget, heads, prefix, and bad fits.

    .venv/bin/python benchmarks/main_job.py [--only cost heads prefix faults demo] [--every 3]

Prints Markdown; ``docs/benchmarks.md`` keeps what it printed. Every replay runs in a process of its own, as
a user's does; CPU seconds and memory are those of its whole process tree, as the system counts them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nenrin.backends.sql.database import Database
from nenrin.core.instants import local_midnight
from nenrin.project.init import write_example

NENRIN = str(Path(sys.executable).with_name("nenrin"))
FIRST, LAST_WEEK = date(2013, 4, 1), 38
CUT = date(2013, 9, 30)
PARTS = ("cost", "heads", "prefix", "faults", "demo")


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
        tasks = list(Path(f"/proc/{root}/task").iterdir())
        children = {int(p) for task in tasks for p in (task / "children").read_text().split()}
    except OSError:
        return
    for child in children:
        yield from _tree(child)


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def nenrin(folder: Path, *arguments: str, seed: str = "0") -> tuple[str, Cost]:
    """Run a command in ``folder``; what it printed, and what it took."""
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):  # modules are compiled once, as anywhere
        environment["PYTHONPYCACHEPREFIX"] = f"{tempfile.gettempdir()}/nenrin-bench-{os.getuid()}"
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
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


class Bench:
    """Folders with the flights example, each made and replayed when a part first needs it.

    Args:
        scratch: where they are made.
        every: weeks between the looks that are struck by a bad fit.
    """

    def __init__(self, scratch: Path, every: int) -> None:
        self._scratch = scratch
        self._every = every

    def folder(self, name: str) -> Path:
        """A fresh folder with the example."""
        path = self._scratch / name
        path.mkdir()
        write_example(path, "flights")
        return path

    @cached_property
    def year(self) -> tuple[Path, dict[str, Any], Cost]:
        """The year in a fresh folder: the folder, the report, the cost."""
        path = self.folder("year")
        return path, *backtest(path)

    def cost(self) -> None:
        """What the year costs, and what it shows."""
        _, report, cost = self.year
        cpu = report["cost"]["cpu"]
        total = cpu["fit"] + cpu["predict"] + cpu["platform"]
        print("## The year: cost\n")
        print("| `nenrin backtest` | measured | budget |\n|---|---|---|")
        print(f"| CPU of the process tree | {cost.cpu:.0f} s | 300 s |")
        print(f"| of it the platform | {cpu['platform']:.0f} s | 60 s |")
        print(f"| of it fit + predict | {cpu['fit']:.0f} + {cpu['predict']:.0f} s | |")
        print(f"| reported sum against the process tree | {total / cost.cpu - 1:+.1%} | ±3 % |")
        print(f"| wall | {cost.wall:.0f} s | 200 s on a quiet machine |")
        print(f"| peak PSS of the tree | {cost.peak_mb:.0f} MB | 2,048 MB |\n")
        self._result(report)

    def _result(self, report: dict[str, Any]) -> None:
        print("## The year: result\n")
        print("| policy | log loss | ROC AUC | bias | loop minus it, 95 % interval |")
        print("|---|---|---|---|---|")
        gaps = {gap["against"]: gap for gap in report["differences"]}
        for policy in report["policies"]:
            line, gap = report["total"][policy["name"]], gaps.get(policy["name"])
            shown = f"{gap['mean']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]" if gap else ""
            print(
                f"| {policy['title']} | {line['log_loss']:.4f} | {line['roc_auc']:.4f} "
                f"| {line['bias']:+.4f} | {shown} |"
            )
        counts = ", ".join(f"{name} {count}" for name, count in report["counts"].items())
        labels = ", ".join(f"{name} {count:,}" for name, count in report["labels"].items())
        print(f"\n{counts}.\n\nLabels: {labels}; they settle in {report['settle_age']}.\n")

    def heads(self) -> None:
        """One and two workers, two hash seeds, two runs."""
        folder, report, _ = self.year
        found = {"2 workers, PYTHONHASHSEED=0": report["ledger_head"]}
        again, _ = backtest(folder, seed="3")
        found["the same folder again, PYTHONHASHSEED=3"] = again["ledger_head"]
        one, _ = backtest(self.folder("one"), "--workers", "1", seed="1")
        found["another folder, 1 worker, PYTHONHASHSEED=1"] = one["ledger_head"]
        print("## The ledger's head\n")
        for name, head in found.items():
            print(f"- {name}: `{head}`")
        print(f"\n{'All equal.' if len(set(found.values())) == 1 else '**They differ.**'}\n")

    def prefix(self) -> None:
        """Data cut at 30 September gives the beginning of the year's events."""
        folder, report, _ = self.year
        whole = _events(folder, report["id"])
        path = self.folder("cut")
        cut_loaders(path / "project.py", CUT)
        shorter, _ = backtest(path)
        short = _events(path, shorter["id"])
        end = local_midnight(CUT, "America/New_York")
        before = [event for event in whole[1:] if event["at"] < end]
        same = [event for event in short[1:] if event["at"] < end] == before
        print("## Prefix\n")
        print(
            f"Data cut at the beginning of {CUT}: {len(before)} events before it without the opening "
            f"one, {'equal, event for event' if same else '**different**'}.\n"
        )

    def faults(self) -> None:
        """Looks spread over the year, each with a scrambled and with a shifted fit."""
        folder, clean, _ = self.year
        days = [FIRST + timedelta(days=7 * week) for week in range(2, LAST_WEEK + 1, self._every)]
        print("## Bad fits\n")
        print(
            "A row for each look at which every fit was bad. *Served*: days until the bad version"
        )
        print(
            "answered no more, because it was rolled back or because a fresh fit took its place.\n"
        )
        print(
            "| look | scrambled: rolled back after | cost a row "
            "| shifted: rolled back after | served | cost a row |"
        )
        print("|---|---|---|---|---|---|")
        found: dict[str, list[tuple[float | None, float]]] = {
            "scrambled_fit": [],
            "shifted_fit": [],
        }
        for day in days:
            cells = []
            for kind, results in found.items():
                report, _ = backtest(folder, "--inject", f"{kind}:{day}")
                bad = report["bad_week"]
                hours, harm = bad["served_hours"], bad["policies"]["loop"]
                results.append((hours and hours / 24, harm["hours"] / 24))
                cells.append("never" if hours is None else f"{hours / 24:.1f} d")
                cells += [f"{harm['hours'] / 24:.1f} d"] if kind == "shifted_fit" else []
                cells.append(f"{harm['cost']:+.4f}")
            print(f"| {day} | {' | '.join(cells)} |", flush=True)
        print()
        for kind, most in (("scrambled_fit", 4), ("shifted_fit", 7)):
            self._share(kind, found[kind], most)
        blind, _ = backtest(folder, "--inject", "scrambled_fit:2013-07-29", "--without", "watch")
        counts = clean["counts"]
        told = blind["bad_week"]["rolled_back"] or "never"
        print(
            f"- Without a fault {counts['rollbacks']} of {counts['promotions']} promotions are rolled back."
        )
        print(f"- With `--without watch` the scrambled fit of 29 July is rolled back: {told}.\n")

    def _share(self, kind: str, results: list[tuple[float | None, float]], most: int) -> None:
        back = [days for days, _ in results if days is not None]
        soon = sum(days <= most for days in back)
        median = f", median {statistics.median(back):.1f} days" if back else ""
        served = sum(days <= most for _, days in results)
        print(
            f"- {kind}: {soon} of {len(results)} rolled back within {most} days{median}; "
            f"{served} out of service within {most} days."
        )

    def demo(self) -> None:
        """`nenrin demo` as a newcomer types it, the bad week included."""
        _, cost = nenrin(self._scratch, "demo")
        print("## The demo\n")
        print("| `nenrin demo` | measured | budget |\n|---|---|---|")
        print(f"| CPU of the process tree | {cost.cpu:.0f} s | 400 s |")
        print(f"| wall | {cost.wall:.0f} s | 300 s on a quiet machine |")
        print(f"| peak PSS of the tree | {cost.peak_mb:.0f} MB | 2,048 MB |\n")


def cut_loaders(path: Path, end: date) -> None:
    """Let the project's loaders give only what had happened before a day of New York's began."""
    text = path.read_text()
    times = {"flights": "sched_dep", "arrivals": "landed_at", "weather": "observed_at"}
    for name, column in times.items():
        loaded = f'nr.samples.nycflights13("{name}")'
        text = text.replace(loaded, f'cut({loaded}, "{column}")')
    first, rest = text.split("\n", 1)
    day = f"{end.year}, {end.month}, {end.day}"
    path.write_text(f"{first}\n{_CUT.replace('DAY', day)}{rest}")


_CUT = """import polars as pl
from datetime import datetime
from zoneinfo import ZoneInfo
END = datetime(DAY, tzinfo=ZoneInfo("America/New_York"))
def cut(frame, time):
    at = pl.col(time)
    if frame.schema[time].time_zone is None:
        at = at.dt.replace_time_zone("America/New_York", ambiguous="earliest")
    return frame.filter(at.dt.convert_time_zone("America/New_York") < END)
"""


def _events(folder: Path, backtest_id: str) -> list[dict[str, Any]]:
    with Database(f"sqlite:///{folder}/.nenrin/state.db", read_only=True) as units:
        return [
            {"at": e.at, "kind": e.kind, "subject": e.subject, "body": e.body}
            for e in units.events(f"backtest/{backtest_id}")
        ]


def _machine() -> str:
    names = ("lightgbm", "numpy", "polars", "scikit-learn")
    listed = ", ".join(f"{name} {version(name)}" for name in names)
    busy = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {listed}; "
        f"load when it began: {busy:.1f}."
    )


def main() -> None:
    """Run the parts asked for, and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--every", type=int, default=3, help="weeks between looks with a bad fit")
    wanted = parser.parse_args()
    print(f"{_machine()}\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="nenrin-bench-") as scratch:
        bench = Bench(Path(scratch), wanted.every)
        for part in PARTS:
            if part in wanted.only:
                getattr(bench, part)()
                sys.stdout.flush()


if __name__ == "__main__":
    main()
