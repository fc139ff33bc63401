"""What fifty isolated steps cost, kept ones, the queue, and a process that waits. By hand.

    .venv/bin/python benchmarks/pipelines.py [--only steps queue idle] [--repeats 5] [--jobs 10000]

Prints Markdown: each figure beside its bar, CPU seconds beside those on the wall, and the load. Commands are
processes of their own in folders of their own, with a home of their own; modules are compiled once, as
anywhere. CPU seconds are those of a command's process tree, as the system counts them. Figures are medians,
and in brackets the least and the most.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from costs import LOADS, Cost, Costs, Folder, cpu_of
from fifty_steps import MODULUS, ROWS, TOTAL, graph, number, total

from nenrin.backends.compute import footprint
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.jobs import SqlJobs
from nenrin.core.calendar import SystemCalendar
from nenrin.core.jobs import Job, Room
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.dispatcher import Dispatcher
from nenrin.pipelines.executor import Task
from nenrin.pipelines.logs import StepLogs
from nenrin.project.init import write_example

PARTS = ("steps", "queue", "idle")
MB = 1e6
WORKERS = 2

HEAD = '''"""Sums of sums; each call says so."""
import os
from pathlib import Path

import polars as pl

import nenrin as nr

CALLS = Path(__file__).parents[3] / "calls"


def called(name):
    with CALLS.open("a") as file:
        file.write(f"{name} {os.getpid()}\\n")
'''
FIRST = """

@nr.step
def {name}():
    called("{name}")
    return pl.DataFrame({{"v": [(n + {number}) % {modulus} for n in range({rows})]}})
"""
LATER = """

@nr.step
def {name}({reads}):
    called("{name}")
    rows = zip(*(frame["v"].to_list() for frame in [{reads}]))
    return pl.DataFrame({{"v": [(sum(row) + {number}) % {modulus} for row in rows]}})
"""
LAST = """

@nr.step
def {name}({reads}):
    called("{name}")
    return sum(sum(frame["v"].to_list()) for frame in [{reads}])
