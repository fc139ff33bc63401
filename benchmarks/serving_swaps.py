"""Swaps under load: a deployment that moves between two versions while clients ask."""

from __future__ import annotations

import http.client
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from benchmarks.serving_load import Found, load
from benchmarks.serving_models import COLUMNS, made_up, numbers, one_tensor
from nenrin.api.planes import Planes
from nenrin.core.calendar import SystemCalendar
from nenrin.core.settings import Settings
from nenrin.core.timer import SystemTimer
from nenrin.registry.kinds import RowAnswerer
from nenrin.registry.kinds.model import ModelAnswerer
from nenrin.serving.deployments import Deployment
from nenrin.serving.plane.process import PlaneParts, PlaneSettings
from nenrin.serving.ports import LiveRoute
from nenrin.serving.router import Route, Variant
from nenrin.serving.signature import RequestSignature
from nenrin.training.artefact import Artefact, dump
from nenrin.training.columns import ColumnSpec

PATH = "/v2/models/a/infer"
VERSIONS = ("version-even", "version-odd")
NAMES = [f"x{place}" for place in range(COLUMNS)]

_OK = 200


class Switch:
    """The route of the deployment, in a file that planes read."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "route.json"
        self._turn = 0

    def move(self) -> str:
        """Have the other version answer; which."""
        self._turn += 1
        version = VERSIONS[self._turn % 2]
        types = dict.fromkeys(NAMES, pl.Float64())
        deployment = Deployment(
            name="a",
            environment="dev",
            model="a",
            revision="",
            route=Route(deployment="a", variants=(Variant(version=version),)),
            anchor=version,
            at=0,
            request=RequestSignature.of(types, known=types, output="probability"),
            example=dict.fromkeys(NAMES, 0.5),
        )
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode([LiveRoute(deployment=deployment)]))
        fresh.replace(self._path)
        return version

    def routes(self) -> list[LiveRoute]:
        """For the planes."""
        return msgspec.json.decode(self._path.read_bytes(), type=list[LiveRoute])


class Models:
    """Opens the versions from files: nothing is kept, so that each swap loads one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, variant: Variant) -> RowAnswerer:
        """The version, ready to answer."""
        content = (self._folder / variant.version).read_bytes()
        return RowAnswerer(ModelAnswerer(Artefact.loads(content, trusted=True)))

    def features(self, digest: str) -> Any:
        """None is named by the route."""
        raise NotImplementedError


def parts_of(settings: PlaneSettings) -> PlaneParts:
    """The adapters of a plane, made in its process."""
    return PlaneParts(
        routes=Switch(settings.folder),
        loader=Models(settings.folder),
        calendar=SystemCalendar(),
        timer=SystemTimer(),
    )


class Told(msgspec.Struct, frozen=True):
    """An answer. Attributes: when it was asked and had (seconds), its status and its version."""

    sent: float
    had: float
    status: int
    version: str


class _Version(msgspec.Struct):
    model_version: str = ""


def swaps(count: int, planes: int, pace: float = 0.6, connections: int = 64) -> None:
    """Swap so often, once a ``pace`` seconds, and print what clients saw, beside the rate without swaps."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write_models(folder)
        switch = Switch(folder)
        moved = [(time.perf_counter(), switch.move())]
        served = Planes(Settings(folder=folder, port=0, planes=planes), parts_of)
        served.start()
        try:
            served.ready(threading.Event())
            url = served.url + PATH
            tops = [_load(url, folder, 2, connections).rate for _ in range(5)]
            told, run = _asked(served.url, folder, switch, moved, count, pace, connections)
            tops += [_load(url, folder, 2, connections).rate for _ in range(5)]
        finally:
            served.stop()
    failed = sum(each.status != _OK for each in told)
    late = max((_late(each, moved) for each in told), default=0.0)
    top = statistics.median(tops)
    print(
        f"{count} swaps; beside {run.rate:,.0f} requests a second of wrk, {run.rate / top:.2f} of the "
        f"{top:,.0f} [{min(tops):,.0f}, {max(tops):,.0f}] before and after ({run.errors:.0f} failed, "
        f"p50 {run.p50:.2f} ms, p99 {run.p99:.2f} ms), {len(told):,} answers were looked at: "
        f"{failed} failed, {sum(not each.version for each in told)} without a version, the latest by "
        f"an older version asked {late:.2f} s after its swap"
    )


def _write_models(folder: Path) -> None:
    from lightgbm import LGBMClassifier

    x, y = made_up()
    columns = tuple(ColumnSpec(name=name, kind="number") for name in NAMES)
    for seed, version in enumerate(VERSIONS):
        model = LGBMClassifier(n_estimators=200, n_jobs=1, verbose=-1, random_state=seed)
        model.fit(x[seed::2], y[seed::2])
        content = dump(model, name="a", where="", task="binary", container="numpy", columns=columns)
        (folder / version).write_bytes(content)


def _asked(
    url: str,
    folder: Path,
    switch: Switch,
    moved: list[tuple[float, str]],
    count: int,
    pace: float,
    connections: int,
) -> tuple[list[Told], Found]:
    body, stop = one_tensor(numbers(1)), threading.Event()
    told: list[Told] = []
    runs: list[Found] = []

    def press() -> None:
        runs.append(_load(url + PATH, folder, int(count * pace) + 1, connections))

    threads = [
        threading.Thread(target=press),
        *(threading.Thread(target=_ask, args=(url, body, stop, told)) for _ in range(4)),
    ]
    for thread in threads:
        thread.start()
    for _ in range(count):
        time.sleep(pace)
        moved.append((time.perf_counter(), switch.move()))
    time.sleep(1.5)
    stop.set()
    for thread in threads:
        thread.join()
    return told, runs[0]


def _load(url: str, folder: Path, seconds: int, connections: int) -> Found:
    body = one_tensor(numbers(1))
    return load(url, body, folder, seconds=seconds, connections=connections, processes=[])


def _ask(url: str, body: bytes, stop: threading.Event, told: list[Told]) -> None:
    client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    while not stop.is_set():
        sent = time.perf_counter()
        client.request("POST", PATH, body)
        answer = client.getresponse()
        version = msgspec.json.decode(answer.read(), type=_Version).model_version
        told.append(Told(sent, time.perf_counter(), answer.status, version))
        time.sleep(0.005)


def _late(told: Told, moved: list[tuple[float, str]]) -> float:
    """Seconds from the end of a version's time to the question that it still answered; 0: it was its time.

    A version's time is from its move to the next one.
    """
    ends = [
        moved[place + 1][0] if place + 1 < len(moved) else told.had
        for place, (at, version) in enumerate(moved)
        if version == told.version and at <= told.had
    ]
    return max(0.0, told.sent - max(ends)) if ends else float("inf")
