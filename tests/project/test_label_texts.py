"""New texts in a label's column are told; what is plain is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nenrin.data.declare import Dataset, file
from nenrin.project.label_texts import new_label_texts
from nenrin.training.declare import Model, model
from tests.data.fakes import Room

CUSTOMERS = file("customers.csv", key="id").named("customers", Path())


def _model(label: Any) -> Model:
    @model(rows=CUSTOMERS, label=label)
    def churned(rows: Any) -> Any: ...

    return churned


@pytest.fixture
def room(tmp_path: Path) -> Room:
    folder = tmp_path / "store"
    folder.mkdir()
    return Room(folder)


def _told(room: Room, label: Any, *loads: list[Any], dataset: Dataset = CUSTOMERS) -> list[str]:
    """What is told of the last of the loads."""
    versions = []
    for at, values in enumerate(loads, 1):
        frame = pl.DataFrame({"id": [f"{at}-{n}" for n in range(len(values))], "churned": values})
        versions.append(room.service.load("dev", dataset, at, source=frame))
    before = versions[-2] if len(versions) > 1 else None
    return new_label_texts(room.service, dataset, [_model(label)], before, versions[-1])


def test_a_new_text_is_named_with_what_it_counts_as(room: Room) -> None:
    label = CUSTOMERS.churned == "Yes"
    (said,) = _told(room, label, ["Yes", "No"], ["No", "Maybe", "maybe"])
    assert said.startswith("customers.churned holds 'Maybe', 'maybe', as no load before")
    assert "the label customers.churned == 'Yes' is false there" in said


def test_where_the_label_is_another_than_a_text_it_is_true_there(room: Room) -> None:
    (said,) = _told(room, CUSTOMERS.churned != "No", ["Yes", "No"], ["Maybe"])
    assert "is true there" in said


@pytest.mark.parametrize(
    ("loads", "positive"),
    [
        ([["Yes", "No", "Maybe"]], "Yes"),
        ([["Yes", "No"], ["No", None, "Yes"]], "Yes"),
        ([["No"], ["Yes"]], "Yes"),
        ([[1, 0], [2]], 1),
    ],
)
def test_nothing_new_is_told(room: Room, loads: list[list[Any]], positive: Any) -> None:
    assert _told(room, CUSTOMERS.churned == positive, *loads) == []
