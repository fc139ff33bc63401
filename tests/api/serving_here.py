"""``nenrin up`` over a platform in memory, as a process of its own: ``python -m`` with a folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nenrin.api.serve import serve
from nenrin.core.calendar import SystemCalendar
from nenrin.core.settings import Settings
from nenrin.core.timer import SystemTimer
from nenrin.serving.plane.process import PlaneParts, PlaneSettings
from nenrin.serving.ports import LiveRoute
from tests.api.fakes import FakePlatform


class NoRoutes:
    def routes(self) -> Sequence[LiveRoute]:
        return ()


class NothingToOpen:
    def open(self, version: str) -> Any:
        raise AssertionError(version)

    def features(self, digest: str) -> Any:
        raise AssertionError(digest)


def parts_of(settings: PlaneSettings) -> PlaneParts:
    return PlaneParts(
        routes=NoRoutes(), loader=NothingToOpen(), calendar=SystemCalendar(), timer=SystemTimer()
    )


def ready(url: str, platform: Any) -> None:
    print(url, flush=True)


if __name__ == "__main__":
    settings = Settings.read(folder=Path(sys.argv[1]), port=int(sys.argv[2]))
    serve(settings, ready, FakePlatform, parts_of)  # type: ignore[arg-type]
