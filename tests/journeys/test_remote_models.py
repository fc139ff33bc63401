"""A model behind a URL: judged, deployed, logged as any other, and what it fails with is said."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import ProjectError, RemoteError
from nenrin.core.settings import Settings
from nenrin.platform import Platform
from nenrin.training.declare import remote
from tests.features.makers import make_dataset
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
        known: it has the model.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.matrix, self.fails, self.rows = False, 0, list[int]()
        self.silent: threading.Event | None = None
        self.known = True

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
        wanted = {
            each["name"] for each in body.get("outputs", [label])
        }  # as MLServer: classes alone
        given = [each for each in (label, output) if each["name"] in wanted]
        return {"model_name": "churn", "outputs": given}


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.server.known:
            self._answer(200, self.server.metadata())
        else:
            self._answer(404, {"error": "no such model"})

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
        with suppress(BrokenPipeError):  # who asked has given up
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


def test_what_the_server_fails_with_is_said(
    tmp_path: Path, platform: Platform, server: Server
) -> None:
    run(platform, tmp_path, server, rows())
    server.fails = 503  # also while the plane starts: its versions load, and say so when asked
    plane = PlaneHere(tmp_path)
    row = [{"id": 1, "plan": "pro", "a": 0.5}]
    status, said = plane.refused("/invocations", row)
    assert (status, said["code"], said["where"]) == (502, "remote", server.url)
    assert said["error"] == f"{server.url} answered 503: the model is tired"

    server.fails, server.silent = 0, threading.Event()
    status, said = plane.refused("/invocations", row)
    server.silent.set()
    assert (status, said["code"]) == (504, "remote_timeout")
    assert said["error"] == f"{server.url} did not answer within 1 s"
    assert "timeout=" in said["hint"]

    assert plane.logged() == []
    server.silent = None
    (answer,) = plane.post("/invocations", row)  # it is back
    assert answer["predictions"] == pytest.approx([own(np.array([0.5]), np.array([True]))[0]])
    (runtime,) = plane._table.get("churn").runtimes
    assert runtime._waits  # however quick it is, the event loop never asks it


@pytest.mark.parametrize(
    ("break_it", "error", "says"),
    [
        (
            lambda server: setattr(server, "known", False),
            RemoteError,
            "answered 404: no such model",
        ),
        (lambda server: server.server_close(), RemoteError, "cannot be reached"),
    ],
)
def test_a_server_must_be_there_when_it_is_registered(
    tmp_path: Path, platform: Platform, server: Server, break_it: Any, error: type, says: str
) -> None:
    break_it(server)
    with pytest.raises(error, match=says) as caught:
        run(platform, tmp_path, server, rows())
    assert caught.value.where.startswith("http://127.0.0.1")


def test_columns_that_it_takes_must_be_there(
    tmp_path: Path, platform: Platform, server: Server
) -> None:
    with pytest.raises(ProjectError, match="fitted on plan, a; rows have no plan"):
        run(platform, tmp_path, server, rows(text=False))


@pytest.mark.parametrize(
    ("url", "timeout", "says"),
    [
        ("model.onnx", "1s", "is not the URL of a model"),
        ("http://host/models/churn", "1s", "is not the URL of a model"),
        ("http://host/v2/models/churn", "soon", "timeout='soon' is not a duration"),
    ],
)
def test_an_address_is_checked_where_it_is_declared(url: str, timeout: str, says: str) -> None:
    people = make_dataset("people", key="id")
    with pytest.raises(ProjectError, match=says) as caught:
        remote(url, rows=people, label=people.left, timeout=timeout)
    assert __file__ in caught.value.where
