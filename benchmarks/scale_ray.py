"""One more step on a Ray cluster: nenrin's, against Ray's own task with the same inputs.

    python -m benchmarks.scale_ray [--steps 200] [--repeats 3] [--only NAME ...]

A step reads a polars frame of 100 rows by its digest from an S3 server, adds one to it, puts what comes out
there, and gives its digest. nenrin's is a job in SQLite with a lease, in a forked process of its own with
limits, and its output is committed. Ray's own task does the same with the same store: in a fresh process
(``max_calls=1``: Ray's way to have one for a task), and in one that stays and has the store open. Beside them
the task that has neither: the frame is its argument, and what comes out its value. The cost of one more is
that of ``--steps``, all in flight, less that of one tenth, on a node of two cores, started here.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl

from nenrin.backends.blobs.s3 import S3Store
from nenrin.backends.compute.fork import ForkExecutor
from nenrin.backends.compute.node import FOLDER, store_of_node
from nenrin.backends.compute.ray_cluster import RayExecutor
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.jobs import SqlJobs
from nenrin.core.calendar import SystemCalendar
from nenrin.core.jobs import Job, Room
from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.dispatcher import Dispatcher
from nenrin.pipelines.executor import Executor, WorkerContext
from nenrin.pipelines.logs import StepLogs
from nenrin.testing.object_store import object_store_server
from nenrin.testing.ray_nodes import ray_nodes
from nenrin.testing.worker_functions import load_nothing

BAR = 1.5
OURS = "nenrin's step on Ray"
FRESH = "Ray's task, from and to the store, in a fresh process"
WARM = "Ray's task, from and to the store, in a process that stays"
PLAIN = "Ray's task, with neither"
ROWS = 100


def one_more(frame: pl.DataFrame, number: int) -> pl.DataFrame:
    return frame.with_columns(pl.col("value") + number)


def step(context: WorkerContext, payload: dict[str, Any]) -> str:
    """What a node does for nenrin."""
    return by_digest(context.store, payload["frame"], payload["number"])


def by_digest(store: ContentStore, frame: str, number: int) -> str:
    found = pl.read_ipc(io.BytesIO(store.get(frame)))
    return store.put(packed(one_more(found, number)))


@cache
def opened(url: str) -> ContentStore:
    """The store as a process of Ray's has it, once for all its tasks."""
    return store_of_node(url)


def task_by_digest(url: str, frame: str, number: int) -> str:
    """What a node does for Ray."""
    return by_digest(opened(url), frame, number)


