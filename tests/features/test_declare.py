from __future__ import annotations

from typing import Any

import pytest

from nenrin.core.errors import ProjectError
from nenrin.core.instants import HOUR, MINUTE
from nenrin.features.declare import feature_view
from tests.features.makers import line_of, make_dataset

weather = make_dataset("weather")


@feature_view(weather, by=["origin", "dest"], ttl="3h", hop="10m")
def sky(w: Any) -> dict[str, Any]:
    return {"temp": w["temp"] + 1}


def test_a_view_is_a_record_that_can_be_called() -> None:
    spec = sky.declared
    assert (spec.name, spec.by) == ("sky", ("origin", "dest"))
    assert (spec.ttl, spec.hop) == (3 * HOUR, 10 * MINUTE)
    line = line_of('@feature_view(weather, by=["origin"', __file__)
    assert spec.where in (f"{__file__}:{line}", f"{__file__}:{line + 1}")
    assert sky.dataset is weather
    assert sky({"temp": 1}) == {"temp": 2}
    assert repr(sky) == "<feature view sky>"


@pytest.mark.parametrize(
    ("declared", "word"),
    [
        ({"by": ""}, "by=''"),
        ({"by": []}, "by=[]"),
        ({"by": ["a", "a"]}, "by=['a', 'a']"),
        ({"by": [1]}, "by=[1]"),
        ({"ttl": "soon"}, "ttl='soon'"),
        ({"ttl": 3}, "ttl=3"),
        ({"hop": "0m"}, "hop='0m'"),
    ],
)
def test_arguments_are_checked_where_they_stand(declared: dict[str, Any], word: str) -> None:
    with pytest.raises(ProjectError) as caught:
        feature_view(weather, **declared)(lambda w: {})
    assert word in caught.value.message
    assert caught.value.where.startswith(f"{__file__}:")
    assert caught.value.hint


def test_it_wants_a_dataset_and_a_function_of_one_row() -> None:
    with pytest.raises(ProjectError, match="function of one row"):
        feature_view(weather)(dict)
    with pytest.raises(ProjectError, match="function of one row"):
        feature_view(weather)(7)
    with pytest.raises(ProjectError, match="given a function") as caught:
        feature_view(lambda w: {})
    assert caught.value.where.startswith(f"{__file__}:")
