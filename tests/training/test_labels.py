"""Labels, joined to rows by key."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import ProjectError
from nenrin.core.instants import NEVER
from nenrin.data.declare import dataset
from nenrin.training.asking import AskedRows, ask
from nenrin.training.declare import Model, model
from nenrin.training.labels import join_labels


@dataset(key="id", time="at")
def flights() -> None: ...


@dataset(key="id", time="landed")
def arrivals() -> None: ...


@dataset(key="plane", time="built")
def planes() -> None: ...


def _model(label: Any = None) -> Model:
    @model(rows=flights, label=arrivals.late if label is None else label)
    def guess(rows: Any) -> Any: ...

    return guess


def _rows(known: list[int]) -> AskedRows:
    frame = pl.DataFrame(
        {"id": [f"k{place}" for place in range(len(known))], "__known__": known},
        schema_overrides={"__known__": pl.Int64},
    ).with_columns(__event__=pl.lit(0, dtype=pl.Int64))
    return ask(_model(), frame.sort("__known__", maintain_order=True))


def _told(told: list[tuple[int, int, float | None]], dtype: Any = pl.Float64) -> pl.DataFrame:
    ordered = sorted(told, key=lambda each: each[1])
    return pl.DataFrame(
        {
            "id": pl.Series([f"k{key}" for key, _, _ in ordered], dtype=pl.String),
            "late": pl.Series([label for _, _, label in ordered], dtype=dtype),
            "__known__": pl.Series([known for _, known, _ in ordered], dtype=pl.Int64),
        }
    )


def _at(told: list[tuple[int, int, float | None]], row: int, known: int, instant: int) -> float:
    """The label of ``row`` as it was known at ``instant``, by replaying what was told."""
    label = math.nan
    for key, when, value in sorted(told, key=lambda each: each[1]):
        if key == row and max(when, known) <= instant:
            label = math.nan if value is None else value
    return label


@given(
    known=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    told=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 9), st.none() | st.sampled_from([0.0, 1.0])),
        max_size=14,
    ),
)
def test_labels_and_corrections_replay_what_was_told(
    known: list[int], told: list[tuple[int, int, float | None]]
) -> None:
    rows = _rows(known)
    labels = join_labels(_model(), rows, _told(told))
    for place, key in enumerate(rows.keys):
        row = int(key[1:])
        for instant in range(11):
            label = labels.y[place] if labels.answered[place] <= instant else math.nan
            for changed, when, y in zip(
                labels.corrected, labels.corrected_at, labels.corrected_y, strict=True
            ):
                if changed == place and when <= instant:
                    label = y
            np.testing.assert_equal(label, _at(told, row, known[row], instant))
    assert (np.diff(labels.corrected_at) >= 0).all()
    assert ((labels.answered == NEVER) == np.isnan(labels.y)).all()


def test_labels_of_rows_that_do_not_exist_are_left_out() -> None:
    labels = join_labels(_model(), _rows([0]), _told([(5, 3, 1.0)]))
    assert labels.answered.tolist() == [NEVER]


def test_an_own_column_and_a_comparison_are_labels() -> None:
    frame = pl.DataFrame(
        {"id": ["a", "b", "c"], "churned": ["Yes", "No", None], "__event__": 0, "__known__": 4},
        schema_overrides={"__event__": pl.Int64, "__known__": pl.Int64},
    )
    declared = _model(flights.churned == "Yes")
    labels = join_labels(declared, ask(declared, frame), frame)
    np.testing.assert_array_equal(labels.y, [1.0, 0.0, np.nan])
    assert labels.answered.tolist() == [4, 4, NEVER]


@pytest.mark.parametrize(
    ("op", "wanted"),
    [
        ("==", [0, 1, 0]),
        ("!=", [1, 0, 1]),
        ("<", [1, 0, 0]),
        ("<=", [1, 1, 0]),
        (">", [0, 0, 1]),
        (">=", [0, 1, 1]),
    ],
)
def test_every_comparison(op: str, wanted: list[int]) -> None:
    column = arrivals.late
    label = {
        "==": column == 2.0,
        "!=": column != 2.0,
        "<": column < 2.0,
        "<=": column <= 2.0,
        ">": column > 2.0,
        ">=": column >= 2.0,
    }[op]
    told = _told([(0, 1, 1.0), (1, 1, 2.0), (2, 1, 3.0)])
    assert join_labels(_model(label), _rows([0, 0, 0]), told).y.tolist() == wanted


@pytest.mark.parametrize(
    ("label", "says", "hint"),
    [
        (
            planes.seats,
            "cannot be joined: the key of flights is id, that of planes is plane",
            "key=",
        ),
        (arrivals.lat, "names a column that arrivals does not have", "late"),
        (arrivals.id, "neither numbers nor truth values", "== 'k0'"),
        (arrivals.id == 3, "compares String with int", "'k0'"),
    ],
)
def test_labels_that_are_none_are_refused(label: Any, says: str, hint: str) -> None:
    with pytest.raises(ProjectError, match=says) as caught:
        join_labels(_model(label), _rows([0]), _told([(0, 1, 1.0)]))
    assert hint in caught.value.hint
    assert "test_labels.py:" in caught.value.where


def test_a_nan_label_is_no_label() -> None:
    labels = join_labels(_model(), _rows([0]), _told([(0, 1, math.nan)]))
    assert labels.answered.tolist() == [NEVER]