def packed(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_ipc(out)
    return out.getvalue()


def checked(store: ContentStore, output: str, steps: int) -> None:
    last = pl.read_ipc(io.BytesIO(store.get(output)))
    if last["value"].sum() != sum(range(ROWS)) + ROWS * (steps - 1):
        raise SystemExit("a step gave something else")


class Bench:
    """One cluster and one store.

    Args:
        folder: of the driver.
        url: of the store.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.store = S3Store(url, folder / "copies")
        self.count = 0

    def new_frame(self) -> str:
        """Digest of a frame that was not there: what comes of it is not there either."""
        self.count += 1
        frame = pl.DataFrame({"value": range(ROWS), "run": [self.count] * ROWS})
        return self.store.put(packed(frame))

    def ours(self, executor: Executor, room: Room, steps: int) -> float:
        """Seconds of ``steps`` jobs, through the dispatcher."""
        frame = self.new_frame()
        run = f"run-{self.count}"
        with Database(f"sqlite:///{self.folder / 'state.db'}") as units:
            dispatcher = Dispatcher(
                units=units,
                jobs=SqlJobs(),
                executor=lambda: executor,
                calendar=SystemCalendar(),
                timer=SystemTimer(),
                environment="dev",
                machine=room,
                scratch=self.folder / "scratch",
                worker="bench",
                logs=StepLogs(self.folder / "logs"),
            )
            wanted = [
                (
                    Job(
                        id=f"{run}-{number}",
                        run=run,
                        name="step",
                        call="benchmarks.scale_ray:step",
                        payload={"frame": frame, "number": number},
                    ),
                    lambda _unit, output: str(output),
                )
                for number in range(steps)
            ]
            began = time.perf_counter()
            outputs = dispatcher.whole(wanted)
            took = time.perf_counter() - began
        checked(self.store, outputs[-1], steps)
        return took

    def by_digest(self, steps: int, **how: Any) -> float:
        """Seconds of ``steps`` tasks of Ray's that read from the store and write to it."""
        import ray

        task, frame = ray.remote(max_retries=0, **how)(task_by_digest), self.new_frame()
        began = time.perf_counter()
        outputs = ray.get([task.remote(self.url, frame, number) for number in range(steps)])
        took = time.perf_counter() - began
        checked(self.store, outputs[-1], steps)
        return took


def rays(steps: int) -> float:
    """Seconds of ``steps`` tasks of Ray's."""
    import ray

    task = ray.remote(max_retries=0)(one_more)
    frame = pl.DataFrame({"value": range(ROWS)})
    began = time.perf_counter()
    frames = ray.get([task.remote(frame, number) for number in range(steps)])
    took = time.perf_counter() - began
    if frames[-1]["value"].sum() != sum(range(ROWS)) + ROWS * (steps - 1):
        raise SystemExit("a task gave something else")
    return took


def marginal(timed: Callable[[int], float], steps: int, repeats: int) -> list[float]:
    """Milliseconds of one more step, once a repeat; what comes first warms up."""
    few = max(1, steps // 10)
    timed(few)
    return [1000 * (timed(steps) - timed(few)) / (steps - few) for _ in range(repeats)]


def shown(kinds: dict[str, Callable[[int], float]], steps: int, repeats: int) -> dict[str, float]:
    """Measure and print them."""
    found: dict[str, float] = {}
    print("| one more | ms (least, most) | nenrin's step on Ray to it |\n|---|---|---|")
    for title, timed in kinds.items():
        costs = marginal(timed, steps, repeats)
        found[title] = median(costs)
        told = f"{found[OURS] / found[title]:.2f} x" if title != OURS and OURS in found else ""
        print(
            f"| {title} | {found[title]:.1f} ({min(costs):.1f}, {max(costs):.1f}) | {told} |",
            flush=True,
        )
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--steps", type=int, default=200)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--only", nargs="*", type=int, help="numbers of lines of the table")
    asked = arguments.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(object_store_server(folder / "s3"))
        os.environ |= {**server.variables(), FOLDER: str(folder / "node")}
        url = f"s3://{server.bucket}/bench"
        nodes = stack.enter_context(ray_nodes(folder))
        nodes.start("a", cpus=2)
        bench, store = Bench(folder, url), partial(store_of_node, url)
        executor = stack.enter_context(closing(RayExecutor(nodes.address, store, load_nothing)))
        here = stack.enter_context(closing(ForkExecutor(2, store, load_nothing)))
        queue, room = executor.queue(), executor.room()
        kinds: dict[str, Callable[[int], float]] = {
            OURS: lambda steps: bench.ours(executor, queue, steps),
            "nenrin's step on this machine": lambda steps: bench.ours(here, room, steps),
            WARM: bench.by_digest,
            PLAIN: rays,
            FRESH: lambda steps: bench.by_digest(steps, max_calls=1),
        }
        if asked.only:
            kinds = {title: kinds[title] for n, title in enumerate(kinds) if n + 1 in asked.only}
        found = shown(kinds, asked.steps, asked.repeats)
        print()
        for title in (FRESH, WARM, PLAIN):
            if title in found and OURS in found:
                met = "met" if found[OURS] <= BAR * found[title] else "missed"
                print(f"Bar, at most {BAR} x {title}: {met}.")
        print(f"\nLoad {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")


if __name__ == "__main__":  # by its name, by which nodes find it too
    import_module("benchmarks.scale_ray").main()
