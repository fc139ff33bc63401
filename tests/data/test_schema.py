from __future__ import annotations

import polars as pl
import pytest

from nenrin.core.errors import DataError
from nenrin.data.declare import Dataset
from nenrin.data.schema import fit_schema
from nenrin.data.spec import DatasetSpec
from tests.data.fakes import Room

SPEC = DatasetSpec(name="orders", where="project.py:9")
STORED = pl.DataFrame({"n": [1, 2], "x": [0.5, 1.5], "s": ["a", "b"]})


@pytest.mark.parametrize(
    "loaded",
    [
        STORED,
        STORED.select("s", "x", "n"),
        STORED.with_columns(pl.col("n").cast(pl.Float64)),
        STORED.with_columns(pl.col("n").cast(pl.Int8)),
        STORED.with_columns(pl.lit(1).alias("x")),
        STORED.with_columns(pl.lit(None).cast(pl.String).alias("n")),
        STORED.with_columns(pl.lit(None).cast(pl.String).alias("x")),
    ],
)
def test_what_loses_nothing_fits(loaded):
    fitted = fit_schema(loaded, STORED, SPEC)
    assert fitted.schema == STORED.schema
    assert fitted["s"].to_list() == loaded["s"].to_list()
    assert fitted["n"].to_list() == loaded["n"].to_list()


@pytest.mark.parametrize(
    ("loaded", "said"),
    [
        (STORED.drop("n"), "n is gone"),
        (STORED.rename({"s": "ss"}), "s is gone; ss is new"),
        (STORED.rename({"n": "n2"}).with_columns(n_=1), "n is gone"),
        (STORED.with_columns(extra=1), "extra is new"),
        (STORED.with_columns(pl.lit(1.5).alias("n")), "n is Float64, it was Int64"),
        (STORED.with_columns(pl.lit(1).alias("s")), "s is Int32, it was String"),
        (STORED.with_columns(pl.lit(2**53 + 1).alias("x")), "x is Int64, it was Float64"),
    ],
)
def test_what_changes_is_named(loaded, said):
    with pytest.raises(DataError, match=said) as raised:
        fit_schema(loaded, STORED, SPEC)
    assert raised.value.where == "project.py:9"


def test_a_renamed_column_is_guessed():
    stored = pl.DataFrame({"customer_plan": [1]})
    with pytest.raises(DataError, match=r"renamed to customer_plans\?"):
        fit_schema(stored.rename({"customer_plan": "customer_plans"}), stored, SPEC)


def test_a_column_without_values_so_far_takes_the_type_that_comes(room: Room):
    customers = Dataset(DatasetSpec(name="customers", key=("id",)))
    room.service.load("dev", customers, 5, source={"id": [1], "left": [None]})
    version = room.service.load("dev", customers, 6, source={"id": [1, 2], "left": [None, 3]})
    assert (version.unchanged, version.added) == (1, 1)
    frame = room.service.frame(version)
    assert frame["left"].dtype == pl.Int64
    assert frame["left"].to_list() == [None, 3]
