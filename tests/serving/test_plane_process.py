"""A plane as clients meet it: its own process, killed, ended, replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from nenrin.api.forking import FORKED, warm
from nenrin.core.errors import ConflictError
from nenrin.core.timer import SystemTimer
from nenrin.serving.plane.listening import listen, listen_for
from nenrin.serving.plane.process import PlaneSettings, left_behind, retire, run_plane
from nenrin.serving.segments import read_counts, read_predictions
from nenrin.testing.waiting import wait_until
from tests.serving.fakes import EXAMPLE, FileRoutes, deployment, parts_of

BODY = {"dataframe_records": [EXAMPLE]}


class Planes:
    """Starts planes on one socket and remembers them."""

    def __init__(self, folder: Path) -> None:
        self.settings = PlaneSettings(
            folder=folder,
            environment="dev",
            predictions=folder / "predictions",
            control=folder / "control.sock",
        )
        self.routes = FileRoutes(folder / "routes.json")
        self.listener = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.started: list[multiprocessing.process.BaseProcess] = []

    def start(self) -> multiprocessing.process.BaseProcess:
        warm()
        process = FORKED.Process(target=run_plane, args=(self.settings, parts_of, [self.listener]))
        process.start()
        self.started.append(process)
        wait_until(
            lambda: httpx2.get(f"{self.url}/v2/health/ready", timeout=120).status_code == 200
        )
        return process


@pytest.fixture
def planes(tmp_path: Path) -> Iterator[Planes]:
    planes = Planes(tmp_path)
    yield planes
    for process in planes.started:
        process.kill()
        process.join()
    planes.listener.close()


def test_kill_loses_at_most_the_unwritten_and_counts_them(planes: Planes) -> None:
    planes.routes.write(deployment("v0.25"))
    process = planes.start()
    answered = 0
    with httpx2.Client(base_url=planes.url) as client:
        for _ in range(40):
            answered += len(client.post("/invocations", json=BODY).json()["predictions"])
    process.kill()
    process.join()

    planes.start()
    written = [prediction.number for prediction in read_predictions(planes.settings.predictions)]
    counts = read_counts(planes.settings.predictions)
    assert counts.issued == answered == 40
    assert counts.lost == answered - len(written)
    assert written == list(range(1, len(written) + 1))

    httpx2.post(f"{planes.url}/invocations", json=BODY)
    wait_until(
        lambda: [each.number for each in read_predictions(planes.settings.predictions)][-1:] == [41]
    )
    assert f"nenrin_prediction_log_lost_total {float(counts.lost)}" in (
        httpx2.get(f"{planes.url}/metrics").text
    )


def test_sigterm_finishes_what_is_under_way_and_a_successor_takes_the_queue(
    planes: Planes,
) -> None:
    planes.routes.write(deployment("slow0.25"))
    process = planes.start()
    statuses: list[int] = []

    def ask() -> None:
        response = httpx2.post(f"{planes.url}/invocations", json=BODY, timeout=120)
        statuses.append(response.status_code)

    under_way = [threading.Thread(target=ask) for _ in range(8)]
    for thread in under_way:
        thread.start()
    time.sleep(0.03)
    os.kill(process.pid or 0, signal.SIGTERM)
    process.join(120)
    assert not process.is_alive()
    waiting = threading.Thread(target=ask)
    waiting.start()  # nobody listens now; the socket's queue does
    planes.start()
    for thread in [*under_way, waiting]:
        thread.join()
    assert statuses == [200] * 9
    counts = read_counts(planes.settings.predictions)
    assert (counts.lost, counts.dropped) == (0, 0)


def test_a_plane_left_behind_is_retired(planes: Planes) -> None:
    planes.routes.write(deployment("v0.25"))
    process = planes.start()
    [left] = left_behind(planes.settings.predictions)
    assert (left.process, left.worker) == (process.pid, 0)
    retire([left], SystemTimer())
    process.join(120)
    assert not process.is_alive()
    assert left_behind(planes.settings.predictions) == []


def test_a_port_in_use_is_said_with_the_fix() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        for planes in (1, 2):
            with pytest.raises(ConflictError, match=f"port {port} of .* is in use") as caught:
                listen_for(planes, "127.0.0.1", port)
    assert caught.value.hint == f"nenrin up --port {port + 1}"
