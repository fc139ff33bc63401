"""A join in partitions answers what one index of the whole dataset answers, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from nenrin.backends.blobs.local import LocalStore
from nenrin.core.errors import DataError
from nenrin.core.instants import MINUTE
from nenrin.data.files import Manifest, parquet, read_files, write_files
from nenrin.features.arrays import NO_INSTANT
from nenrin.features.declare import FeatureView
from nenrin.features.index import ViewIndex
from nenrin.features.partition_work import Answer, Order, work
from nenrin.features.partitioned import Join
from nenrin.features.trace import trace
from nenrin.features.traced import Traced
from tests.features.makers import make_dataset, make_view
from tests.features.streams import NUMBERS, PLACES, START, VIEWS, stream

EVENTS = make_dataset("events", key="id")
FINER = make_dataset("events", key=["id", "place"])
UNKEYED = make_dataset("events")


def both(r: Any) -> dict[str, Any]:
    return {"value": r.value, "word": r.word, "n": r.count("2h"), "mean": r.value.mean("3h")}


JOINED = [
    *VIEWS[:3],
    make_view(EVENTS, both, by="place", ttl="3h"),
    make_view(EVENTS, both, by=["place", "number"]),
    make_view(FINER, both, by="place", hop="10m"),
    make_view(UNKEYED, both, by="number"),
]


PHASES = [Phase.explicit, Phase.generate]  # a stream is drawn from its seed: nothing to shrink


class Keeper:
    """A version of a dataset in a store, and orders that are worked off here, one after another."""

    def __init__(self, folder: Path, loads: Sequence[pl.DataFrame]) -> None:
        self.store = LocalStore(folder, durable=False)
        files = [ref for load in loads for ref in write_files(load, self.store)]
        self.manifest = Manifest(
            dataset="events",
            schema={},
            header=self.store.put(parquet(loads[0].clear())),
            files=tuple(sorted(files, key=lambda ref: ref.day)),
            bound=0,
            rows=sum(load.height for load in loads),
        )
        self.frame = read_files(self.manifest, self.store, 2**62)
        self.kept = set(self.store.digests())
        self.orders: list[Order] = []

    def run(self, orders: Sequence[Order]) -> list[Any]:
        self.orders += orders
        return [work(self.store, order) for order in orders]

    def traced(self, view: FeatureView) -> Traced:
        return trace(view, self.frame.schema, None)

    def join(
        self, view: FeatureView, rows: pl.DataFrame, asked: np.ndarray, memory: int
    ) -> pl.DataFrame:
        join = Join(self.store, self.run, memory, "tests")
        return join.columns(self.traced(view), self.manifest, rows, asked)

    def partitions(self) -> int:
        return sum(isinstance(order, Answer) for order in self.orders)


def asking(seed: int, rows: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Rows that ask: known and unknown keys, nulls, rows without an instant."""
    draw = np.random.default_rng([seed, 2])
    frame = pl.DataFrame(
        {
            "place": draw.choice(np.array([*PLACES, "unknown"], dtype=object), rows).tolist(),
            "number": draw.choice(np.array([*NUMBERS, 5], dtype=object), rows).tolist(),
        },
        schema={"place": pl.String, "number": pl.Int64},
    )
    asked = START + draw.integers(-5, 110, rows) * 10 * MINUTE
    asked[:: max(1, rows // 3)] = NO_INSTANT
    return frame, asked


def loads_of(seed: int, rows: int, loads: int, nulls: bool) -> list[pl.DataFrame]:
    """A stream in several loads, whose known instants overlap: days of one file and of several."""
    whole = stream(seed, rows)
    if nulls:
        gone = pl.Series(np.random.default_rng([seed, 3]).random(rows) < 0.1)
        whole = whole.with_columns(
            pl.when(gone).then(None).otherwise("__event__").alias("__event__")
        )
    return [whole[start::loads] for start in range(loads)]


@pytest.mark.parametrize("view", JOINED, ids=range(len(JOINED)))
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(30, 90),
    loads=st.integers(1, 3),
    asked=st.integers(0, 25),
    most=st.sampled_from([12_000, 24_000, 50_000]),
    nulls=st.booleans(),
)
@settings(max_examples=12, deadline=None, phases=PHASES)
def test_partitions_answer_what_the_whole_answers(
    tmp_path_factory: pytest.TempPathFactory,
    view: FeatureView,
    seed: int,
    rows: int,
    loads: int,
    asked: int,
    most: int,
    nulls: bool,
) -> None:
    keeper = Keeper(tmp_path_factory.mktemp("store"), loads_of(seed, rows, loads, nulls))
    keys, at = asking(seed, asked)
    whole = ViewIndex.build(keeper.traced(view), keeper.frame).at(keys, at)
    try:
        found = keeper.join(view, keys, at, most)
    except DataError:  # as many of one key as the draw wants: told elsewhere
        found = keeper.join(view, keys, at, 10**9)
    assert found.equals(whole)
    assert found.schema == whole.schema
    assert set(keeper.store.digests()) == keeper.kept
