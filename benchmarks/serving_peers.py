"""The data plane beside the servers of six other projects: requests a second, latency, CPU a request.

    python -m benchmarks.serving_peers --folder FOLDER [--models a b] [--peers mosec ray] [--repeats 5]
        [--planes 1] [--original]

`FOLDER` keeps the peers' environments, the models and our projects for the next time. Every peer is
measured beside us, in turn, a cell after the other: the ratio is that of neighbours in time. Each server is
one process with one thread a model (Ray and others start more beside it: their CPU counts). The load is one
thread of `wrk` on the same machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.peers.models import split_body, store
from benchmarks.peers.running import PEERS, served
from benchmarks.serving import PATH, serving
from benchmarks.serving_load import Found, load, memory
from benchmarks.serving_models import make, numbers, one_tensor
from nenrin.plane import UNCOMPILED
from nenrin.registry.kinds.rescoring import Breach

CELLS = {"1 row, 1 connection": (1, 1), "1 row, 64": (1, 64), "100 rows, 16": (100, 16)}


class Server(msgspec.Struct, frozen=True):
    """One that answers: where, what it is asked with, its processes, how long it took to come."""

    url: str
    body: Callable[[int], bytes]
    processes: Callable[[], list[int]]
    cold: float


@contextmanager
def ours(model: str, folder: Path, planes: int, original: bool) -> Iterator[Server]:
    """Our planes with a model: its compiled form, or the original, as if that form had been given up."""
    project = folder / f"nenrin-{model}{'-original' * original}"
    if not (project / "project.py").exists():
        project.mkdir(exist_ok=True)
        make(project, model)
        if original:
            give_up(project)
    with serving(project, "--planes", str(planes)) as up:
        if model == "a":
            url = up.url + PATH
            yield Server(url, lambda rows: one_tensor(numbers(rows)), lambda: up.planes, up.seconds)
        else:
            url = f"{up.url}/invocations"
            yield Server(url, lambda rows: split_body("b", rows), lambda: up.planes, up.seconds)


def give_up(project: Path) -> None:
    """Say of a model's compiled form what a plane says of one that answered otherwise."""
    command = [sys.executable, "-m", "nenrin", "models", "list", "--json"]
    said = subprocess.run(command, cwd=project, check=True, capture_output=True).stdout
    folder = project / ".nenrin" / UNCOMPILED
    folder.mkdir(exist_ok=True)
    for version in msgspec.json.decode(said):
        form = version["facts"]["compiled"]["content"]
        breach = Breach(content=version["content"], form=form, why="a benchmark asks the original")
        (folder / f"{form}.json").write_bytes(msgspec.json.encode(breach))


@contextmanager
def theirs(name: str, model: str, folder: Path) -> Iterator[Server]:
    """A peer with the same kind of model."""
    with served(name, model, store(model, folder), folder) as running:
        body = PEERS[name].body
        yield Server(
            running.url, lambda rows: body(model, rows), running.processes, running.cold_seconds
        )


def measure(server: Server, rows: int, connections: int, seconds: float) -> Found:
    """One cell, once."""
    with tempfile.TemporaryDirectory() as folder:
        return load(
            server.url,
            server.body(rows),
            Path(folder),
            seconds=seconds,
            connections=connections,
            processes=server.processes(),
        )


def told(name: str, cell: str, here: list[Found], there: list[Found]) -> str:
    """A line of the table: medians, the ratio of neighbours and its range, CPU and failures of both."""
    ratios = [one.rate / other.rate for one, other in zip(here, there, strict=True)]

    def middle(runs: list[Found], what: str) -> float:
        return statistics.median(getattr(run, what) for run in runs)

    failed = [int(sum(run.errors for run in runs)) for runs in (here, there)]
    return (
        f"| {name} | {cell} | {middle(here, 'rate'):,.0f} | {middle(there, 'rate'):,.0f}"
        f" | {statistics.median(ratios):.1f} [{min(ratios):.1f}, {max(ratios):.1f}]"
        f" | {middle(here, 'p50'):.2f} / {middle(here, 'p99'):.1f}"
        f" | {middle(there, 'p50'):.2f} / {middle(there, 'p99'):.1f}"
        f" | {middle(here, 'cpu'):.3f} | {middle(there, 'cpu'):.3f}"
        f" | {failed[0]}, {failed[1]} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["a", "b"], choices=["a", "b"])
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--planes", type=int, default=1)
    parser.add_argument("--original", action="store_true", help="without the compiled form")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    head = "peer | cell | ours, a second | theirs | ratio | ours p50 / p99 ms | theirs"
    for model in given.models:
        print(f"\n## Model {model.upper()}\n\n| {head} | our CPU ms | theirs | failed |")
        print("|---" * 10 + "|", flush=True)
        with ours(model, given.folder, given.planes, given.original) as here:
            for name in given.peers:
                with theirs(name, model, given.folder) as there:
                    for cell, (rows, connections) in CELLS.items():
                        pairs = [
                            [
                                measure(each, rows, connections, given.seconds)
                                for each in (here, there)
                            ]
                            for _ in range(given.repeats)
                        ]
                        print(
                            told(name, cell, [a for a, _ in pairs], [b for _, b in pairs]),
                            flush=True,
                        )
                    sizes = [sum(map(memory, server.processes())) for server in (here, there)]
                    print(
                        f"| {name} | up in {here.cold:.1f} s, {sizes[0]:.0f} MB; theirs"
                        f" {there.cold:.1f} s, {sizes[1]:.0f} MB |" + " |" * 8,
                        flush=True,
                    )


if __name__ == "__main__":
    main()
