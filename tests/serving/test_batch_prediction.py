"""Files are answered as requests are, to the bit; a killed run goes on; a bad row is told or set apart."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import numpy as np
import polars as pl
import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.compute.in_process import InProcessExecutor
from nenrin.backends.compute.spawn import SpawnExecutor
from nenrin.core.calendar import SystemCalendar
from nenrin.core.errors import (
    ConflictError,
    NotFoundError,
    RequestError,
    StepError,
    UnavailableError,
)
from nenrin.core.timer import SystemTimer
from nenrin.features.service import FeatureSet
from nenrin.pipelines.executor import Executor, WorkerContext
from nenrin.project.loader import project_attributes
from nenrin.serving.batch.service import BatchPrediction, Predicted, Wanted
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.app import Plane
from nenrin.serving.plane.proxy import ControlProxy
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.ports import Loader
from nenrin.serving.router import Member, Route, Variant
from nenrin.serving.segments import read_predictions
from nenrin.serving.signature import RequestSignature
from tests.serving.fakes import Constant, FakeLoader, ListedRoutes, deployment
from tests.serving.test_live_answers import ZONE, RealLoader, _fitted, _frames, flights, sky, trip

TOLD: list[tuple[int, int]] = []


def tell(stage: str, done: int, total: int, note: str = "") -> None:
    TOLD.append((done, total))


class Opened:
    """Opens everything by a loader of the test's."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def loader(self, context: WorkerContext) -> Loader:
        return self._loader


def predict(
    folder: Path,
    routes: ListedRoutes,
    loader: Loader,
    part_rows: int = 30,
    started: Executor | None = None,
    **wanted: Any,
) -> Predicted:
    given = {"name": "delay", "input": str(folder / "in.parquet"), "output": folder / "out.parquet"}
    here = InProcessExecutor(LocalStore(folder / "store"), project_attributes)
    batch = BatchPrediction(
        routes,
        lambda live: Opened(loader),
        here=here,
        started=lambda: started or here,
        calendar=SystemCalendar(),
        timer=SystemTimer(),
        predictions=folder / "log",
        part_rows=part_rows,
    )
    return batch.predict(Wanted(**{**given, **wanted}), tell)


def plain_rows(rows: int, **other: Any) -> pl.DataFrame:
    columns = {
        "flight_id": [f"UA-{number}" for number in range(rows)],
        "sched_dep": ["2013-07-01T18:30:00"] * rows,
        "distance": [100.0 + number for number in range(rows)],
        "origin": ["EWR"] * rows,
    }
    return pl.DataFrame({**columns, **other})


def asked_one_by_one(
    routes: ListedRoutes, loader: Loader, folder: Path, rows: Sequence[dict[str, Any]]
) -> tuple[list[float], list[str]]:
    """The answers of a live plane, a request a row."""
    table = RouteTable(routes, loader, SystemCalendar(), SystemTimer())
    table.refresh()

    async def ask() -> list[dict[str, Any]]:
        log, proxy = LiveLog(folder / "0"), ControlProxy(folder / "control.sock")
        plane = Plane(table, log, proxy, SystemTimer())
        plane._loaded.set()
        transport = httpx2.ASGITransport(plane.app())
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            found = [(await client.post("/invocations", json=[row])).json() for row in rows]
        await proxy.close()
        log.close()
        return found

    found = asyncio.run(ask())
    return [each["predictions"][0] for each in found], [each["versions"][0] for each in found]


