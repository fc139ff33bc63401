"""A real model that takes no missing and no infinite value: rows fit the signature, and not the model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from starlette.testclient import TestClient

from nenrin.core.calendar import SystemCalendar
from nenrin.core.timer import SystemTimer
from nenrin.registry.kinds import RowAnswerer
from nenrin.registry.kinds.model import ModelAnswerer
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.app import Plane
from nenrin.serving.plane.proxy import ControlProxy
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.router import Variant
from nenrin.serving.signature import RequestSignature
from nenrin.training.artefact import Artefact, dump
from nenrin.training.columns import ColumnSpec
from tests.serving.fakes import FakeLoader, ListedRoutes, deployment

TYPES = {"a": pl.Float64(), "b": pl.Float64()}
SIGNATURE = RequestSignature.of(TYPES, known=TYPES, output="value")
ROW = {"a": 1.0, "b": 2.0}
NUMBERS = st.none() | st.floats()


class Linear(FakeLoader):
    """Every version is a fitted linear model."""

    def open(self, variant: Variant) -> RowAnswerer:  # type: ignore[override]
        x = np.random.default_rng(1).random((50, 2))
        model = LinearRegression().fit(x, x @ [2.0, 3.0])
        columns = tuple(ColumnSpec(name=name, kind="number") for name in TYPES)
        content = dump(
            model, name="linear", where="", task="regression", container="numpy", columns=columns
        )
        return RowAnswerer(ModelAnswerer(Artefact.loads(content, trusted=True)))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("linear")
    deployed = deployment("v1", name="linear", request=SIGNATURE, example=ROW)
    table = RouteTable(ListedRoutes(deployed), Linear(), SystemCalendar(), SystemTimer())
    table.refresh()
    control, log = ControlProxy(folder / "control.sock"), LiveLog(folder / "predictions")
    app = Plane(table, log, control, SystemTimer()).app()
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy, about sums that are infinite
@given(rows=st.lists(st.fixed_dictionaries({"a": NUMBERS, "b": NUMBERS}), min_size=1, max_size=3))
@example(rows=[{"a": None, "b": 0.5}])
@example(rows=[{"a": float("inf"), "b": 0.5}])
@example(rows=[{"a": 1e308, "b": 1e308}])
def test_every_row_is_answered_or_refused(client: TestClient, rows: list[dict[str, Any]]) -> None:
    values = [row[name] for row in rows for name in TYPES]
    tensor = {"name": "rows", "shape": [len(rows), 2], "datatype": "FP64", "data": values}
    bodies = {
        "/invocations": json.dumps(rows),
        "/v2/models/linear/infer": json.dumps({"inputs": [tensor]}),
    }
    found = {path: client.post(path, content=body) for path, body in bodies.items()}
    assert {answer.status_code for answer in found.values()} in ({200}, {422})
    for answer in found.values():
        told = answer.json()
        assert answer.is_success or "refuses a row" in told["error"], told


def test_a_refused_row_has_no_part_in_anothers_answer(client: TestClient) -> None:
    assert client.post("/invocations", json=[{"a": None, "b": 2.0}]).status_code == 422
    [value] = client.post("/invocations", json=[ROW]).json()["predictions"]
    assert value == pytest.approx(8.0)
