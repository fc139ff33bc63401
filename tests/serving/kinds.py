"""A deployment with a column of every kind, whose model tells what it was asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from starlette.testclient import TestClient

from nenrin.core.calendar import SimulatedCalendar
from nenrin.core.timer import SystemTimer
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.app import Plane
from nenrin.serving.plane.doors import DOORS, Doors
from nenrin.serving.plane.proxy import ControlProxy
from nenrin.serving.plane.shadow import Shadows
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.router import Variant
from nenrin.serving.segments import shadow_log
from nenrin.serving.signature import RequestSignature
from tests.serving.fakes import ListedRoutes, deployment

_NEEDED = {
    "a": pl.Float64(),
    "n": pl.Int64(),
    "b": pl.Boolean(),
    "s": pl.String(),
    "d": pl.Date(),
}
SIGNATURE = RequestSignature.of(
    _NEEDED, known={"id": pl.String(), **_NEEDED}, key=("id",), output="prediction"
)
ROW = {"id": "k1", "a": 1.5, "n": 3, "b": True, "s": "é,x", "d": "2024-02-29"}
INFER = "/v2/models/kinds/infer"


class Telling:
    """Answers twice the number of a row, -1 where it is missing, and keeps the rows."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def answer_rows(self, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        self.rows = [dict(row) for row in rows]
        told = [-1.0 if row["a"] is None else 2.0 * row["a"] for row in rows]
        return np.nan_to_num(np.array(told), nan=-2.0, posinf=-3.0, neginf=-4.0)


class TellingLoader:
    def __init__(self) -> None:
        self.model = Telling()

    def open(self, variant: Variant) -> Telling:
        if variant.version == "broken":
            raise ValueError("it does not load")
        return self.model

    def features(self, digest: str) -> Any:
        raise AssertionError(digest)

    def size(self, variant: Variant) -> int:
        return 0


class KindsPlane:
    """A plane in this process."""

    def __init__(self, folder: Path) -> None:
        self.loader = TellingLoader()
        self.routes = ListedRoutes(
            deployment("version-1", name="kinds", request=SIGNATURE, example=ROW)
        )
        calendar = SimulatedCalendar(1_700_000_000_000_000)
        timer = SystemTimer()
        self.shadows = Shadows(shadow_log(folder / "predictions") / "0", timer)
        self.table = RouteTable(self.routes, self.loader, calendar, timer, shadows=self.shadows)
        self.log = LiveLog(folder / "predictions")
        self.plane = Plane(
            self.table, self.log, ControlProxy(folder / "control.sock"), SystemTimer()
        )
        self.table.refresh()

    @property
    def asked(self) -> list[dict[str, Any]]:
        """What the model was asked last."""
        return self.loader.model.rows

    @contextmanager
    def client(self, token: str | None = None, doors: Doors = DOORS) -> Iterator[TestClient]:
        with TestClient(
            self.plane.app(token, doors),
            base_url="http://127.0.0.1",
            raise_server_exceptions=False,
        ) as client:
            yield client


def inputs(**other: Any) -> list[dict[str, Any]]:
    """The tensors of one row; an argument's members replace those of the tensor of its name."""
    tensors = SIGNATURE.example("kinds", ROW)["body"]["inputs"]
    return [{**tensor, **other.get(tensor["name"], {})} for tensor in tensors]
