"""The live answer is the answer of training: real features, a real model, through the endpoint."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import polars as pl
import pytest

from nenrin.core.calendar import SystemCalendar
from nenrin.core.instants import HOUR, MINUTE
from nenrin.core.timer import SystemTimer
from nenrin.features.declare import feature_view
from nenrin.features.entities import Lookup
from nenrin.features.service import FeatureSet
from nenrin.registry.kinds import RowAnswerer
from nenrin.registry.kinds.model import ModelAnswerer
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.app import Plane
from nenrin.serving.plane.proxy import ControlProxy
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.router import Variant
from nenrin.serving.segments import read_predictions
from nenrin.serving.signature import RequestSignature
from nenrin.training.artefact import Artefact, dump
from nenrin.training.columns import encode
from tests.features.makers import make_dataset
from tests.serving.fakes import FakeLoader, ListedRoutes, deployment

START = 1_372_636_800_000_000  # 1 July 2013, UTC
ZONE = "America/New_York"
flights = make_dataset("flights", key="id", time="leaves", tz=ZONE)
weather = make_dataset("weather", key=["origin", "seen"], time="seen")


@feature_view(flights)
def trip(r: Any) -> dict[str, Any]:
    return {"hour": r.leaves.hour, "far": r.distance > 1500, "carrier": r.carrier}


@feature_view(weather, by="origin", ttl="3h")
def sky(w: Any) -> dict[str, Any]:
    return {"temp": w.temp}


def _timed(frame: pl.DataFrame, column: str, known: int) -> pl.DataFrame:
    event = pl.col(column)
    return frame.with_columns(
        event.cast(pl.Datetime("us", "UTC")),
        event.alias("__event__"),
        (event + known).alias("__known__"),
    )


def _frames(rows: int = 200) -> dict[str, pl.DataFrame]:
    random = np.random.default_rng(7)
    leaves = START + np.sort(random.integers(0, 72 * HOUR, rows))
    planned = pl.DataFrame(
        {
            "id": [f"UA-{number}" for number in range(rows)],
            "leaves": leaves,
            "distance": random.uniform(100, 3000, rows).round(1),
            "carrier": random.choice(["AA", "B6", "UA"], rows),
            "origin": random.choice(["EWR", "JFK", "BUF"], rows),  # of BUF nothing is observed
        }
    )
    seen = [START + hour * HOUR for hour in range(72) if hour % 7 < 4]
    observed = pl.DataFrame(
        {
            "origin": ["EWR"] * len(seen) + ["JFK"] * len(seen),
            "seen": seen + seen,
            "temp": random.normal(70, 10, 2 * len(seen)),
        }
    )
    return {
        "flights": _timed(planned, "leaves", 0),
        "weather": _timed(observed, "seen", 30 * MINUTE),
    }


class RealLoader(FakeLoader):
    """One model and its feature state, from bytes, as the platform opens them."""

    def __init__(self, model: bytes, features: bytes) -> None:
        super().__init__()
        self._model = model
        self._features = features

    def open(self, variant: Variant) -> Any:
        return RowAnswerer(ModelAnswerer(Artefact.loads(self._model)))

    def features(self, digest: str) -> Any:
        return FeatureSet.loads(self._features)


def _fitted(features: pl.DataFrame) -> bytes:
    from lightgbm import LGBMClassifier

    from nenrin.training.containers import BUILD

    columns = encode(features)
    late = np.random.default_rng(1).integers(0, 2, features.height)
    model = LGBMClassifier(n_estimators=5, n_jobs=1, min_child_samples=5, verbose=-1)
    model.fit(BUILD["pandas"](columns), late)
    return dump(
        model,
        name="delay",
        where="project.py:1",
        task="binary",
        container="pandas",
        columns=tuple(column.spec for column in columns),
    )


def test_the_endpoint_answers_what_training_computed(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    frames = _frames()
    rows = frames["flights"]
    built = FeatureSet.build([trip, sky], flights, frames, time="leaves")
    features = built.columns(rows, rows["__event__"].to_numpy())
    assert 0 < features["temp"].null_count() < rows.height
    model = _fitted(features)
    signature = RequestSignature.of(
        built.request_columns,
        known=rows.schema,
        key=("id",),
        time="leaves",
        zone=ZONE,
        output="probability",
        lookup=Lookup(columns=("leaves", "distance", "carrier", "origin"), time="leaves"),
    )
    local = rows.with_columns(
        pl.col("leaves").dt.convert_time_zone(ZONE).dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
    )
    records = local.drop("__event__", "__known__").rows(named=True)
    served = deployment("v1", features="s1", request=signature, example=records[0])
    loader = RealLoader(model, built.dumps())
    table = RouteTable(ListedRoutes(served), loader, SystemCalendar(), SystemTimer())
    table.refresh()
    assert table.problems == {}

    by_key = [{"id": record["id"]} if n % 3 else record for n, record in enumerate(records)]
    batches = [records[:150], records[150:], records[:1], by_key]
    answers = asyncio.run(_ask(table, tmp_path, batches))
    expected = Artefact.loads(model).predict(features).tolist()
    assert answers == [*expected, expected[0], *expected]
    logged = list(read_predictions(tmp_path / "predictions"))
    full, keyed = logged[:200], logged[201:]
    assert [each.asked for each in full] == rows["__event__"].to_list()
    assert full[0].features == features.row(0, named=True)
    assert [each.key for each in full] == rows["id"].to_list()
    assert [each.features for each in keyed] == [each.features for each in full]
    assert [each.asked for each in keyed] == [each.asked for each in full]
    assert keyed[1].row == {"id": records[1]["id"]}
    ages = [each.ages["sky"] for each in full]
    assert ages == [each.ages["sky"] for each in keyed]
    assert None in ages
    assert 30 * 60 <= min(age for age in ages if age is not None) < 2 * 3600


def test_hundred_swaps_under_load_fail_no_request(tmp_path: Path) -> None:
    routes = ListedRoutes(deployment("v0.25", features="s1"))
    table = RouteTable(routes, FakeLoader(), SystemCalendar(), SystemTimer())
    table.refresh()
    versions = ["v0.25", "v0.5", "v0.75"]

    async def swap() -> None:
        for number in range(100):
            pair = [versions[number % 3], versions[(number + 1) % 3]]
            routes.listed = [deployment(*pair, weights=[50, 50], features="s1")]
            await asyncio.to_thread(table.refresh)

    async def load(client: httpx2.AsyncClient, worker: int) -> set[str]:
        seen = set()
        while not swapped.done():
            await asyncio.sleep(0)  # without a socket, nothing else lets the swaps go on
            row = {**routes.listed[0].example, "flight_id": f"{worker}-{len(seen)}"}
            answer = await client.post("/invocations", json=[row, {**row, "flight_id": "x"}])
            assert answer.status_code == 200, answer.text
            for value, version in zip(*list(answer.json().values())[:2], strict=True):
                assert value == float(version.removeprefix("v"))
                seen.add(version)
        return seen

    async def run() -> set[str]:
        nonlocal swapped
        app, log = _app(table, tmp_path)
        async with _client(app) as client:
            swapped = asyncio.create_task(swap())
            found = await asyncio.gather(*(load(client, worker) for worker in range(4)))
        log.close()
        return set().union(*found)

    swapped: asyncio.Task[None]
    assert asyncio.run(run()) == set(versions)


async def _ask(table: RouteTable, folder: Path, batches: list[list[dict[str, Any]]]) -> list[float]:
    app, log = _app(table, folder)
    answers: list[float] = []
    async with _client(app) as client:
        for batch in batches:
            answer = await client.post("/invocations", json=batch)
            answers += answer.json()["predictions"]
    log.close()
    return answers


def _app(table: RouteTable, folder: Path) -> tuple[Any, LiveLog]:
    log = LiveLog(folder / "predictions")
    plane = Plane(table, log, ControlProxy(folder / "control.sock"), SystemTimer())
    plane._loaded.set()  # no lifespan runs here
    return plane.app(), log


def _client(app: Any) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app)
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1")
