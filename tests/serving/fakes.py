"""Stand-ins for the registry, the features and the routes, which a spawned plane can make too."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.calendar import SystemCalendar
from nenrin.core.errors import NotFoundError
from nenrin.core.timer import SystemTimer
from nenrin.features.entities import Lookup
from nenrin.features.service import Seen
from nenrin.serving.deployments import Deployment
from nenrin.serving.plane.process import PlaneParts, PlaneSettings
from nenrin.serving.ports import LiveRoute
from nenrin.serving.router import Route, Variant
from nenrin.serving.signature import RequestSignature

SIGNATURE = RequestSignature.of(
    {"distance": pl.Float64(), "sched_dep": pl.Datetime("us", "UTC"), "origin": pl.String()},
    known={
        "flight_id": pl.String(),
        "sched_dep": pl.Datetime("us", "UTC"),
        "distance": pl.Float64(),
        "origin": pl.String(),
    },
    key=("flight_id",),
    time="sched_dep",
    zone="America/New_York",
    output="probability",
)
EXAMPLE = {
    "flight_id": "UA-1",
    "sched_dep": "2013-07-01T18:30:00",
    "distance": 1400.0,
    "origin": "EWR",
}


def deployment(
    *versions: str, weights: Sequence[int] = (), features: str = "", **other: Any
) -> Deployment:
    weights = weights or [100, *[0] * (len(versions) - 1)]
    variants = tuple(
        Variant(version=version, weight=weight, features=features)
        for version, weight in zip(versions, weights, strict=True)
    )
    name = other.pop("name", "delay")
    given = {"request": SIGNATURE, "example": EXAMPLE, "anchor": versions[0], **other}
    return Deployment(
        name=name,
        environment="dev",
        model="delay",
        revision="revision-1",
        route=Route(deployment=name, variants=variants),
        at=0,
        **given,
    )


class Constant:
    """Answers every row alike, after a while; "broken" raises."""

    def __init__(self, value: float, seconds: float = 0.0) -> None:
        self.value = value
        self.seconds = seconds
        self.batches: list[int] = []

    def answer_rows(self, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        if self.seconds:
            time.sleep(self.seconds)
        self.batches.append(len(rows))
        if any(row.get("origin") == "broken" for row in rows):
            raise ValueError("no such origin")
        return np.full(len(rows), self.value)


class Echo:
    """Feature state that hands on the raw row and when it was asked."""

    waits = False
    passes = None
    unread = False

    def read(self) -> None:
        self.unread = False

    def seen(
        self, raw: Sequence[dict[str, Any]], asked: Sequence[int], lookup: Lookup | None = None
    ) -> Seen:
        found = [{**row, "asked": at} for row, at in zip(raw, asked, strict=True)]
        return Seen(found, [{"echo": 1.5} for _ in raw], asked)


class FakeLoader:
    """Opens ``v0.25`` as the constant .25, ``slow0.25`` as one that thinks for 50 ms."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open(self, variant: Variant) -> Constant:
        version = variant.version
        self.opened.append(version)
        if version.startswith("slow"):
            return Constant(float(version.removeprefix("slow")), seconds=0.05)
        if not version.startswith("v"):
            raise NotFoundError(f"there is no version {version!r}")
        return Constant(float(version.removeprefix("v")))

    def size(self, variant: Variant) -> int:
        return 1_000

    def features(self, digest: str) -> Echo:
        return Echo()


class ListedRoutes:
    """Routes that a test changes."""

    def __init__(self, *deployments: Deployment, stands_at: int | None = None) -> None:
        self.listed = list(deployments)
        self.stands_at = stands_at

    def routes(self) -> list[LiveRoute]:
        return [LiveRoute(deployment=each, stands_at=self.stands_at) for each in self.listed]


class FileRoutes:
    """Routes in a file, so that a test can change them under a plane in another process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, *deployments: Deployment) -> None:
        content = msgspec.json.encode([LiveRoute(deployment=each) for each in deployments])
        fresh = self.path.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.replace(self.path)

    def routes(self) -> list[LiveRoute]:
        return msgspec.json.decode(self.path.read_bytes(), type=list[LiveRoute])


def parts_of(settings: PlaneSettings) -> PlaneParts:
    return PlaneParts(
        routes=FileRoutes(settings.folder / "routes.json"),
        loader=FakeLoader(),
        calendar=SystemCalendar(),
        timer=SystemTimer(),
    )
