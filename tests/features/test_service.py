"""All views of a model together: for training rows, and for one live request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import IntegrityError, NotFoundError, ProjectError, RequestError
from nenrin.core.instants import HOUR, to_us
from nenrin.features.arrays import NO_INSTANT
from nenrin.features.declare import FeatureView, feature_view
from nenrin.features.service import FeatureSet
from tests.features.makers import make_dataset, make_view, same

flights = make_dataset("flights", key="id", time="leaves", tz="America/New_York")
weather = make_dataset("weather", key=["origin", "seen"], time="seen")
arrivals = make_dataset("arrivals", key="id", time="landed")


@feature_view(weather, by="origin", ttl="3h")
def sky(w: Any) -> dict[str, Any]:
    return {"temp": w.temp, "wet": w.rain > 0}


@feature_view(arrivals, by=["origin", "carrier"], hop="10m")
def recent(a: Any) -> dict[str, Any]:
    return {"landed": a.count("2h"), "late": a.late.mean("2h")}


@feature_view(flights)
def trip(r: Any) -> dict[str, Any]:
    return {
        "hour": r.leaves.hour,
        "far": r.distance > 1500,
        "fare": r.fare * 2,
        "carrier": r.carrier,
    }


@feature_view(flights)
def season(r: Any) -> dict[str, Any]:
    return {"summer": 1 if r.leaves.month in (6, 7, 8) else 0}


NINE = to_us(datetime(2013, 7, 1, 13, tzinfo=UTC))
"""Nine in the morning in New York."""


def timed(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    moments = pl.col(column).cast(pl.Datetime("us", "UTC"))
    event = pl.col(column).cast(pl.Int64)
    return frame.with_columns(moments, event.alias("__event__"), event.alias("__known__"))


FRAMES = {
    "flights": timed(
        pl.DataFrame(
            {
                "id": ["f1", "f2", "f3"],
                "leaves": [NINE, NINE + HOUR, None],
                "origin": ["JFK", "LGA", None],
                "carrier": ["UA", "B6", None],
                "distance": [2475, None, 100],
                "fare": pl.Series([0.1, 7.25, None], dtype=pl.Float32),
                "late": [True, None, False],
            },
            schema_overrides={"leaves": pl.Int64},
        ),
        "leaves",
    ),
    "weather": timed(
        pl.DataFrame(
            {
                "origin": ["JFK", "LGA", "JFK"],
                "seen": [NINE - HOUR, NINE - 3 * HOUR, NINE + HOUR],
                "temp": [70.5, 68.0, 90.0],
                "rain": [0.0, 0.5, 0.0],
            }
        ),
        "seen",
    ),
    "arrivals": timed(
        pl.DataFrame(
            {
                "id": ["e1", "e2", "e3"],
                "landed": [NINE - HOUR, NINE, NINE - 3 * HOUR],
                "origin": ["JFK", "JFK", "LGA"],
                "carrier": ["UA", "UA", "B6"],
                "late": [True, False, True],
            }
        ),
        "landed",
    ),
}
VIEWS: list[FeatureView] = [sky, recent, trip, season]


def asked_of(frame: pl.DataFrame) -> np.ndarray:
    return frame["__event__"].fill_null(NO_INSTANT).to_numpy()


def build(views: Any = VIEWS, rows: Any = flights, frames: Any = FRAMES, **more: Any) -> FeatureSet:
    return FeatureSet.build(views, rows, frames, **more)


def test_training_rows_get_every_feature_in_declared_order() -> None:
    features = build()
    rows = FRAMES["flights"].head(2)
    found = features.columns(rows, asked_of(rows))
    assert tuple(found.columns) == features.names
    assert found.rows(named=True) == [
        {"temp": 70.5, "wet": False, "landed": 2, "late": 0.5, "hour": 9, "far": True}
        | {"fare": float(np.float32(0.1)) * 2, "carrier": "UA", "summer": 1.0},
        {"temp": None, "wet": None, "landed": 0, "late": None, "hour": 10, "far": None}
        | {"fare": 14.5, "carrier": "B6", "summer": 1.0},
    ]


def test_a_row_without_key_or_time_stays_with_nulls() -> None:
    features = build([sky, recent])
    rows = FRAMES["flights"]
    found = features.columns(rows, asked_of(rows))
    assert found.height == 3
    assert found.row(2) == (None, None, None, None)
    assert features.columns(rows.head(0), asked_of(rows.head(0))).shape == (0, 4)


def test_one_request_gets_what_the_training_row_got() -> None:
    features = FeatureSet.loads(build().dumps())
    rows = FRAMES["flights"].head(2)
    many = features.columns(rows, asked_of(rows)).rows(named=True)
    requests = [
        {
            "leaves": "2013-07-01T09:00",
            "origin": "JFK",
            "carrier": "UA",
            "distance": 2475,
            "fare": 0.1,
        },
        {"leaves": "2013-07-01T14:00:00Z", "origin": "LGA", "carrier": "B6"}
        | {"distance": None, "fare": 7.25, "more": "ignored"},
    ]
    for request, at, expected in zip(requests, asked_of(rows).tolist(), many, strict=True):
        one = features.row(request, at)
        assert list(one) == list(expected)
        assert all(same(one[name], expected[name]) for name in one), (one, expected)


def test_a_request_brings_raw_columns_only() -> None:
    features = build()
    assert features.request_columns == {
        "leaves": pl.Datetime("us", "UTC"),
        "origin": pl.String,
        "carrier": pl.String,
        "distance": pl.Int64,
        "fare": pl.Float32,
    }
    with pytest.raises(RequestError, match="has no origin, fare") as caught:
        features.row({"leaves": None, "carrier": "UA", "distance": 1}, NINE)
    assert "null where a value is unknown" in caught.value.hint


def test_views_that_run_by_row_are_named_with_the_reason() -> None:
    features = build()
    assert list(features.by_row) == ["season"]
    assert f"{__file__}:" in features.by_row["season"]
    assert build([sky]).by_row == {}


def test_the_same_data_gives_the_same_bytes() -> None:
    assert build().dumps() == build().dumps()
    for data in (b"", b"other", build([sky]).dumps()[:-7]):
        with pytest.raises(IntegrityError):
            FeatureSet.loads(data)


def test_features_left_out_are_all_columns_but_some() -> None:
    features = build(None, label="late", drop=["fare"])
    assert features.names == ("origin", "carrier", "distance")
    assert features.columns(FRAMES["flights"], asked_of(FRAMES["flights"])).height == 3
    assert features.row({"origin": "JFK", "carrier": None, "distance": 3.0}, NINE) == {
        "origin": "JFK",
        "carrier": None,
        "distance": 3,
    }


def test_two_views_may_not_give_one_feature() -> None:
    def sky_too(w: Any) -> dict[str, Any]:
        return {"temp": w.temp}

    with pytest.raises(ProjectError, match="given by two views, sky and sky_too"):
        build([sky, make_view(weather, sky_too, by="origin")])
    with pytest.raises(ProjectError, match="two feature views of the model are named sky"):
        build([sky, sky])


REFUSED = [
    (make_view(weather, lambda w: {"t": w.temp}), "the model's rows are flights"),
    (make_view(flights, lambda r: {"x": r.late}), "reads late, which is the label"),
    (
        make_view(flights, lambda r: {"x": r.fare if r.late else 0}),
        "reads late, which is the label",
    ),
    (make_view(weather, lambda w: {"t": w.temp}, by="seen"), "flights has no such column"),
    (make_view(arrivals, lambda a: {"n": a.late}, by="late"), None),
]


@pytest.mark.parametrize(("view", "message"), REFUSED)
def test_views_that_do_not_fit_the_rows_are_refused(view: FeatureView, message: str | None) -> None:
    if (
        message is None
    ):  # truth values are keys like others, and past labels are features like others
        assert build([view], label="late").names == ("n",)
        return
    with pytest.raises(ProjectError) as caught:
        build([view], label="late")
    assert message in caught.value.message
    assert caught.value.where.startswith(f"{__file__}:")


def test_keys_must_be_of_one_kind() -> None:
    numbered = FRAMES["weather"].with_columns(origin=pl.lit(1))
    with pytest.raises(ProjectError, match=r"by origin \(integer\), but flights.origin is text"):
        build([sky], frames=FRAMES | {"weather": numbered})


def test_no_features_at_all_are_refused() -> None:
    with pytest.raises(ProjectError, match="an empty list of features"):
        build([])


def test_datasets_must_be_loaded() -> None:
    with pytest.raises(NotFoundError, match="'weather' is not loaded"):
        build([sky], frames={"flights": FRAMES["flights"]})


def test_rows_of_a_large_dataset_are_not_looked_up_and_large_views_say_so() -> None:
    both = {"flights": False, "weather": True}
    for name, refused in both.items():
        state = FeatureSet.build([sky, trip], flights, FRAMES, apart=[name])
        assert (state.by_key is None) is not refused
        assert (state.too_large is not None) is refused
    assert state.too_large is not None
    assert "weather is too large" in state.too_large.message
