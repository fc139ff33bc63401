"""What one more isolated task costs: forked, spawned, and a bare interpreter to compare with. By hand.

    .venv/bin/python benchmarks/workers.py [--tasks 100] [--example flights]

Prints Markdown. Tasks run one after the other; the cost of a task is (all of them - the first) / (n - 1).
CPU seconds are those of the tasks' processes and of the one that starts them, the server told apart.
Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.compute import footprint
from nenrin.backends.compute.fork import ForkExecutor
from nenrin.backends.compute.spawn import SpawnExecutor
from nenrin.pipelines.executor import Executor, Task
from nenrin.project.init import write_example
from nenrin.project.loader import project_attributes
from nenrin.testing.worker_functions import call

STEP = """

@nr.step
def nothing():
    return 1
"""


@dataclass
class Cost:
    """Milliseconds: of the first task, and of each one after it; on the wall and of CPU."""

    first: float
    wall: float
    parent: float
    child: float
    server: float = 0.0


def measured(once: Callable[[], float], tasks: int, server: Callable[[], float]) -> Cost:
    """Run ``once``, which gives the CPU seconds of its process, again and again."""
    began = time.perf_counter()
    once()
    first = time.perf_counter() - began
    before, cpu, theirs = time.perf_counter(), time.process_time(), server()
    child = sum(once() for _ in range(tasks - 1))
    wall = time.perf_counter() - before
    each = 1000 / (tasks - 1)
    parent = time.process_time() - cpu
    return Cost(first * 1000, wall * each, parent * each, child * each, (server() - theirs) * each)


def of(executor: Executor, folder: Path, tasks: int, server: Callable[[], float]) -> Cost:
    """What tasks of an executor cost."""

    def once() -> float:
        running = executor.start(Task(name="nothing", project=folder), call, folder, "nothing")
        assert running.result.result() == 1
        return running.cpu

    return measured(once, tasks, server)


def bare() -> float:
    """An interpreter that does nothing."""
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return 0.0


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tasks", type=int, default=100)
    options.add_argument("--example", default="flights")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        folder.mkdir()
        write_example(folder, given.example)
        with (folder / "project.py").open("a") as file:
            file.write(STEP)
        store = functools.partial(LocalStore, Path(name) / "store")
        notes: list[str] = []
        forks = ForkExecutor(1, store, project_attributes, note=notes.append)
        rows = {
            "forked": of(
                forks, folder, given.tasks, lambda: sum(map(footprint.cpu_alone, forks.servers()))
            )
        }
        forks.close()
        spawns = SpawnExecutor(1, store, project_attributes)
        rows["spawned"] = of(spawns, folder, given.tasks, lambda: 0.0)
        spawns.close()
        rows["bare interpreter"] = measured(bare, given.tasks, lambda: 0.0)
    print(*notes, sep="\n")
    print(
        f"| {given.tasks} tasks of {given.example} | first | wall | CPU: task + server + starter |"
    )
    print("|---|---|---|---|")
    for name_, cost in rows.items():
        print(
            f"| {name_} | {cost.first:.0f} ms | {cost.wall:.1f} ms | "
            f"{cost.child:.1f} + {cost.server:.1f} + {cost.parent:.1f} ms |"
        )


if __name__ == "__main__":
    main()