"""
UNFORKABLE = """
SUM = pl.DataFrame({"v": range(10)}).lazy().select(pl.col("v").sum()).collect()
"""

PEERS = """\
| recorded elsewhere, pandas frames | isolation | ms a step (CPU) | fresh s (CPU) \
| re-run s (bodies run) | cold s | 1 step s |
|---|---|---|---|---|---|---|
| plain loop | none | 0 | 0.4 (0.5) | 0.5 (50) | 0.5 | 0.5 |
| prototype of forked steps, no logs, no API | forked process | 14 (22) | 1.2 (1.6) | 0.47 (0) | 1.3 | 0.5 |
| Kedro 1.7.0 | none | 8 | 1.4 (1.2) | 1.0 (0: the file exists) | 1.5 | 1.0 |
| Luigi 3.8.1, 2 workers | forked process | 16 | 1.3 (1.9) | 0.6 (0: the file exists) | 2.2 | 0.6 |
| Hamilton 1.90 | none | 13 | 1.2 (0.8) | 0.6 (0) | 1.1 | 0.5 |
| flytekit 1.16.31 | none | 16 | 2.3 (2.3) | 1.4 (0) | 2.5 | 1.6 |
| DBOS 3.4.0, SQLite | none | 1 | 2.1 (1.3) | 2.1 (50) | 2.1 | 2.0 |
| Dask 2026.8 | worker pool | ~0 | 2.0 (2.8) | 1.9 (50) | 1.9 | 2.1 |
| Ray 2.60.0 | worker pool | 8 | 6.9 (3.3 + daemons) | 6.9 (50) | 7.2 | 6.5 |
| Prefect 3.8.8 | none | hidden (25) | 10.4 (10.5) | 12.0 (24) | 28.3 | 10.4 |
| Dagster 1.13.27, in process | none | 236 (76) | 14.8 (6.3) | 13.9 (50) | 14.8 | 3.2 |
| Dagster 1.13.27, default | process | 1728 (2598) | 90.6 (133) | no cache | | 5.9 |
| Airflow 3.3.2 `dags test` | none | 178 (95) | 18.8 (14.5) | 17.3 (50) | 19.8 + 10.4 | 10.0 |
| ZenML 0.98.0 | none | 474 (221) | 30.1 (17.3) | 10.6 (0) | 33.6 | 6.9 |
| KFP 2.17.0 | process | 542 | 28.3 (30.9) | no cache | | 1.8 |
| DVC 3.67.1 | process | 931 | 47.9 (47.4) | 2.8 (0) | 41.3 | 2.3 |
| Metaflow 2.19.39 | process | 1172 (1591) | 58.2 (78.5) | 4.1 (0: `resume`) | 60.0 | 2.0 |
"""


def fifty(steps: int, *, forkable: bool = True) -> str:
    """A project of the first ``steps`` of the graph; one that computes at import cannot be forked."""
    text = HEAD if forkable else HEAD + UNFORKABLE
    for name, reads in list(graph().items())[:steps]:
        form = LAST if name == TOTAL else LATER if reads else FIRST
        adds = 0 if name == TOTAL else number(name)
        text += form.format(
            name=name, reads=", ".join(reads), number=adds, modulus=MODULUS, rows=ROWS
        )
    return text


class Bench:
    """The parts; folders are made in ``scratch``."""

    def __init__(self, scratch: Path, repeats: int, jobs: int, seconds: float) -> None:
        self._scratch = scratch
        self._repeats = repeats
        self._jobs = jobs
        self._seconds = seconds
        self._made = 0

    def _folder(self, text: str) -> Folder:
        self._made += 1
        return Folder(self._scratch / str(self._made), text, self._scratch / "compiled")

    def steps(self) -> None:
        """Runs of fifty steps and of one, first and again, and what they leave behind."""
        uncompiled = self._fresh(50)[1]
        rows = {
            name: Costs()
            for name in ("imported", "first", "again", "held", "one", "spawned", "spawned one")
        }
        sizes = (0, 0)
        for _ in range(self._repeats):
            folder, first = self._fresh(50)
            sizes = folder.state()
            rows["first"].runs.append(first)
            rows["imported"].runs.append(folder(sys.executable, "-c", "import project")[1])
            ran, again = folder.run()
            rows["again"].runs.append(again)
            if ran["ran"] or folder.bodies():
                raise SystemExit(f"of an unchanged project ran: {ran['ran']}")
            rows["held"].runs.append(self._held(folder))
            rows["one"].runs.append(self._fresh(1)[1])
            rows["spawned"].runs.append(self._fresh(50, forkable=False)[1])
            rows["spawned one"].runs.append(self._fresh(1, forkable=False)[1])
        self._tell_steps(rows, uncompiled, sizes)

    def _held(self, folder: Folder) -> Cost:
        """An unchanged run where ``nenrin up`` holds the folder, with what it costs there."""
        with folder.up() as up:
            folder.run()
            before = cpu_of(up)
            ran, cost = folder.run()
            if ran["ran"] or folder.bodies():
                raise SystemExit(f"of an unchanged project ran: {ran['ran']}")
            return Cost(cost.wall, cost.cpu + cpu_of(up) - before)

    def _fresh(self, steps: int, *, forkable: bool = True) -> tuple[Folder, Cost]:
        """A first run in an empty home; every body ran once, each in a process of its own."""
        folder = self._folder(fifty(steps, forkable=forkable))
        said, cost = folder.run()
        bodies = folder.bodies()
        names, pids = {name for name, _ in bodies}, {pid for _, pid in bodies}
        if not len(bodies) == len(names) == len(pids) == steps == len(said["ran"]):
            raise SystemExit(
                f"of {steps} steps {len(names)} ran, in {len(pids)} processes: {bodies}"
            )
        if steps == 50 and int(said["steps"][TOTAL]) != total():
            raise SystemExit(f"the sum is {said['steps'][TOTAL]}, not {total()}")
        if bool(said["notes"]) == forkable:
            raise SystemExit(f"not what this project's steps should be started by: {said['notes']}")
        return folder, cost

    def _tell_steps(self, rows: dict[str, Costs], uncompiled: Cost, sizes: tuple[int, int]) -> None:
        first, one, again, imported = (rows[n] for n in ("first", "one", "again", "imported"))
        step = _each(first, one)
        spawned = _each(rows["spawned"], rows["spawned one"])
        print("### Steps\n\n| | wall | CPU | bar | |\n|---|---|---|---|---|")
        print(
            f"| one more isolated step, forked | {_ms(step)} | 20 ms | {_met(step.wall <= 0.02)} |"
        )
        print(f"| one more isolated step, spawned | {_ms(spawned)} | | |")
        print(
            f"| first run of 50 steps, empty home | {first} | 2.5 s | {_met(first.wall <= 2.5)} |"
        )
        print(
            f"| the same, no module compiled yet | {uncompiled.wall:.2f} s | {uncompiled.cpu:.2f} s | | |"
        )
        print(f"| first run of 1 step | {one} | 1 s | {_met(one.wall <= 1)} |")
        print(f"| first run of 50 steps, spawned | {rows['spawned']} | | |")
        print(f"| importing the project | {imported} | | |")
        for said, costs in (("", again), (", where `nenrin up` holds the folder", rows["held"])):
            wall, cpu = costs.wall / imported.wall, costs.cpu / imported.cpu
            print(f"| unchanged run of 50 steps, 0 bodies{said} | {costs} | | |")
            print(
                f"| of importing the project | {wall:.2f} x | {cpu:.2f} x | 1.3 x | {_met(cpu <= 1.3)} |"
            )
        print("\n| state of 50 steps | | bar | |\n|---|---|---|---|")
        print(
            f"| bytes of its files | {sizes[0] / MB:.2f} MB | 0.5 MB | {_met(sizes[0] <= MB / 2)} |"
        )
        print(f"| what the disk gave for them | {sizes[1] / MB:.2f} MB | | |")
        print(f"\n{self._repeats} runs of each; load {_load()}.\n")

    def queue(self) -> None:
        """A queue of small jobs, worked off."""
        print("### The queue\n")
        print(
            f"| {self._jobs:,} queued jobs, SQLite, {WORKERS} workers | jobs a second | wall | CPU | bar | |"
        )
        print("|---|---|---|---|---|---|")
        for title, work, bar in (
            ("claimed one by one, each finished durably", self._workers, 500),
            ("the same through the dispatcher, with attempts' folders", self._dispatched, None),
        ):
            LOADS.append(os.getloadavg()[0])
            cost = work()
            rate = self._jobs / cost.wall
            told = f"{bar} | {_met(rate >= bar)}" if bar else " | "
            print(
                f"| {title} | {rate:,.0f} | {cost.wall:.1f} s | {cost.cpu:.1f} s | {told} |",
                flush=True,
            )
        print(f"\nLoad {_load()}.\n")

    def _queued(self) -> list[Job]:
        return [
            Job(id=f"job-{n:05d}", run="run", name=f"step {n}", call="builtins:print")
            for n in range(self._jobs)
        ]

    @contextmanager
    def _database(self) -> Iterator[tuple[Database, Path]]:
        self._made += 1
        folder = self._scratch / str(self._made)
        folder.mkdir()
        with Database(f"sqlite:///{folder / 'state.db'}") as units:
            yield units, folder
            with units.read("dev") as unit:
                over = SqlJobs().of_run(unit, "run")
            if [job.id for job in over if (job.state, job.attempt) == ("done", 1)] != [
                job.id for job in self._queued()
            ]:
                raise SystemExit("not every job was done once")

    def _workers(self) -> Cost:
        """Threads of the one process that writes, as the workers of a folder are served."""
        jobs, timer = SqlJobs(), SystemTimer()
        room = Room(cpus=1.0, memory=2**40, jobs=1)

        def work(worker: str) -> None:
            while True:
                now = timer.epoch()
                with units.write("dev", 0) as unit:
                    taken = jobs.claim(unit, worker, room, now, now + 30)
                if not taken:
                    return
                with units.write("dev", 0) as unit:
                    if not jobs.finish(unit, taken[0].id, taken[0].attempt, "out"):
                        raise SystemExit("a lease was lost")

        with self._database() as (units, _):
            with units.write("dev", 0) as unit:
                jobs.add(unit, self._queued())
            threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(WORKERS)]
            return _timed(lambda: ([t.start() for t in threads], [t.join() for t in threads]))

    def _dispatched(self) -> Cost:
        with self._database() as (units, folder), ThreadPoolExecutor(WORKERS) as pool:
            dispatcher = Dispatcher(
                units=units,
                jobs=SqlJobs(),
                executor=lambda: _Threads(pool),  # type: ignore[arg-type,return-value]
                calendar=SystemCalendar(),
                timer=SystemTimer(),
                environment="dev",
                machine=Room(cpus=float(WORKERS), memory=2**40, jobs=4 * WORKERS),
                scratch=folder / "scratch",
                worker="bench",
                logs=StepLogs(folder / "logs"),
            )
            for job in self._queued():
                dispatcher.add(job, lambda _unit, value: str(value))

            def work() -> None:
                while dispatcher.busy:
                    dispatcher.step(0.2)

            return _timed(work)

    def idle(self) -> None:
        """``nenrin up`` that has nothing to do."""
        print("### A process that waits\n")
        print(
            f"| `nenrin up`, {self._seconds:.0f} s | of a core | bar | | PSS of its processes | bar | |"
        )
        print("|---|---|---|---|---|---|---|")
        fifty_ = self._folder(fifty(50))
        fifty_.run()
        flights = self._folder("")
        (flights.path / "project.py").unlink()
        write_example(flights.path, "flights")
        for title, folder in (("fifty steps", fifty_), ("the flights, served", flights)):
            core, bytes_ = self._waiting(folder)
            print(
                f"| {title} | {core:.2%} | 1 % | {_met(core <= 0.01)} "
                f"| {bytes_ / MB:.0f} MB | 250 MB | {_met(bytes_ <= 250 * MB)} |",
                flush=True,
            )
        print(f"\nLoad {_load()}.\n")

    def _waiting(self, folder: Folder) -> tuple[float, int]:
        with folder.up() as up:
            LOADS.append(os.getloadavg()[0])
            before = cpu_of(up)
            time.sleep(self._seconds)
            used = cpu_of(up) - before
            return used / self._seconds, footprint.memory(up, 0)


class _Threads:
    """An executor that only hands work over: what a job costs beside its process."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def start(self, _task: Task, _function: Callable[..., Any], _payload: Any) -> _Handed:
        return _Handed(self._pool.submit(str, "out"))


@dataclass
class _Handed:
    result: Future[Any]
    heard: float = float("inf")


def _timed(work: Callable[[], Any]) -> Cost:
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - began, time.process_time() - cpu)


def _each(fifty_: Costs, one: Costs) -> Cost:
    return Cost((fifty_.wall - one.wall) / 49, (fifty_.cpu - one.cpu) / 49)


def _ms(cost: Cost) -> str:
    return f"{cost.wall * 1000:.0f} ms | {cost.cpu * 1000:.0f} ms"


def _met(holds: bool) -> str:
    return "met" if holds else "**missed**"


def _load() -> str:
    return f"{min(LOADS):.1f} to {max(LOADS):.1f} on {os.cpu_count()} cores"


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--jobs", type=int, default=10_000)
    options.add_argument("--seconds", type=float, default=60.0)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), given.repeats, given.jobs, given.seconds)
        for part in given.only:
            LOADS.clear()
            getattr(bench, part)()
    print(PEERS)


if __name__ == "__main__":
    main()
