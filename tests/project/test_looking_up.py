"""What requests of a deployment may leave out, and what may stand for a key that no row has."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from nenrin.core.errors import ProjectError
from nenrin.data.declare import dataset
from nenrin.features.declare import feature_view
from nenrin.features.entities import Lookup
from nenrin.features.service import FeatureSet
from nenrin.loop.declare import deployment
from nenrin.project.looking_up import lookup_of
from nenrin.training.declare import model

FRAME = pl.DataFrame(
    {
        "id": ["a"],
        "seen": [1_400_000_000_000_000],
        "age": [40],
        "left": [True],
        "__event__": [1_400_000_000_000_000],
        "__known__": [1_400_000_000_000_000],
    }
).with_columns(pl.col("seen").cast(pl.Datetime("us", "UTC")))


def declared(missing: Any, *, key: str | tuple[()] = "id") -> tuple[Any, FeatureSet]:
    @dataset(key=key, time="seen")
    def people() -> None: ...

    @feature_view(people)
    def own(p: Any) -> dict[str, Any]:
        return {"age": p.age}

    @model(rows=people, label=people["left"], features=[own], at=people["seen"] - "2h")
    def leaves(rows: Any) -> Any: ...

    state = FeatureSet.build([own], people, {"people": FRAME}, label="left", time="seen")
    return deployment(leaves, missing=missing), state


def test_columns_that_features_read_may_be_left_out_and_the_time_moves_with_them() -> None:
    hours = -2 * 3_600_000_000
    assert lookup_of(*declared("refuse")) == Lookup(columns=("age",), time="seen", shift=hours)
    given = {"age": 30, "seen": "2014-05-13T10:00:00"}
    assert lookup_of(*declared(given)) == Lookup(
        columns=("age",), time="seen", shift=hours, missing=given
    )
    assert lookup_of(*declared("refuse", key=())) is None


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ({"agee": 3}, "missing= names agee, which is not looked up"),
        ({"left": True}, "missing= names left"),
        ({"age": "forty"}, "missing= does not fit: age is 'forty'"),
        ({"seen": "yesterday"}, "missing= does not fit: seen"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(missing: dict[str, Any], says: str) -> None:
    with pytest.raises(ProjectError, match=says) as caught:
        lookup_of(*declared(missing))
    assert caught.value.where.startswith(__file__)


def test_nothing_stands_for_rows_that_nobody_looks_up() -> None:
    with pytest.raises(ProjectError, match="people has no key"):
        lookup_of(*declared({}, key=()))
