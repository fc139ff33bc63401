"""Cold start and memory of the data planes: `nenrin up` in a folder of model A, started anew each time.

    python -m benchmarks.serving_start [--repeats 5] [--planes 1 4] [--folder FOLDER]

Wall seconds are until `nenrin up` prints its address, which it does when every deployment answers. CPU
seconds are those of all its processes until then, and of the control process alone, which a machine with a
core for each waits for. Memory is read at that moment (*idle*), and after 3,000 requests a plane, so that
answers have been compared with the original's (*asked*). A plane's part of what processes share is its PSS;
*private* is what only it has. What processes beside the planes hold for them (who forks them, who compares)
is told as *beside*.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from benchmarks.serving import PATH, Up, serving
from benchmarks.serving_load import cpu
from benchmarks.serving_models import make, numbers, one_tensor

REQUESTS = 3_000
SETTLE = 4.0  # seconds in which the comparing thread opens its original


class Memory(msgspec.Struct, frozen=True):
    """Megabytes of a process."""

    pss: float
    private: float
    rss: float


def memory(process: int) -> Memory:
    """What a process holds now."""
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    found = {name: int(kb) / 1024 for name, kb in re.findall(r"^(\w+):\s+(\d+) kB", rollup, re.M)}
    private = found["Private_Clean"] + found["Private_Dirty"]
    return Memory(found["Pss"], private, found["Rss"])


def family(process: int) -> list[int]:
    """A process and all that descend from it."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [process, *(each for child in children for each in family(int(child)))]


def ask(up: Up, requests: int) -> None:
    """So many requests of one row, each batch of ten over a new connection, so that every plane gets some."""
    where, body = urlsplit(up.url), one_tensor(numbers(1))
    for _ in range(requests // 10):
        connection = http.client.HTTPConnection(where.hostname or "", where.port)
        for _ in range(10):
            connection.request("POST", PATH, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
        connection.close()


def once(folder: Path, planes: int) -> dict[str, float]:
    """One start: all figures."""
    with serving(folder, "--planes", str(planes)) as up:
        seconds = sum(map(cpu, family(up.holder)))
        found = {"wall s": up.seconds, "CPU s": seconds, "CPU s of control": cpu(up.holder)}
        for when in ("idle", "asked"):
            if when == "asked":
                ask(up, REQUESTS * planes)
                time.sleep(SETTLE)
            held = [memory(process) for process in up.planes]
            for what in ("pss", "private", "rss"):
                found[f"{when}: {what} MB"] = max(getattr(each, what) for each in held)
            beside = [
                memory(process).pss
                for process in family(up.holder)
                if process not in (up.holder, *up.planes)
            ]
            found[f"{when}: beside MB"] = sum(beside)
        return found


def told(name: str, figures: Sequence[float]) -> str:
    """A line of the table."""
    return f"{name} | {statistics.median(figures):.2f} | {min(figures):.2f}-{max(figures):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--planes", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--folder", type=Path, help="made before, by an earlier run")
    given = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        if not (folder / "project.py").exists():
            make(folder)
        print("| planes | what | median | range |\n|---|---|---|---|")
        for planes in given.planes:
            runs = [once(folder, planes) for _ in range(given.repeats)]
            for what in runs[0]:
                print(f"| {planes} | {told(what, [run[what] for run in runs])} |", flush=True)


if __name__ == "__main__":
    main()
