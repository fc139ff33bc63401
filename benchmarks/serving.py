"""Serving under load: requests a second, latency and CPU of the data plane, with a real model.

    python -m benchmarks.serving [--repeats 5] [--seconds 3] [--planes 1] [--folder FOLDER]
    python -m benchmarks.serving --only swaps [--swaps 100] [--planes 1]

Model A is LightGBM, 200 trees of 31 leaves over 30 numbers, in a project without time: `nenrin run`, then
`nenrin up`. Load is one thread of `wrk` on the same machine, repeats are interleaved, and the median is
told with its range. CPU is that of the planes' processes. `swaps` moves the deployment a hundred times
between two versions under load.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.serving_load import Found, load, memory
from benchmarks.serving_models import make, numbers, one_tensor, tensor_in_bytes
from benchmarks.serving_swaps import swaps
from nenrin.core.lock import FolderLock
from nenrin.serving.segments import folders

PATH = "/v2/models/a/infer"


class Up(msgspec.Struct, frozen=True):
    """A folder that is served.

    Attributes: where, the holder's process and the planes', seconds until every deployment answered.
    """

    url: str
    holder: int
    planes: list[int]
    seconds: float


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[Up]:
    """``nenrin up`` in a folder, until the end of the block."""
    command = [sys.executable, "-m", "nenrin", "up", "--port", "0", "--json", *options]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = ""
    try:
        while True:
            text += process.stdout.readline()
            with contextlib.suppress(json.JSONDecodeError):
                url = json.loads(text)["url"]
                break
        seconds = time.perf_counter() - started
        yield Up(url, process.pid, _planes(folder), seconds)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _planes(folder: Path) -> list[int]:
    """The processes that write the prediction logs of a folder."""
    locks = map(FolderLock, folders(folder / ".nenrin" / "predictions"))
    return [process for lock in locks if (process := lock.held_by())]


def named_tensors(rows: np.ndarray) -> bytes:
    """Version 2: a tensor a column."""
    inputs = [
        {
            "name": f"x{place}",
            "shape": [len(rows)],
            "datatype": "FP64",
            "data": rows[:, place].round(4).tolist(),
        }
        for place in range(rows.shape[1])
    ]
    return json.dumps({"inputs": inputs}, separators=(",", ":")).encode()


CELLS = {
    "1 row, 1 connection": (one_tensor, 1, 1),
    "1 row, 64 connections": (one_tensor, 1, 64),
    "1 row in 30 tensors, 64 connections": (named_tensors, 1, 64),
    "100 rows, 16 connections": (one_tensor, 100, 16),
    "100 rows in bytes, 16": (tensor_in_bytes, 100, 16),
    "100 rows in bytes, answers too, 16": (partial(tensor_in_bytes, answers=True), 100, 16),
}


def cells(folder: Path, repeats: int, seconds: float, planes: int) -> None:
    """The table."""
    found: dict[str, list[Found]] = {name: [] for name in CELLS}
    options = ["--planes", str(planes)]
    with tempfile.TemporaryDirectory() as temporary, serving(folder, *options) as up:
        for _ in range(repeats):
            for name, (written, rows, connections) in CELLS.items():
                body = written(numbers(rows))
                more = {}
                if isinstance(body, tuple):
                    body, more["headers"] = body
                run = load(
                    up.url + PATH,
                    body,
                    Path(temporary),
                    seconds=seconds,
                    connections=connections,
                    processes=up.planes,
                    **more,
                )
                found[name].append(run)
        largest = max(map(memory, up.planes))
        print(f"{len(up.planes)} planes, {largest:.0f} MB each at most, up in {up.seconds:.1f} s\n")
    print("| cell | requests a second | range | p50 ms | p99 ms | CPU ms a request | errors |")
    print("|---|---|---|---|---|---|---|")
    for name, runs in found.items():
        rates = [run.rate for run in runs]
        p50, p99, cpu = (
            statistics.median(getattr(run, what) for run in runs) for what in ("p50", "p99", "cpu")
        )
        print(
            f"| {name} | {statistics.median(rates):,.0f} | {min(rates):,.0f}-{max(rates):,.0f} "
            f"| {p50:.3f} | {p99:.2f} | {cpu:.4f} | {sum(run.errors for run in runs):.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="made before, by an earlier run")
    parser.add_argument("--only", choices=["cells", "swaps"], default="cells")
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--planes", type=int, default=1)
    given = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    if given.only == "swaps":
        swaps(given.swaps, given.planes)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        if not (folder / "project.py").exists():
            make(folder)
        cells(folder, given.repeats, given.seconds, given.planes)


if __name__ == "__main__":
    main()
