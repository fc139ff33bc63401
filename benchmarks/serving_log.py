"""The prediction log: what it adds to a request, on the way to the answer and in the thread that writes.

    python benchmarks/serving_log.py [--repeats 7]

Requests of 30 numbers, as a block. ``answer``: microseconds of the answering thread until the request
is handed over (numbers, ids, line). ``writer``: CPU microseconds of the writing thread, which shares the
interpreter. Medians of the repeats, and their spread; each repeat logs 20,000 rows. ``durable``: milliseconds
until an answer may leave, for one client and for many at once, with the syncs that it took.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from nenrin.serving.answered import AnsweredRequest, prediction_ids
from nenrin.serving.deployments import Deployment
from nenrin.serving.livelog import LiveLog
from nenrin.serving.masks import LogRules
from nenrin.serving.router import Route, Variant
from nenrin.serving.segments import read_predictions, worker_folder
from nenrin.serving.signature import RequestField, RequestSignature
from nenrin.training.records import Records

COLUMNS = 30
ROWS = 20_000  # of a repeat
WAITING = (1, 64)
AT = 1_700_000_000_000_000
VARIANT = Variant(version="version-1")


def deployment(rules: LogRules) -> Deployment:
    names = ("id", *(f"c{n}" for n in range(COLUMNS)))
    fields = tuple(RequestField(name=name, kind="number") for name in names)
    return Deployment(
        name="bench",
        environment="dev",
        model="bench",
        revision="revision-1",
        route=Route(deployment="bench", variants=(VARIANT,)),
        anchor="version-1",
        request=RequestSignature(fields=fields, key=("id",)),
        at=0,
        log=rules,
    )


def requests(log: LiveLog, rows: int) -> Callable[[], AnsweredRequest]:
    """Makes what the plane hands over; the columns are there already, as after an answer."""
    draw = np.random.default_rng(1)
    names = tuple(f"c{n}" for n in range(COLUMNS))
    sent = Records.of_block(names, draw.normal(size=(rows, COLUMNS)), ("id",))
    values = [0.5] * rows

    def request() -> AnsweredRequest:
        first = log.issue(rows)
        return AnsweredRequest(
            deployment="bench",
            variants=(VARIANT,),
            first=first,
            ids=prediction_ids("bench", AT, log.worker, first, rows),
            at=AT,
            values=values,
            rows=sent,
            seen=names,
            latency=0.001,
        )

    return request


def fast(folder: Path, rows: int, rules: LogRules) -> tuple[float, float]:
    """Microseconds a request: until it is handed over, and of the thread that writes."""
    log = LiveLog(worker_folder(folder, 0), capacity=2 * ROWS)
    request, asked, number = requests(log, rows), deployment(rules), ROWS // rows
    used, before = time.thread_time(), time.process_time()
    for _ in range(number):
        log.append(request(), asked)
    mine = time.thread_time() - used
    log.close()
    both = time.process_time() - before
    assert (log.counts.dropped, log.counts.lost) == (0, 0)
    assert sum(1 for _ in read_predictions(folder)) == ROWS
    return mine / number * 1e6, (both - mine) / number * 1e6


def durable(folder: Path, clients: int) -> tuple[float, float]:
    """Milliseconds until an answer may leave, and requests a sync."""
    syncs, sync = [0], os.fsync

    def counted(file: int) -> None:
        syncs[0] += 1
        sync(file)

    log = LiveLog(worker_folder(folder, 0))
    request, asked = requests(log, 1), deployment(LogRules(durable=True))
    os.fsync = counted  # type: ignore[assignment]
    took: list[float] = []

    async def client() -> None:
        for _ in range(50):
            started = time.perf_counter()
            kept = log.append(request(), asked)
            assert kept is not None
            await kept
            took.append(time.perf_counter() - started)

    async def run() -> None:
        await asyncio.gather(*(client() for _ in range(clients)))

    try:
        asyncio.run(run())
    finally:
        os.fsync = sync
    log.close()
    return median(took) * 1e3, len(took) / syncs[0]


def said(found: list[float]) -> str:
    return f"{median(found):8.1f} ({min(found):.1f} to {max(found):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    hashed = LogRules(row={"c1": "hash", "c0": "drop"})
    print("fast, us a request         answer                     writer")
    for name, rows, rules in (
        ("1 row", 1, LogRules()),
        ("1 row, masked", 1, hashed),
        ("100 rows", 100, LogRules()),
        ("100 rows, masked", 100, hashed),
    ):
        found = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                found.append(fast(Path(folder), rows, rules))
        answers, writers = zip(*found, strict=True)
        print(f"{name:18}{said(list(answers)):28}{said(list(writers))}")
    for clients in WAITING:
        found = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                found.append(durable(Path(folder), clients))
        waits, together = zip(*found, strict=True)
        print(
            f"durable, {clients:2} at once: ms {said(list(waits))}, requests a sync {said(list(together))}"
        )


if __name__ == "__main__":
    main()
