"""A model behind a URL: judged, deployed, logged as any other, and what it fails with is said."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.settings import Settings
from nenrin.platform import Platform
from tests.journeys.plane import PlaneHere

N = 1500
PROJECT = """import nenrin as nr
data = nr.file("data.csv", key="id")
churn = nr.remote("{url}", rows=data, label=data.churned, timeout="1s")
service = nr.deployment(churn)
"""


class Server(ThreadingHTTPServer):
    """Speaks version 2 for a logistic model of a number and a text.

    Attributes:
        matrix: it takes one matrix of a and b instead, and answers with two classes.
        fails: with what status every request to infer is answered; 0 for none.
        silent: it never answers such a request before it is released.
        rows: how many rows each request had.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.matrix, self.fails, self.rows = False, 0, list[int]()
        self.silent: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v2/models/churn"

    def metadata(self) -> dict[str, Any]:
        inputs = [
            {"name": "plan", "datatype": "BYTES", "shape": [-1, 1]},
            {"name": "a", "datatype": "FP64", "shape": [-1]},
        ]
        if self.matrix:
            inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
        outputs = [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probability", "datatype": "FP64", "shape": [-1]},
        ]
        return {"name": "churn", "inputs": inputs, "outputs": outputs}

    def infer(self, body: dict[str, Any]) -> dict[str, Any]:
        inputs = {each["name"]: each for each in body["inputs"]}
        n = body["inputs"][0]["shape"][0]
        self.rows.append(n)
        if self.matrix:
            x = np.asarray(inputs["x"]["data"], float).reshape(inputs["x"]["shape"])
            p = own(x[:, 0], x[:, 1] > 0)
            shape, data = [n, 2], np.column_stack([1 - p, p]).ravel()
        else:
            assert inputs["plan"]["shape"] == [n, 1]
            pro = np.array([each == "pro" for each in inputs["plan"]["data"]])
            a = np.array([np.nan if each is None else each for each in inputs["a"]["data"]], float)
            shape, data = [n], own(np.nan_to_num(a), pro)
        output = {"name": "probability", "datatype": "FP64", "shape": shape, "data": data.tolist()}
        label = {"name": "label", "datatype": "INT64", "shape": [n], "data": [0] * n}
        return {"model_name": "churn", "outputs": [label, output]}


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer(200, self.server.metadata())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.silent is not None:
            self.server.silent.wait(20)
        if self.server.fails:
            self._answer(self.server.fails, {"error": "the model is tired"})
        else:
            self._answer(200, self.server.infer(body))

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def own(a: np.ndarray, pro: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(1.5 * a - 1.0 * pro)))


def rows(*, text: bool = True) -> pl.DataFrame:
    random = np.random.default_rng(3)
    a, pro = random.normal(size=N), random.random(N) < 0.5
    churned = (random.random(N) < own(a, pro)).astype(int)
    second = {"plan": np.where(pro, "pro", "basic")} if text else {"b": pro - 0.5}
    return pl.DataFrame({"id": np.arange(N), "a": a, **second, "churned": churned})


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with Platform.open(Settings.read(folder=tmp_path, workers=0)) as opened:
        yield opened


def run(platform: Platform, folder: Path, server: Server, frame: pl.DataFrame) -> dict[str, Any]:
    frame.write_csv(folder / "data.csv")
    (folder / "project.py").write_text(PROJECT.format(url=server.url))
    (done,) = platform.projects.run("dev")["deployments"]
    return done


def v2(row: dict[str, Any]) -> dict[str, Any]:
    kinds = {int: "INT64", float: "FP64", str: "BYTES"}
    return {
        "inputs": [
            {"name": name, "shape": [1], "datatype": kinds[type(value)], "data": [value]}
            for name, value in row.items()
        ]
    }


@pytest.mark.parametrize("matrix", [False, True])
def test_a_server_answers_for_a_version(
    tmp_path: Path, platform: Platform, server: Server, matrix: bool
) -> None:
    server.matrix = matrix
    frame = rows(text=not matrix)
    done = run(platform, tmp_path, server, frame)
    assert done["verdict"]["admitted"]
    assert done["evaluation"]["beats_baseline"]
    assert max(server.rows) <= 1_000
    version = platform.registry.list("dev", "churn")[-1]
    assert (version.facts["format"], version.facts["file"]) == ("remote", server.url)

    plane = PlaneHere(tmp_path)
    asked = frame.drop("churned")[:30].to_dicts()
    (answer,) = plane.post("/invocations", asked)
    second = (frame["b"] > 0) if matrix else frame["plan"] == "pro"
    expected = own(frame["a"].to_numpy(), second.to_numpy())[:30]
    assert answer["predictions"] == pytest.approx(expected.tolist(), abs=1e-12)
    logged = plane.logged()
    assert len(logged) == 30
    assert {each.version for each in logged} == {version.id}
