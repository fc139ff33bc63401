"""``nenrin up``: a control process, a data plane in front of it, and how both end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from nenrin.api.client import connect
from nenrin.api.folder import predictions_folder
from nenrin.api.holder import Holder
from nenrin.api.serve import _again, _look_after, _Told, serve
from nenrin.api.serve import _serve as _serve_holder
from nenrin.core.errors import ConflictError, MissingExtraError, RefusedError, UnavailableError
from nenrin.core.lock import FolderLock
from nenrin.core.settings import Settings
from nenrin.serving.plane.messages import messages
from nenrin.serving.plane.process import left_behind
from tests.api.fakes import FakePlatform
from tests.api.serving_here import parts_of

ROOT = Path(__file__).parents[2]
Up = Callable[[], tuple[subprocess.Popen[str], str]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(folder=tmp_path)


@pytest.fixture
def up(settings: Settings) -> Iterator[Up]:
    started: list[subprocess.Popen[str]] = []

    def start() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "tests.api.serving_here", str(settings.folder), "0"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
    for plane in left_behind(predictions_folder(settings.state_folder)):
        os.kill(plane.process, signal.SIGKILL)


def _plane(settings: Settings) -> Any:
    found = [each.process for each in left_behind(predictions_folder(settings.state_folder))]
    return found[0] if found else None


def _status(url: str) -> Any:
    return json.loads(httpx2.get(f"{url}/api/status", timeout=120).content)


def test_a_life(up: Up, settings: Settings) -> None:
    """A dead plane comes back, a dead control process leaves the plane, SIGTERM ends both."""
    process, url = up()
    assert httpx2.get(f"{url}/v2/health/ready").status_code == 200
    assert _status(url)["environment"] == "dev"
    assert httpx2.get(f"{url}/docs").status_code == 200
    assert json.loads(httpx2.get(f"{url}/nothing").content)["error"]["code"] == "not_found"
    with connect(settings, lambda settings, lock: pytest.fail("a second holder")) as client:
        assert not client.own
        assert client.get("/api/health")["pid"] == process.pid

    plane = _plane(settings)
    assert plane not in (None, process.pid)
    os.kill(plane, signal.SIGKILL)
    assert _status(url)["environment"] == "dev"  # it waited in the listening socket's queue
    second = _plane(settings)
    assert second != plane

    process.kill()
    process.wait()
    assert httpx2.get(f"{url}/v2/health/ready").status_code == 200
    down = httpx2.get(f"{url}/api/status")
    assert down.status_code == 503
    assert down.headers["retry-after"]

    process, url = up()
    assert _plane(settings) not in (None, second)
    assert _status(url)["environment"] == "dev"
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    assert FolderLock(settings.state_folder).held_by() is None
    assert _plane(settings) is None


def _serve(settings: Settings) -> None:
    serve(settings, lambda url, platform: None, FakePlatform, parts_of)  # type: ignore[arg-type]


def test_as_a_platform_runs_a_container(
    up: Up, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Health and predictions where it asks for them, without a token; nothing else."""
    monkeypatch.setenv("AIP_HEALTH_ROUTE", "/v1/health")
    monkeypatch.setenv("AIP_PREDICT_ROUTE", "/v1/predict")
    monkeypatch.setenv("NENRIN_PREDICTIONS_OPEN", "true")
    monkeypatch.setenv("NENRIN_HOST", "0.0.0.0")
    _, url = up()
    headers = {"host": "model.internal"}
    for path in ("/v1/health", "/ping"):
        assert httpx2.get(f"{url}{path}", headers=headers).status_code == 200
    for path in ("/v1/predict", "/invocations"):
        answer = httpx2.post(f"{url}{path}", json={"instances": []}, headers=headers)
        assert json.loads(answer.content)["error"] == "nothing is deployed here yet"
    for path in ("/api/status", "/docs", "/metrics", "/v2/models/stats"):
        assert httpx2.get(f"{url}{path}").status_code == 401


