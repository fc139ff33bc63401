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
from nenrin.core.errors import DataError, UnavailableError
from nenrin.core.instants import HOUR, MINUTE
from nenrin.data.files import Manifest, parquet, read_files, write_files
from nenrin.features.arrays import NO_INSTANT
from nenrin.features.declare import FeatureView
from nenrin.features.hashing import key_words
from nenrin.features.index import ViewIndex
from nenrin.features.partition_work import Answer, Follow, Order, packed, work
from nenrin.features.partitioned import Join, PartitionedView
from nenrin.features.service import FeatureSet
from nenrin.features.trace import trace
from nenrin.features.traced import Traced
from tests.features.makers import make_dataset, make_view
from tests.features.streams import NUMBERS, PLACES, START, VIEWS, asked_rows, stream

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
        self.spilled: set[str] = set()

    def run(self, orders: Sequence[Order]) -> list[Any]:
        self.orders += orders
        done = [work(self.store, order) for order in orders]
        self.spilled |= set(self.store.digests()) - self.kept
        return done

    def traced(self, view: FeatureView) -> Traced:
        return trace(view, self.frame.schema, None)

    def join(
        self,
        view: FeatureView,
        rows: pl.DataFrame,
        asked: np.ndarray,
        memory: int,
        mark: str = "tests",
    ) -> pl.DataFrame:
        join = Join(self.store, self.run, memory, mark)
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


def test_many_partitions_with_skew_and_moved_events(tmp_path: Path) -> None:
    """Half of the rows are of one key; every tenth event moves to another key later."""
    draw = np.random.default_rng(5)
    rows = 4_000
    user = np.where(draw.random(rows) < 0.5, 0, draw.integers(0, 400, rows))
    known = START + np.arange(rows) * MINUTE
    frame = pl.DataFrame(
        {
            "id": np.where(draw.random(rows) < 0.9, np.arange(rows), np.arange(rows) - 7),
            "user": user,
            "value": draw.normal(size=rows),
            "__event__": known - draw.integers(0, 60, rows) * MINUTE,
            "__known__": known,
        }
    )

    def features(r: Any) -> dict[str, Any]:
        return {"v": r.value, "n": r.count("1d"), "mean": r.value.mean("2h")}

    view = make_view(make_dataset("events", key="id"), features, by="user", hop="10m")
    keeper = Keeper(tmp_path, [frame[:1500], frame[1500:]])
    keys = pl.DataFrame({"user": draw.integers(-3, 403, 900).astype(np.int32)})
    asked = START + draw.integers(0, rows, 900) * MINUTE
    found = keeper.join(view, keys, asked, 1_200_000)
    assert found.equals(ViewIndex.build(keeper.traced(view), keeper.frame).at(keys, asked))
    assert keeper.partitions() > 1
    assert any(isinstance(order, Follow) for order in keeper.orders)
    assert found["n"].sum() > 0

    with pytest.raises(DataError, match=r"rows of dataset events have user=0; ") as caught:
        keeper.join(view, keys, asked, 300_000)
    assert "NENRIN_JOIN_MEMORY" in caught.value.hint
    assert set(keeper.store.digests()) == keeper.kept


def test_events_that_stay_with_their_key_are_spilled_once(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, [stream(1)])
    keys, at = asking(1, 10)
    for view in (
        make_view(FINER, both, by="place"),
        make_view(EVENTS, lambda r: {"v": r.value}, by="place"),
    ):
        keeper.join(view, keys, at, 10**6)
    assert not any(isinstance(order, Follow) for order in keeper.orders)


def test_work_that_fails_leaves_nothing_spilled(tmp_path: Path) -> None:
    class Failing(Keeper):
        def run(self, orders: Sequence[Order]) -> list[Any]:
            if isinstance(orders[0], Answer):
                raise UnavailableError("the node is gone")
            return super().run(orders)

    keeper = Failing(tmp_path, [stream(2)])
    with pytest.raises(UnavailableError):
        keeper.join(JOINED[0], *asking(2, 10), 10**6)
    assert set(keeper.store.digests()) == keeper.kept


def test_buckets_are_packed_in_their_order() -> None:
    counts = np.array([3, 0, 4, 9, 1, 1, 8])
    assert packed(counts, 9).tolist() == [0, 0, 0, 1, 2, 2, 3]


def test_a_feature_set_takes_what_was_joined(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, [stream(3)])
    known = keeper.frame
    rows = known.select("id", "place", "number", "__event__", "__known__")
    frames = {"asked": rows, "events": known, "others": known}
    whole = FeatureSet.build(VIEWS, asked_rows, frames)
    header = {**frames, "events": known.clear()}
    features = FeatureSet.loads(
        FeatureSet.build(VIEWS, asked_rows, header, apart={"events"}).dumps()
    )
    assert features.names == whole.names
    assert features.request_columns == whole.request_columns
    parts = {n: p for n, p in features.parts.items() if isinstance(p, PartitionedView)}
    assert list(parts) == ["newest", "sums"]
    asked = rows["__event__"].to_numpy() + HOUR
    join = Join(keeper.store, keeper.run, 10**6, "tests")
    joined = {n: join.columns(p.traced, keeper.manifest, rows, asked) for n, p in parts.items()}
    assert features.columns(rows, asked, joined).equals(whole.columns(rows, asked))
    with pytest.raises(UnavailableError, match="too large"):
        features.columns(rows, asked)
    with pytest.raises(UnavailableError, match="too large"):
        features.row({"place": "a", "number": 1}, START)


@pytest.mark.parametrize(
    ("columns", "values", "word"),
    [
        ({"k": "integer"}, [7], 0x63CBE1E459320DD7),
        ({"k": "text"}, ["é"], 0xCCC0518FB64D4390),
    ],
)
def test_words_never_change(columns: dict[str, Any], values: list[Any], word: int) -> None:
    """Partitions of two machines, and of two releases of a library, are the same."""
    assert key_words(pl.DataFrame({"k": values}), columns).tolist() == [word]


def test_equal_keys_have_equal_words() -> None:
    wide = pl.DataFrame({"k": pl.Series([1, 2, None], dtype=pl.UInt64)})
    narrow = pl.DataFrame({"k": pl.Series([1, 2, None], dtype=pl.Int8)})
    assert (
        key_words(wide, {"k": "integer"}).tolist() == key_words(narrow, {"k": "integer"}).tolist()
    )
    floats = pl.DataFrame({"k": [0.0, -0.0, float("nan"), -float("nan")]})
    words = key_words(floats, {"k": "number"}).tolist()
    assert words[0] == words[1] != words[2] == words[3]
    two = pl.DataFrame({"a": ["x", "y"], "b": ["y", "x"]})
    assert len(set(key_words(two, {"a": "text", "b": "text"}).tolist())) == 2


def test_two_joins_at_a_time_take_no_file_from_each_other(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, [stream(1)])
    spilled = []
    for mark in ("one", "other"):
        keeper.join(make_view(EVENTS, both, by="place"), *asking(1, 10), 20_000, mark)
        spilled.append(keeper.spilled)
        keeper.spilled = set()
    assert not set.intersection(*spilled)
