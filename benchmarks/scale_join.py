"""The point-in-time join of more feature rows than fit into memory: partitioned by key and spilled.

    python -m benchmarks.scale_join [--rows 100_000_000] [--asked 1_000_000] [--folder FOLDER]

Feature rows of 100,000 keys, one in five of them of 1,000 keys, are made in files of 4 million. A view of the
newest row and one of windows are joined to rows that ask, one partition after another in one process, which
says how much memory it had at most. The answers of 50 keys are compared with those of an index of their
rows. Then the columns are profiled. What is made is deleted afterwards.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from nenrin.backends.blobs.local import LocalStore
from nenrin.core.instants import DAY, MINUTE, from_us
from nenrin.data.declare import dataset
from nenrin.data.files import FileRef, Manifest, parquet
from nenrin.data.profile import column_of_files, profiled
from nenrin.data.times import EVENT, KNOWN
from nenrin.features.declare import FeatureView, feature_view
from nenrin.features.index import ViewIndex
from nenrin.features.partition_work import Answer, Order, work
from nenrin.features.partitioned import Join
from nenrin.features.trace import trace

BAR = 4.0  # GiB a process
KEYS = 100_000
FILE = 4_000_000
START = 1_700_000_000_000_000


@dataset(key="id", time="at")
def payments() -> None:
    """Made here, never loaded."""


@feature_view(payments, by="user", ttl="30d")
def newest(p: Any) -> dict[str, Any]:
    return {"amount": p.amount, "clicks": p.clicks}


@feature_view(payments, by="user", hop="10m")
def windows(p: Any) -> dict[str, Any]:
    return {"n": p.count("1d"), "mean": p.amount.mean("1d"), "week": p.clicks.sum("7d")}


class Spilling(LocalStore):
    """A store that counts what is put, and how much there was at most beyond the data."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.sizes: dict[str, int] = {}
        self.written = self.most = self.now = 0

    def put(self, data: bytes) -> str:
        digest = super().put(data)
        self.sizes[digest] = len(data)
        self.written += len(data)
        self.now += len(data)
        self.most = max(self.most, self.now)
        return digest

    def remove(self, digest: str) -> None:
        super().remove(digest)
        self.now -= self.sizes.pop(digest, 0)


def users(draw: np.random.Generator, rows: int) -> np.ndarray:
    """Keys with skew."""
    few = draw.random(rows) < 0.2
    return np.where(few, draw.integers(0, 1000, rows), draw.integers(0, KEYS, rows))


def made(store: LocalStore, rows: int) -> Manifest:
    """A version of the dataset, in the store."""
    draw = np.random.default_rng(7)
    refs, schema = [], {}
    days = 90 * DAY
    for first in range(0, rows, FILE):
        count = min(FILE, rows - first)
        known = START + np.sort(draw.integers(first, first + count, count)) * days // rows
        frame = pl.DataFrame(
            {
                "id": np.arange(first, first + count),
                "user": users(draw, count),
                "amount": draw.gamma(2.0, 40.0, count),
                "clicks": draw.integers(0, 100, count),
                EVENT: known - draw.integers(0, 30, count) * MINUTE,
                KNOWN: known,
            }
        )
        digest = store.put(parquet(frame))
        low, high = int(known[0]), int(known[-1])
        refs.append(
            FileRef(
                day=from_us(low).date().isoformat(),
                digest=digest,
                content=digest,
                rows=count,
                known_min=low,
                known_max=high,
            )
        )
        schema = frame.schema
    header = store.put(parquet(pl.DataFrame(schema=schema)))
    names = {name: str(kind) for name, kind in schema.items()}
    return Manifest(
        dataset="payments",
        schema=names,
        header=header,
        files=tuple(refs),
        bound=refs[-1].known_max,
        rows=rows,
    )


def asking(rows: int) -> tuple[pl.DataFrame, np.ndarray]:
    draw = np.random.default_rng(8)
    return pl.DataFrame({"user": users(draw, rows)}), START + draw.integers(0, 90 * DAY, rows)


def gib(field: str) -> float:
    """Of this process: ``VmHWM``, the most so far, or ``VmRSS``."""
    found = re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 2**20


def compared(
    view: FeatureView, store: LocalStore, manifest: Manifest, answers: pl.DataFrame, given: Any
) -> int:
    """How many answers were compared with an index of some keys' rows alone."""
    rows, asked = given
    some = [*range(25), *range(50_000, 50_025)]
    files = pl.scan_parquet([store.file(ref.digest) for ref in manifest.files])
    traced = trace(view, files.collect_schema(), None)
    index = ViewIndex.build(traced, files.filter(pl.col("user").is_in(some)).collect())
    chosen = np.flatnonzero(np.isin(rows["user"].to_numpy(), some))
    if not answers[chosen].equals(index.at(rows[chosen], asked[chosen])):
        raise SystemExit("the partitions answer otherwise")
    return int(chosen.size)


def joined(view: FeatureView, store: Spilling, manifest: Manifest, given: Any, memory: int) -> None:
    """One row of the table."""
    header = pl.read_parquet(store.file(manifest.header))
    orders: list[Order] = []

    def run(some: Sequence[Order]) -> list[Any]:
        orders.extend(some)
        return [work(store, order) for order in some]

    Path("/proc/self/clear_refs").write_text("5")  # the most memory is counted from here on
    store.written = store.most = store.now = 0
    began, cpu = time.perf_counter(), time.process_time()
    traced = trace(view, header.schema, None)
    answers = Join(store, run, memory, "bench").columns(traced, manifest, *given)
    took, spent, most = time.perf_counter() - began, time.process_time() - cpu, gib("VmHWM")
    parts = sum(isinstance(order, Answer) for order in orders)
    same = compared(view, store, manifest, answers, given)
    print(
        f"| {view.declared.name} | {parts} | {most:.2f} | {took:.0f} | {spent:.0f} "
        f"| {store.written / 2**30:.2f} | {store.most / 2**30:.2f} | {same:,} |",
        flush=True,
    )


def profiles(store: Spilling, manifest: Manifest) -> None:
    """One row a column."""
    for name in profiled(manifest.schema):
        Path("/proc/self/clear_refs").write_text("5")
        began, cpu = time.perf_counter(), time.process_time()
        found = column_of_files(manifest, store, name)
        took, spent = time.perf_counter() - began, time.process_time() - cpu
        print(
            f"| {name} | {found['distinct']:,} | {gib('VmHWM'):.2f} | {took:.0f} | {spent:.0f} |",
            flush=True,
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rows", type=int, default=100_000_000)
    arguments.add_argument("--asked", type=int, default=1_000_000)
    arguments.add_argument("--memory", type=int, default=2 * 2**30)
    arguments.add_argument("--folder", type=Path, default=None)
    given = arguments.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    try:
        store = Spilling(folder)
        manifest = made(store, given.rows)
        size = sum(store.size(ref.digest) for ref in manifest.files)
        print(
            f"{given.rows:,} feature rows, {size / 2**30:.2f} GiB of Parquet; {given.asked:,} rows ask"
        )
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
        print(
            "| view | partitions | most GiB | wall s | CPU s | GiB spilled | at once | compared |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for view in (newest, windows):
            joined(view, store, manifest, asking(given.asked), given.memory)
        print("\n| column | different values | most GiB | wall s | CPU s |\n|---|---|---|---|---|")
        profiles(store, manifest)
        print(f"\nBar: at most {BAR} GiB a process. Load {os.getloadavg()[0]:.1f}.")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
