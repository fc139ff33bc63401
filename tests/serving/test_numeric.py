"""The short way of version 2: what is plain is read and written together, as all else says it alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nenrin.serving.masks import LogRules
from nenrin.serving.plane import numeric, openinference
from nenrin.serving.plane.asking import Asking
from nenrin.serving.plane.batching import Runtime
from nenrin.serving.plane.served import Served
from nenrin.serving.router import Variant
from nenrin.serving.signature import RequestSignature
from tests.serving.hot_here import Here, Loader

PATH = b"/v2/models/sum/infer"
NAMES = ("a", "b", "c")
TYPES = dict.fromkeys(NAMES, pl.Float64())
SIGNATURE = RequestSignature.of(TYPES, known=TYPES, output="sum")
EXAMPLE = {"a": 1.0, "b": 2.0, "c": 3.0}

# of the first and the last tensor: what is no plain request, or no request at all
ODD: list[tuple[int, dict[str, Any]]] = [
    (0, {"datatype": "FP32"}),
    (0, {"datatype": "INT8"}),
    (-1, {"datatype": "FP65"}),
    (0, {"shape": [7, 3]}),
    (-1, {"shape": []}),
    (0, {"shape": [1, 1]}),
    (-1, {"name": "a"}),
    (-1, {"name": "z"}),
    (-1, {"parameters": {"binary_data_size": 8}}),
    (0, {"data": ["many", 1.0, 2.0]}),
    (0, {"data": []}),
]
numbers = st.none() | st.floats(-1e6, 1e6) | st.integers(-(2**70), 2**70) | st.just(-0.0)


@st.composite
def tables(draw: st.DrawFn) -> list[list[float | None]]:
    return draw(st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=3))


@st.composite
def bodies(draw: st.DrawFn) -> Any:
    """Plain requests of both shapes, some with an id, and some that are wrong, or not plain."""
    table = draw(tables())
    rows = len(table)
    matrix = {"name": "rows", "shape": [rows, 3], "datatype": "FP64"}
    tensors: list[dict[str, Any]] = [{**matrix, "data": [each for row in table for each in row]}]
    if draw(st.booleans()):
        tensors = [
            {"name": name, "shape": [rows], "datatype": "FP64", "data": [row[at] for row in table]}
            for at, name in enumerate(NAMES)
        ]
        tensors = draw(st.permutations(tensors))
    body: dict[str, Any] = {"inputs": tensors}
    if draw(st.booleans()):
        body["id"] = draw(st.text(max_size=3))
    place, odd = draw(st.sampled_from([(0, {}), (0, {}), *ODD]))
    tensors[place] |= odd
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from([b"{", {**body, "outputs": [{"name": "sum"}]}]))
    return body


class Adding:
    """Adds a row up, and says which rows it was asked about together."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def answer_rows(self, rows: Any) -> np.ndarray:
        self.batches.append(len(rows))
        found = [[row[name] for name in NAMES] for row in rows]
        return np.array([sum(each or 0.0 for each in row) for row in found])


class AddingLoader(Loader):
    """Every version is the same model."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Adding()

    def open(self, variant: Variant) -> Any:
        return self.model


@pytest.fixture(params=[(), (50, 50)], ids=["one version", "two"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Here]:
    here = Here(tmp_path, AddingLoader())
    versions = ("v1", "v2") if request.param else ("v1",)
    given: dict[str, Any] = {"request": SIGNATURE, "example": EXAMPLE, "log": LogRules()}
    here.serve(*versions, weights=request.param, name="sum", **given)
    yield here
    here.observer.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    here = Here(tmp_path_factory.mktemp("plane"), AddingLoader())
    here.serve("v1", name="sum", request=SIGNATURE, example=EXAMPLE)
    yield here.table.get("sum")
    here.observer.close()


def told(answer: Any) -> Any:
    """Status and body, but what differs each time."""
    body = dict(answer.body)
    for output in body.get("outputs", ()):
        if output["name"] == "prediction_id":
            output["data"] = len({*output["data"]})
    return answer.status, body


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(asked=st.lists(bodies(), min_size=1, max_size=8))
def test_together_and_alone_say_the_same(here: Here, asked: list[Any]) -> None:
    together = here.ask(*asked, path=PATH)
    alone = here.ask(*asked, path=PATH, together=False)
    assert [*map(told, together)] == [*map(told, alone)]


@settings(max_examples=60)
@given(asked=st.lists(bodies(), min_size=1, max_size=4))
def test_what_is_plain_is_read_as_all_else_is(served: Served, asked: list[Any]) -> None:
    encoded = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in asked]
    plain = numeric.read(encoded, served)
    if plain is None:
        return
    start = 0
    for place, size, said in zip(plain.places, plain.sizes, plain.given, strict=True):
        whole = openinference.read(encoded[place], served, {})
        assert [*plain.rows[start : start + size]] == [*whole.rows]
        assert said == asked[place].get("id")
        start += size
    assert start == len(plain.rows)


def test_what_is_more_than_a_batch_is_cut_between_requests(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Runtime, "batch_rows", 5)
    sizes = [3, 1, 1, 4, 7, 2, 2, 1, 3]
    asked, wanted = [], []
    for place, size in enumerate(sizes):
        table = [[float(place), float(row), 0.5] for row in range(size)]
        data = [each for row in table for each in row]
        tensor = {"name": "rows", "shape": [size, 3], "datatype": "FP64", "data": data}
        asked.append({"inputs": [tensor], "id": f"request {place}"})
        wanted.append([sum(row) for row in table])
    model = here.loader.model  # type: ignore[attr-defined]
    model.batches.clear()
    answers = here.ask(*asked, path=PATH)
    assert [answer.body["outputs"][0]["data"] for answer in answers] == wanted
    assert [answer.body["id"] for answer in answers] == [each["id"] for each in asked]
    assert sum(model.batches) == sum(sizes)
    if len(here.table.get("sum").runtimes) == 1:
        assert model.batches == [5, 4, 7, 5, 3]  # no request is cut
    logged = {each.id: each.answer for each in here.logged()}
    for answer, values in zip(answers, wanted, strict=True):
        assert [logged[each] for each in answer.body["outputs"][2]["data"]] == values


def test_what_cannot_be_dealt_on_is_told(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> bool:
        raise RuntimeError("it is broken")

    monkeypatch.setattr(Asking, "sound", property(broken))
    tensor = {"name": "rows", "shape": [1, 3], "datatype": "FP64", "data": [1.0, 2.0, 3.0]}
    answers = here.ask(*[{"inputs": [tensor]}] * 3, path=PATH)
    assert [answer.status for answer in answers] == [500] * 3


def test_a_turn_is_one_batch_and_one_line_of_the_log(here: Here) -> None:
    tensor = {"name": "rows", "shape": [1, 3], "datatype": "FP64"}
    asked = [{"inputs": [{**tensor, "data": [float(at), 1.0, None]}]} for at in range(20)]
    model = here.loader.model  # type: ignore[attr-defined]
    model.batches.clear()
    answers = here.ask(*asked, path=PATH)
    values = [answer.body["outputs"][0]["data"] for answer in answers]
    assert values == [[at + 1.0] for at in range(20)]
    versions = len(here.table.get("sum").runtimes)
    assert len(model.batches) == versions
    assert sum(model.batches) == 20
    logged = {each.id: each for each in here.logged()}
    for at, answer in enumerate(answers):
        [prediction] = answer.body["outputs"][2]["data"]
        assert logged[prediction].row == {"a": float(at), "b": 1.0, "c": None}
        assert logged[prediction].version == answer.body["model_version"]