def test_grpc_beside_http(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    grpc = pytest.importorskip("grpc")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("NENRIN_GRPC_PORT", str(port))
    process, _ = up()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        live = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
        assert live(b"", timeout=120) == b"\x08\x01"
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0


def test_grpc_is_refused_before_anything_starts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConflictError) as raised:
            _serve(settings.model_copy(update={"grpc_port": port}))
    assert raised.value.hint == f"nenrin up --grpc-port {port + 1}"
    messages.cache_clear()
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingExtraError) as missing:
        _serve(settings.model_copy(update={"grpc_port": port}))
    assert missing.value.hint == 'pip install "nenrin[grpc]"'
    assert FolderLock(settings.state_folder).held_by() is None


def test_others_are_let_in_with_a_token_only(settings: Settings) -> None:
    with pytest.raises(RefusedError, match="no token is set") as raised:
        _serve(settings.model_copy(update={"host": "0.0.0.0"}))
    assert "NENRIN_TOKEN" in raised.value.hint
    both = {"host": "0.0.0.0", "predictions_open": True, "grpc_port": 1}
    with pytest.raises(RefusedError):  # gRPC has calls that are not predictions
        _serve(settings.model_copy(update=both))


def test_a_port_in_use_names_another(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConflictError, match="in use") as raised:
            _serve(settings.model_copy(update={"port": port}))
    assert raised.value.hint.startswith("nenrin up --port ")
    assert FolderLock(settings.state_folder).held_by() is None


def test_why_a_plane_was_started_again_waits_for_the_database(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []
    stop = threading.Event()

    class Loop:
        away = True

        def restarted(self, environment: str, worker: str, why: str) -> None:
            if self.away:
                self.away = False
                raise UnavailableError("the database cannot be used: gone", hint="")
            told.append(why)

        def guard(self, environment: str) -> None:
            stop.set()

    news = ["it died with code -9"]
    platform: Any = SimpleNamespace(loop=Loop())
    _again(partial(_look_after, platform, "dev", news), 0.01, "dev", stop)
    assert (told, news) == (["it died with code -9"], [])
    assert "cannot be used: gone" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_folder_is_served_once(settings: Settings) -> None:
    holder = FolderLock(settings.state_folder, stays=True)
    with holder, pytest.raises(ConflictError, match="writes to"):
        _serve(settings)


def test_a_store_that_is_away_is_said_once_and_again_when_it_goes_again() -> None:
    away = UnavailableError("the store is away", where="redis://a", hint="see to it")
    turns: list[Exception | None] = [away, away, None, away]

    def materialise() -> None:
        error = turns.pop(0)
        if error is not None:
            raise error

    said: list[str] = []
    online = _Told(materialise, said.append)
    for _ in range(4):
        online()
    assert said == ["the store is away (redis://a); see to it"] * 2


def test_long_scores_keep_the_loop_waiting_no_more(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are written beside it."""
    monkeypatch.setattr("nenrin.api.serve._BEAT", 0.01)
    writes, ticked, stop = threading.Event(), threading.Event(), threading.Event()
    platform = FakePlatform(settings)

    def write(environment: str, progress: Any = None) -> None:
        writes.set()
        assert stop.wait(120)

    def tick(environment: str) -> None:
        if writes.is_set():
            ticked.set()
            stop.set()

    monkeypatch.setattr(platform, "write_scores", write)
    monkeypatch.setattr(platform.loop, "tick", tick)
    planes: Any = SimpleNamespace(
        start=lambda: None, ready=lambda stop: False, stop=lambda: None, look=lambda: None, news=[]
    )
    planes.url = "http://127.0.0.1:1"
    lock = FolderLock(settings.state_folder)
    lock.acquire()
    opener: Any = lambda settings: platform  # noqa: E731
    with Holder(settings, lock, opener) as holder:
        _serve_holder(holder, planes, "dev", stop, lambda url, platform: None, lambda said: None)
    assert ticked.is_set()
