"""Several planes on one port: they share the work, add up, and one that dies is back."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import msgspec
import pytest
from pydantic import ByteSize

from nenrin.api.folder import predictions_folder
from nenrin.api.planes import Planes
from nenrin.core.lock import FolderLock
from nenrin.core.settings import Settings
from nenrin.serving.observed import read_observed
from nenrin.serving.router import Shadow, Variant
from nenrin.serving.segments import read_counts, read_predictions, shadow_log, worker_folder
from nenrin.testing.waiting import wait_until
from tests.serving.fakes import EXAMPLE, FileRoutes, deployment, parts_of

BODY = {"dataframe_records": [EXAMPLE]}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    plain = deployment("v0.25")
    shadow = Shadow(variant=Variant(version="v0.5", weight=0), budget=100)
    route = msgspec.structs.replace(plain.route, shadow=shadow)
    routes = FileRoutes(tmp_path / "routes.json")
    routes.write(msgspec.structs.replace(plain, route=route))
    return Settings(folder=tmp_path, planes=2, port=0)


@pytest.fixture
def planes(settings: Settings) -> Iterator[Planes]:
    planes = Planes(settings, parts_of)
    planes.start()
    yield planes
    planes.stop()


def process(settings: Settings, worker: int) -> int:
    """The process of a plane, 0 while there is none."""
    folder = worker_folder(predictions_folder(settings.state_folder), worker)
    return FolderLock(folder).held_by() or 0


def asked(url: str, times: int = 1) -> list[int]:
    """Statuses of that many requests, each on a connection of its own."""
    return [httpx2.post(f"{url}/invocations", json=BODY).status_code for _ in range(times)]


def test_two_planes_answer_and_tell_one_sum(planes: Planes, settings: Settings) -> None:
    assert planes.ready(threading.Event())
    wait_until(lambda: process(settings, 0) and process(settings, 1))
    assert asked(planes.url, 40) == [200] * 40
    folder = predictions_folder(settings.state_folder)
    counts = [read_counts(worker_folder(folder, worker)).issued for worker in (0, 1)]
    assert sum(counts) == 40
    assert min(counts) > 0

    def told() -> set[str]:
        text = httpx2.get(f"{planes.url}/metrics").text
        counters = r"^nenrin_(?:predictions|prediction_log_issued)_total\S* (\S+)$"
        scored = r'^nenrin_shadow_rows_total\S*outcome="scored"\S* (\S+)$'
        return {*re.findall(counters, text, re.M), *re.findall(scored, text, re.M)}

    # whoever is asked, once each has heard of the other
    wait_until(lambda: all(told() == {"40.0"} for _ in range(8)))
    wait_until(lambda: len(list(read_predictions(shadow_log(folder)))) == 40)
    pairs = list(read_predictions(shadow_log(folder)))
    assert [(pair.answer, pair.beside) for pair in pairs] == [(0.5, ("v0.25", 0.25))] * 40
    assert {pair.id for pair in pairs} == {each.id for each in read_predictions(folder)}


def test_a_plane_that_dies_is_back_on_its_socket(planes: Planes, settings: Settings) -> None:
    assert planes.ready(threading.Event())
    wait_until(lambda: process(settings, 0) and process(settings, 1))
    before = process(settings, 1)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: process(settings, 1) != before)
    # nobody accepts on that socket now; whoever is sent there waits in it
    statuses: list[int] = []
    asking = [
        threading.Thread(target=lambda: statuses.extend(asked(planes.url))) for _ in range(12)
    ]
    for thread in asking:
        thread.start()
    wait_until(lambda: planes.look() or planes.news)
    assert planes.news == ["it died with code -9"]
    wait_until(lambda: process(settings, 1) not in (0, before))
    for thread in asking:
        thread.join()
    assert statuses == [200] * 12


def test_a_plane_is_ready_for_those_that_fit_and_tells_who_does_not(tmp_path: Path) -> None:
    FileRoutes(tmp_path / "routes.json").write(
        deployment("v0.25", "v0.5", weights=[50, 50], name="large"),  # two files of 1,000 bytes
        deployment("v0.75", name="small"),
    )
    settings = Settings(folder=tmp_path, port=0, models_memory=ByteSize(1_500))
    planes = Planes(settings, parts_of)
    planes.start()
    try:
        assert planes.ready(threading.Event())
        folder = predictions_folder(settings.state_folder)
        wait_until(lambda: read_observed(folder, "dev", "large").problems)
        told = httpx2.get(f"{planes.url}/v2/health/ready").json()
    finally:
        planes.stop()
    assert told["ready"] is True
    assert told["problems"].keys() == {"large"}
    assert "NENRIN_MODELS_MEMORY" in told["problems"]["large"]


def test_who_comes_after_the_end_is_refused_and_does_not_wait(
    planes: Planes, settings: Settings
) -> None:
    assert planes.ready(threading.Event())
    wait_until(lambda: process(settings, 0) and process(settings, 1))
    for plane in planes._planes:
        plane.end()
    wait_until(lambda: not (process(settings, 0) or process(settings, 1)))
    with pytest.raises(httpx2.ConnectError):
        asked(planes.url)


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({}, 1),
        ({"host": "0.0.0.0", "token": "x" * 16}, os.cpu_count()),
        ({"host": "0.0.0.0", "token": "x" * 16, "planes": 3}, 3),
        ({"planes": 2}, 2),
    ],
)
def test_how_many(tmp_path: Path, given: dict[str, object], count: int) -> None:
    assert Settings(folder=tmp_path, **given).plane_count == count  # type: ignore[arg-type]
