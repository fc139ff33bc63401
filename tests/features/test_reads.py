"""Which columns a feature is read from: through operators, windows, and functions by row."""

from __future__ import annotations

from typing import Any

import polars as pl

from nenrin.data.declare import dataset
from nenrin.features.declare import feature_view
from nenrin.features.reads import columns_of
from nenrin.features.service import FeatureSet


@dataset(key="id")
def people() -> None: ...


@dataset(key="id", time="at")
def visits() -> None: ...


@feature_view(people)
def own(p: Any) -> dict[str, Any]:
    return {"adult": p.age > 17, "both": (p.name == "Ann") & (p.age > 17), "one": 1}


@feature_view(visits, by="person")
def seen(v: Any) -> dict[str, Any]:
    return {
        "shop": v.shop,
        "visits": v.count("7d"),
        "ratio": v.spent.sum("7d") / v.pages.mean("7d"),
    }


@feature_view(people)
def by_row(p: Any) -> dict[str, Any]:
    return {"first": str(p.name)[:1], "old": p.age}


def test_columns_of_every_feature() -> None:
    known = {"__event__": [0], "__known__": [0]}
    persons = {"id": [1], "person": [1], "age": [3], "name": ["Bob"], **known}
    events = {"id": [1], "person": [1], "shop": ["a"], "spent": [1.0], "pages": [2.0], **known}
    frames = {"people": pl.DataFrame(persons), "visits": pl.DataFrame(events)}
    found = columns_of(FeatureSet.build([own, seen, by_row], people, frames))
    assert found == {
        "adult": ("", {"age"}),
        "both": ("", {"age", "name"}),
        "one": ("", set()),
        "shop": ("visits", {"shop"}),
        "visits": ("visits", set()),
        "ratio": ("visits", {"spent", "pages"}),
        "first": ("", {"age", "name"}),
        "old": ("", {"age", "name"}),
    }
    again = FeatureSet.loads(FeatureSet.build([own, seen, by_row], people, frames).dumps())
    assert columns_of(again) == found
