from __future__ import annotations

import msgspec
import polars as pl
import pytest

from nenrin.core.errors import ProjectError
from nenrin.features.entities import Lookup
from nenrin.serving.signature import RequestSignature, kind_of
from tests.serving.fakes import SIGNATURE


def test_keys_come_first_and_may_be_left_out() -> None:
    assert [(field.name, field.kind, field.required) for field in SIGNATURE.fields] == [
        ("flight_id", "string", False),
        ("sched_dep", "datetime", True),
        ("distance", "number", True),
        ("origin", "string", True),
    ]


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (pl.Float32(), "number"),
        (pl.Int8(), "integer"),
        (pl.UInt64(), "integer"),
        (pl.Boolean(), "boolean"),
        (pl.String(), "string"),
        (pl.Enum(["a"]), "string"),
        (pl.Categorical(), "string"),
        (pl.Datetime("us", "UTC"), "datetime"),
        (pl.Date(), "date"),
        (pl.Null(), "number"),
    ],
)
def test_kinds(dtype: pl.DataType, kind: str) -> None:
    assert kind_of("column", dtype) == kind


def test_a_type_without_a_json_value() -> None:
    with pytest.raises(ProjectError, match=r"'tags' of type List"):
        RequestSignature.of({"tags": pl.List(pl.Int64)}, known={})


def test_an_example_leaves_out_what_it_may() -> None:
    example = SIGNATURE.example("delay", {"origin": "EWR", "distance": 1.0})
    assert example["records"] == [{"sched_dep": None, "distance": 1.0, "origin": "EWR"}]


def test_what_is_looked_up_may_be_left_out_and_stands_in_the_example() -> None:
    lookup = Lookup(columns=("distance", "origin"), time="sched_dep")
    signature = RequestSignature.of(
        {"distance": pl.Float64(), "origin": pl.String()},
        known={"flight_id": pl.String(), "sched_dep": pl.Datetime("us", "UTC")},
        key=("flight_id",),
        time="sched_dep",
        lookup=lookup,
    )
    assert [field.name for field in signature.fields if field.required] == []
    row = {"flight_id": "UA-1", "distance": None, "origin": "EWR"}
    assert signature.example("delay", row)["records"] == [row]
    assert signature.widened(SIGNATURE).lookup == lookup


BY_KEY = RequestSignature.of(
    {"distance": pl.Float64(), "origin": pl.String()},
    known={"id": pl.String(), "leaves": pl.Datetime("us", "UTC"), "distance": pl.Float64()},
    key=("id",),
    time="leaves",
    lookup=Lookup(columns=("distance", "origin", "leaves"), time="leaves"),
)


@pytest.mark.parametrize("sticky", ["distance", "id", "leaves"])
def test_what_rows_stick_by_is_required(sticky: str) -> None:
    signature = msgspec.structs.replace(BY_KEY, sticky=sticky)
    assert (BY_KEY.required, signature.required) == ((), (sticky,))
    assert set(signature.looked_up) == {"distance", "origin", "leaves"} - {sticky}
    assert sticky in signature.example("delay", {"origin": "EWR"})["records"][0]


@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        (["id"], []),
        (["id", "leaves", "email"], []),
        (["id", "leaves", "distance", "origin"], []),
        (["leaves", "distance", "origin"], []),
        (["id", "origin"], ["leaves", "distance"]),
        (["id", "leaves", "distance"], ["origin"]),
        (["email"], ["leaves", "distance", "origin"]),
    ],
)
def test_a_table_is_by_key_alone_or_whole(names: list[str], lacking: list[str]) -> None:
    assert BY_KEY.lacking(names) == lacking
    sticky = msgspec.structs.replace(BY_KEY, sticky="id")
    assert set(sticky.lacking(names)) == {*lacking, "id"} - {*names}
