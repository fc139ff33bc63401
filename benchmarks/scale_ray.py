"""One more step on a Ray cluster: nenrin's, against Ray's own task with the same input.

    python -m benchmarks.scale_ray [--steps 100] [--repeats 3]

A step reads a polars frame of 100 rows, adds one to it and gives it back. nenrin's is a job in SQLite with a
lease, in a forked process of its own with limits, its output in the content store and committed; the frame
travels by its digest. Ray's is a task in a process that stays, the frame its argument. The cost of one more
is that of ``--steps`` less that of one tenth, on a node of two cores, started here.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.compute.fork import ForkExecutor
from nenrin.backends.compute.ray_cluster import RayExecutor
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.jobs import SqlJobs
from nenrin.core.calendar import SystemCalendar
from nenrin.core.jobs import Job, Room
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.dispatcher import Dispatcher
from nenrin.pipelines.executor import Executor, WorkerContext
from nenrin.pipelines.logs import StepLogs
from nenrin.testing.ray_nodes import ray_nodes
from nenrin.testing.worker_functions import load_nothing

BAR = 1.5
OURS = "nenrin's step on Ray"
ROWS = 100


def one_more(frame: pl.DataFrame, number: int) -> pl.DataFrame:
    return frame.with_columns(pl.col("value") + number)


def step(context: WorkerContext, payload: dict[str, Any]) -> str:
    """What a node does for nenrin."""
    frame = pl.read_ipc(io.BytesIO(context.store.get(payload["frame"])))
    return context.store.put(packed(one_more(frame, payload["number"])))


def packed(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_ipc(out)
    return out.getvalue()


def ours(folder: Path, executor: Executor, room: Room, steps: int) -> float:
    """Seconds of ``steps`` jobs, through the dispatcher."""
    store = LocalStore(folder / "store")
    frame = store.put(packed(pl.DataFrame({"value": range(ROWS)})))
    run = f"run-{time.perf_counter_ns()}"
    with Database(f"sqlite:///{folder / 'state.db'}") as units:
        dispatcher = Dispatcher(
            units=units,
            jobs=SqlJobs(),
            executor=lambda: executor,
            calendar=SystemCalendar(),
            timer=SystemTimer(),
            environment="dev",
            machine=room,
            scratch=folder / "scratch",
            worker="bench",
            logs=StepLogs(folder / "logs"),
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
    last = pl.read_ipc(io.BytesIO(store.get(outputs[-1])))
    if last["value"].sum() != sum(range(ROWS)) + ROWS * (steps - 1):
        raise SystemExit("a step gave something else")
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


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--steps", type=int, default=100)
    arguments.add_argument("--repeats", type=int, default=3)
    asked = arguments.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        nodes = stack.enter_context(ray_nodes(folder))
        nodes.start("a", cpus=2)
        store = partial(LocalStore, folder / "store")
        executor = stack.enter_context(closing(RayExecutor(nodes.address, store, load_nothing)))
        here = stack.enter_context(closing(ForkExecutor(2, store, load_nothing)))
        room = executor.room()
        kinds: dict[str, Callable[[int], float]] = {
            OURS: lambda steps: ours(folder, executor, room, steps),
            "nenrin's step on this machine": lambda steps: ours(folder, here, room, steps),
            "Ray's task": rays,
        }
        found = {}
        print("| one more | ms (least, most) | nenrin's step on Ray to it |\n|---|---|---|")
        for title, timed in kinds.items():
            costs = marginal(timed, asked.steps, asked.repeats)
            found[title] = median(costs)
            told = f"{found[OURS] / found[title]:.2f} x" if title != OURS else ""
            print(
                f"| {title} | {found[title]:.1f} ({min(costs):.1f}, {max(costs):.1f}) | {told} |",
                flush=True,
            )
        met = found[OURS] <= BAR * found["Ray's task"]
        print(f"\nBar: at most {BAR} x Ray's task: {'met' if met else 'missed'}.")
        print(f"\nLoad {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")


if __name__ == "__main__":
    main()
