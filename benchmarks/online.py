"""Features from an online store: what filling it costs, and what an answer costs, beside the feature state.

    python benchmarks/online.py [--keys 100000] [--events 3]

One view of four columns and one of two windows over the same events. CPU seconds and milliseconds are of
this process: a server's own are not in them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from nenrin.backends.online.redis import RedisOnlineStore
from nenrin.backends.online.sqlite import SqliteOnlineStore
from nenrin.data.declare import dataset
from nenrin.features.declare import feature_view
from nenrin.features.materialise import Materialiser
from nenrin.features.online import OnlineFeatures
from nenrin.features.service import FeatureSet
from nenrin.testing.online import valkey_server
from nenrin.testing.stores import MemoryStore

DAY = 86_400_000_000
END = 1_700_000_000_000_000
ASKED = 300  # questions of each measurement


@dataset()
def people() -> None: ...


@dataset(key="id")
def visits() -> None: ...


@feature_view(visits, by="person", ttl="90d")
def last(v: Any) -> dict[str, Any]:
    return {"spent": v.spent, "pages": v.pages, "paid": v.paid, "shop": v.shop}


@feature_view(visits, by="person", hop="1h")
def often(v: Any) -> dict[str, Any]:
    return {"visits_7d": v.count("7d"), "spent_7d": v.spent.sum("7d")}


def frame(keys: int, events: int) -> pl.DataFrame:
    draw = np.random.default_rng(1)
    n = keys * events
    at = np.sort(END - draw.integers(0, 30 * DAY, n))
    return pl.DataFrame(
        {
            "id": np.arange(n),
            "person": draw.permutation(np.repeat(np.arange(keys), events)),
            "spent": draw.gamma(2, 30, n),
            "pages": draw.integers(1, 50, n),
            "paid": draw.random(n) < 0.2,
            "shop": draw.choice(["north", "south", "west"], n),
            "__event__": at,
            "__known__": at,
        }
    )


def state_of(visited: pl.DataFrame) -> FeatureSet:
    rows = visited.select("id", "person", "__event__", "__known__")
    return FeatureSet.build([last, often], people, {"people": rows, "visits": visited})


def cost(features: Any, keys: int, rows: int) -> str:
    """CPU and median wall milliseconds of one question about ``rows`` keys."""
    draw = np.random.default_rng(2)
    asked = [
        [{"person": int(person)} for person in draw.integers(0, keys, rows)] for _ in range(ASKED)
    ]
    for question in asked[:20]:
        features.rows(question, [END] * rows)
    walls, cpu = [], time.process_time()
    for question in asked:
        began = time.perf_counter()
        features.rows(question, [END] * rows)
        walls.append(time.perf_counter() - began)
    spent = (time.process_time() - cpu) / ASKED
    return f"{1000 * spent:.3f} | {1000 * float(np.median(walls)):.3f}"


def measure(name: str, store: Any, content: MemoryStore, states: list[str], keys: int) -> None:
    places = {state: place for place, state in enumerate(states, 1)}
    online = Materialiser(store, content)
    for state in states:
        began, cpu = time.perf_counter(), time.process_time()
        written = online.bring("dev", [state], lambda: places, {"visits": END})
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        print(f"| {name} | {written:,} keys written | {cpu:.1f} s CPU | {wall:.1f} s |")
    opened = OnlineFeatures(content.file(states[-1]), store, "dev", states[-1])
    for rows in (1, 100):
        print(f"| {name} | answer of {rows} | {cost(opened, keys, rows)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=3)
    asked = parser.parse_args()
    content, visited = MemoryStore(), frame(asked.keys, asked.events)
    built = [state_of(visited.head(-1_000)), state_of(visited)]
    states = [content.put(state.dumps()) for state in built]
    print(f"feature state: {content.size(states[-1]) / 1e6:.1f} MB stored, {asked.keys:,} keys")
    for rows in (1, 100):
        print(f"| feature state | answer of {rows} | {cost(built[-1], asked.keys, rows)} |")
    with tempfile.TemporaryDirectory() as folder:
        file = SqliteOnlineStore(Path(folder) / "facts.db")
        measure("SQLite", file, content, states, asked.keys)
        file.close()
        print(f"file: {(Path(folder) / 'facts.db').stat().st_size / 1e6:.0f} MB")
        with valkey_server(Path(folder)) as server:
            client = RedisOnlineStore(server.url)
            measure("Valkey", client, content, states, asked.keys)
            client.close()


if __name__ == "__main__":
    main()