def test_answers_are_those_of_the_plane_bit_for_bit(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    frames = _frames(120)
    rows = frames["flights"]
    built = FeatureSet.build([trip, sky], flights, frames)
    model = _fitted(built.columns(rows, rows["__event__"].to_numpy()))
    signature = RequestSignature.of(
        built.request_columns,
        known=rows.schema,
        key=("id",),
        time="leaves",
        zone=ZONE,
        output="probability",
    )
    raw = rows.drop("__event__", "__known__")
    raw.write_parquet(tmp_path / "in.parquet")
    text = raw.with_columns(pl.col("leaves").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00"))
    records = text.rows(named=True)
    variants = (
        Variant(version="v1", features="s1", weight=60, recalibration=(0.1, 1.2)),
        Variant(version="v2", features="s1", weight=40),
    )
    served = deployment("v1", features="s1", request=signature, example=records[0])
    route = Route(deployment="delay", variants=variants)
    routes = ListedRoutes(msgspec.structs.replace(served, route=route))
    loader = RealLoader(model, built.dumps())
    values, versions = asked_one_by_one(routes, loader, tmp_path, records)
    assert len(set(versions)) == 2

    done = predict(tmp_path, routes, loader)
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found.columns == ["row", "id", "asked", "probability", "version"]
    assert found["probability"].to_list() == values
    assert found["version"].to_list() == versions
    assert found["id"].to_list() == raw["id"].to_list()
    assert found["row"].to_list() == list(range(1, 121))
    assert found["asked"].cast(pl.Int64).to_list() == rows["__event__"].to_list()
    assert done.rows == 120
    assert done.versions == {name: versions.count(name) for name in ("v1", "v2")}
    assert TOLD[-1] == (120, 120)
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.parquet"]

    text.write_csv(tmp_path / "in.csv")
    predict(tmp_path, routes, loader, input=str(tmp_path / "in.csv"), output=tmp_path / "out.csv")
    again = pl.read_csv(tmp_path / "out.csv")
    assert again["probability"].to_list() == values
    assert again["asked"][0].endswith("Z")


class Picky(FakeLoader):
    """The challenger v0.5 fails on some rows."""

    def open(self, variant: Variant) -> Any:
        found = super().open(variant)
        return PickyAnswers(found.value) if variant.version == "v0.5" else found


class PickyAnswers(Constant):
    def answer_rows(self, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        if any(row["distance"] % 11 == 0 for row in rows):
            raise ValueError("not these")
        return super().answer_rows(rows)


def test_the_champion_answers_the_rows_that_a_challenger_fails_on(tmp_path: Path) -> None:
    routes = ListedRoutes(deployment("v0.25", "v0.5", weights=[50, 50], features="s1"))
    frame = plain_rows(80)
    frame.write_parquet(tmp_path / "in.parquet")
    values, versions = asked_one_by_one(routes, Picky(), tmp_path, frame.rows(named=True))
    predict(tmp_path, routes, Picky())
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found["probability"].to_list() == values
    assert found["version"].to_list() == versions
    failed = [row["distance"] % 11 == 0 for row in frame.rows(named=True)]
    assert {each for each, bad in zip(versions, failed, strict=True) if bad} == {"v0.25"}
    assert versions.count("v0.5") > 20


@pytest.mark.parametrize("bad", ["refuse", "skip"])
def test_bad_rows_are_told_or_set_apart(tmp_path: Path, bad: str) -> None:
    routes = ListedRoutes(deployment("v0.25", features="s1"))
    origins: list[str | None] = ["EWR"] * 70
    origins[44] = "broken"
    times = ["2013-07-01T18:30:00"] * 70
    times[41] = "soon"
    plain_rows(70, origin=origins, sched_dep=times).write_parquet(tmp_path / "in.parquet")
    if bad == "refuse":
        with pytest.raises(RequestError, match=r"'sched_dep', row 42: 'soon'") as raised:
            predict(tmp_path, routes, FakeLoader())
        assert raised.value.where == f"{tmp_path}/in.parquet, row 42"
        assert not (tmp_path / "out.parquet").exists()
        resumed = predict(tmp_path, routes, FakeLoader(), bad="skip")
        assert resumed.resumed == 30
    else:
        assert predict(tmp_path, routes, FakeLoader(), bad="skip").resumed == 0
    lines = (tmp_path / "out.parquet.bad.ndjson").read_bytes().splitlines()
    first, second = map(json.loads, lines)
    assert (first["row"], first["given"]["sched_dep"]) == (42, "soon")
    assert (second["row"], "no such origin" in second["reason"]) == (45, True)
    numbers = pl.read_parquet(tmp_path / "out.parquet")["row"].to_list()
    assert numbers == [number for number in range(1, 71) if number not in (42, 45)]


def test_a_model_that_fails_is_told_with_its_row(tmp_path: Path) -> None:
    plain_rows(5, origin=["EWR", "EWR", "broken", "EWR", "EWR"]).write_parquet(
        tmp_path / "in.parquet"
    )
    with pytest.raises(StepError, match="no such origin") as raised:
        predict(tmp_path, ListedRoutes(deployment("v0.25", features="s1")), FakeLoader())
    assert raised.value.where.endswith("in.parquet, row 3")


def test_versions_by_name(tmp_path: Path) -> None:
    mixed = Variant(version="v0.25", features="s1", members=(Member("a", "v0.75", 1.0),))
    route = Route(deployment="delay", variants=(mixed,))
    served = deployment("v0.25", features="s1", previous="v0.5", previous_features="s0")
    routes = ListedRoutes(msgspec.structs.replace(served, route=route))
    plain_rows(3).write_parquet(tmp_path / "in.parquet")
    for version in ("v0.25", "v0.5", "v0.75"):
        by_option = predict(
            tmp_path, routes, FakeLoader(), version=version, output=tmp_path / f"{version}.csv"
        )
        by_name = predict(
            tmp_path, routes, FakeLoader(), name=version, output=tmp_path / f"{version}2.csv"
        )
        assert by_option.versions == by_name.versions == {version: 3}
    with pytest.raises(NotFoundError, match="does not serve version 'v9'"):
        predict(tmp_path, routes, FakeLoader(), version="v9")
    with pytest.raises(NotFoundError, match="no deployment 'other'"):
        predict(tmp_path, routes, FakeLoader(), name="other")
    with pytest.raises(UnavailableError, match="there is no version 'nothing'"):
        predict(tmp_path, ListedRoutes(deployment("nothing")), FakeLoader())
    assert list(tmp_path.glob("out*")) == []


def test_what_was_begun_is_not_mixed_with_something_else(tmp_path: Path) -> None:
    routes = ListedRoutes(deployment("v0.25", features="s1"))
    plain_rows(40, origin=["EWR"] * 39 + ["broken"]).write_parquet(tmp_path / "in.parquet")
    with pytest.raises(StepError):
        predict(tmp_path, routes, FakeLoader())
    routes.listed = [deployment("v0.75", features="s1")]  # who goes on asks the same version
    plain_rows(41).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(ConflictError, match="was begun from other files"):
        predict(tmp_path, routes, FakeLoader(), input=str(tmp_path / "other.parquet"))
    done = predict(tmp_path, routes, FakeLoader(), bad="skip")
    assert done.versions == {"v0.25": 39}
    with pytest.raises(ConflictError, match=r"out\.parquet is there"):
        predict(tmp_path, routes, FakeLoader())


def test_rows_that_were_refused_first_may_be_mended(tmp_path: Path) -> None:
    routes = ListedRoutes(deployment("v0.25", features="s1"))
    rows = tmp_path / "in.parquet"
    plain_rows(3, origin=["broken", "EWR", "EWR"]).write_parquet(rows)
    with pytest.raises(StepError):
        predict(tmp_path, routes, FakeLoader())
    plain_rows(4).write_parquet(rows)
    assert predict(tmp_path, routes, FakeLoader()).versions == {"v0.25": 4}


def test_several_files_and_empty_ones(tmp_path: Path) -> None:
    routes = ListedRoutes(deployment("v0.25", features="s1"))
    (tmp_path / "in").mkdir()
    for number, rows in enumerate([30, 0, 31]):
        plain_rows(rows).write_parquet(tmp_path / "in" / f"{number}.parquet")
    done = predict(tmp_path, routes, FakeLoader(), input=str(tmp_path / "in"))
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert done.rows == 61
    assert found["row"].to_list() == [*range(1, 31), *range(1, 32)]
    assert found["file"].n_unique() == 2
    plain_rows(0).write_parquet(tmp_path / "none.parquet")
    empty = tmp_path / "empty.csv"
    none = predict(
        tmp_path, routes, FakeLoader(), input=str(tmp_path / "none.parquet"), output=empty
    )
    assert (none.rows, none.versions) == (0, {})
    assert empty.read_text() == "row,flight_id,asked,probability,version\n"


def test_nothing_is_logged_but_on_request(tmp_path: Path) -> None:
    routes = ListedRoutes(deployment("v0.25", features="s1"))
    plain_rows(70).write_parquet(tmp_path / "in.parquet")
    predict(tmp_path, routes, FakeLoader())
    assert list(read_predictions(tmp_path / "log")) == []
    predict(tmp_path, routes, FakeLoader(), log=True, output=tmp_path / "logged.parquet")
    found = pl.read_parquet(tmp_path / "logged.parquet")
    logged = list(read_predictions(tmp_path / "log"))
    assert [each.id for each in logged] == found["id"].to_list()
    assert [each.key for each in logged] == found["flight_id"].to_list()
    assert {each.latency_ms for each in logged} == {None}


def test_workers_answer_as_one_process_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = deployment("v0.25", "v0.5", weights=[50, 50], features="s1", fallback=0.125)
    routes = ListedRoutes(served)
    origins: list[str | None] = ["EWR"] * 170
    times = ["2013-07-01T18:30:00"] * 170
    origins[44], times[141] = "broken", "soon"
    plain_rows(170, origin=origins, sched_dep=times).write_parquet(tmp_path / "in.parquet")
    monkeypatch.setattr("nenrin.serving.batch.service.BATCH_ROWS", 7)
    given: dict[str, Any] = {"bad": "skip", "log": True}
    here = predict(tmp_path, routes, Picky(), **given)
    expected = pl.read_parquet(tmp_path / "out.parquet")
    assert {"constant", "v0.25"} <= here.versions.keys()
    monkeypatch.setattr("nenrin.serving.batch.service.is_small", lambda sources: False)
    workers = SpawnExecutor(2, partial(LocalStore, tmp_path / "store"), project_attributes)
    try:
        for log in (True, False):
            output = tmp_path / f"{log}.parquet"
            wanted = {**given, "log": log, "output": output}
            there = predict(tmp_path, routes, Picky(), started=workers, **wanted)
            found = pl.read_parquet(output)
            assert found.drop("asked", "id", strict=False).equals(expected.drop("asked", "id"))
            assert (there.bad, there.versions) == (here.bad, here.versions)
            assert Path(there.bad_path).read_bytes() == Path(here.bad_path).read_bytes()
            if log:
                ids = [each.id for each in read_predictions(tmp_path / "log")]
                assert ids == [*expected["id"], *found["id"]]
    finally:
        workers.close()


def test_a_killed_run_goes_on_at_the_first_missing_part(tmp_path: Path) -> None:
    plain_rows(200).write_parquet(tmp_path / "in.parquet")
    code = f"""
from pathlib import Path
from tests.serving.fakes import FakeLoader, ListedRoutes, deployment
from tests.serving.test_batch_prediction import predict
predict(Path({str(tmp_path)!r}), ListedRoutes(deployment("slow0.25", features="s1")), FakeLoader(), 10)
"""
    running = subprocess.Popen([sys.executable, "-c", code])
    parts, timer = tmp_path / "out.parquet.parts", SystemTimer()
    while len(list(parts.glob("*.parquet"))) < 3:
        assert running.poll() is None
        timer.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in parts.glob("*.parquet")}
    assert 3 <= len(kept) < 20
    loader = FakeLoader()
    done = predict(tmp_path, ListedRoutes(deployment("v0.75", features="s1")), loader, 10)
    assert done.resumed == 10 * len(kept)
    assert done.versions == {"slow0.25": 200}
    assert pl.read_parquet(tmp_path / "out.parquet")["row"].to_list() == list(range(1, 201))
    assert not parts.exists()
