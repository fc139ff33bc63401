"""What the log, a sticky canary and a full shadow cost a plane: the rate that each keeps of the bare one.

    python -m benchmarks.serving_routes --folder FOLDER [--repeats 5] [--seconds 2]

Model A, compiled, one plane a cell, 1 row over 64 connections and 100 rows over 16. Every request has another
value in the header that rows stick by. The canary gives a tenth of the keys to the same model under another
place of the route; the shadow scores with it too, and may use a whole core. *Bare* keeps no log: its lines
are not made. Repeats are interleaved; ratios are those of neighbours in time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from benchmarks.serving_load import Found, load
from benchmarks.serving_models import make, numbers, one_tensor
from nenrin.api.planes import plain
from nenrin.core.settings import Settings
from nenrin.plane import plane_parts
from nenrin.serving.plane import process
from nenrin.serving.plane.listening import listen
from nenrin.serving.plane.process import PlaneParts, PlaneSettings
from nenrin.serving.ports import LiveRoute, Loader
from nenrin.serving.router import Route, Shadow, Variant

PATH = "/v2/models/a/infer"
STICKY = "X-User"
LOADS = {"1 row, 64": (1, 64), "100 rows, 16": (100, 16)}

Change = Callable[[Route], Route]


def as_it_is(route: Route) -> Route:
    """No canary, no shadow."""
    return route


def canary(route: Route) -> Route:
    """A tenth of the keys go to a challenger."""
    [champion] = route.variants
    most = msgspec.structs.replace(champion, weight=90)
    return msgspec.structs.replace(route, variants=(most, same(champion, "canary", 10)))


def canary_and_shadow(route: Route) -> Route:
    """The same, and all of it is scored once more."""
    [champion] = route.variants
    shadow = Shadow(variant=same(champion, "shadow", 0), budget=100)
    return msgspec.structs.replace(canary(route), shadow=shadow)


def same(champion: Variant, name: str, weight: int) -> Variant:
    """The champion's model as another version: a route has each once."""
    version = f"{champion.version}.{name}"
    return msgspec.structs.replace(champion, version=version, weight=weight)


CELLS: dict[str, tuple[bool, Change]] = {
    "bare": (False, as_it_is),
    "log": (True, as_it_is),
    "log, sticky canary": (True, canary),
    "log, sticky canary, full shadow": (True, canary_and_shadow),
}


class Silent(process.LiveLog):
    """Keeps nothing."""

    def append(self, *_: Any) -> None:
        """Make no line."""


class Changed:
    """The routes of a folder, changed."""

    def __init__(self, parts: PlaneParts, change: Change) -> None:
        self._parts = parts
        self._change = change

    def routes(self) -> list[LiveRoute]:
        """Every deployment, sticky by the header."""
        return [self._changed(live) for live in self._parts.routes.routes()]

    def _changed(self, live: LiveRoute) -> LiveRoute:
        request = msgspec.structs.replace(live.deployment.request, sticky=STICKY)
        deployment = msgspec.structs.replace(
            live.deployment, request=request, route=self._change(live.deployment.route)
        )
        return msgspec.structs.replace(live, deployment=deployment)


class Same:
    """Opens the champion's model under every name that it has here."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self.features = loader.features

    def open(self, variant: Variant) -> Any:
        """The variant's version."""
        return self._loader.open(_champion(variant))

    def size(self, variant: Variant) -> int:
        """Its bytes."""
        return self._loader.size(_champion(variant))


def _champion(variant: Variant) -> Variant:
    return msgspec.structs.replace(variant, version=variant.version.partition(".")[0])


def changed_parts(change: Change, settings: PlaneSettings) -> PlaneParts:
    """The plane's parts, with other routes."""
    parts = plane_parts(settings)
    return msgspec.structs.replace(parts, routes=Changed(parts, change), loader=Same(parts.loader))


def serve(settings: PlaneSettings, cell: str, listener: socket.socket) -> None:
    """One plane, until it is ended."""
    logs, change = CELLS[cell]
    if not logs:
        process.LiveLog = Silent  # type: ignore[misc]
    process.run_plane(settings, partial(changed_parts, change), [listener])


@contextmanager
def planes(folder: Path, scratch: Path) -> Iterator[dict[str, tuple[int, str]]]:
    """A plane a cell: its process, and where it is asked."""
    context = multiprocessing.get_context("spawn")
    given = plain(Settings.read(folder=folder))
    started = []
    found = {}
    try:
        for number, cell in enumerate(CELLS):
            settings = msgspec.structs.replace(given, predictions=scratch / str(number))
            listener = listen("127.0.0.1", 0)
            plane = context.Process(target=serve, args=(settings, cell, listener))
            plane.start()
            started.append(plane)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            found[cell] = plane.pid or 0, f"{url}{PATH}"
            while httpx2.get(f"{url}/v2/health/ready", timeout=60).status_code != 200:
                time.sleep(0.1)
        yield found
    finally:
        for plane in started:
            plane.terminate()
            plane.join()


def measure(folder: Path, repeats: int, seconds: float) -> dict[tuple[str, str], list[Found]]:
    """Every cell under every load, interleaved."""
    found: dict[tuple[str, str], list[Found]] = {}
    with tempfile.TemporaryDirectory() as temporary, planes(folder, Path(temporary)) as served:
        for _ in range(repeats):
            for name, (rows, connections) in LOADS.items():
                for cell, (plane, url) in served.items():
                    run = load(
                        url,
                        one_tensor(numbers(rows)),
                        Path(temporary),
                        seconds=seconds,
                        connections=connections,
                        processes=[plane],
                        sticky=STICKY,
                    )
                    assert not run.errors, (cell, run)
                    found.setdefault((name, cell), []).append(run)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    if not (given.folder / "project.py").exists():
        make(given.folder)
    found = measure(given.folder, given.repeats, given.seconds)
    print(
        "| load | cell | requests a second | of the bare rate | by CPU | CPU ms | p50 ms | p99 ms |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for (name, cell), runs in found.items():
        bare = found[name, "bare"]
        rates = [run.rate / other.rate for run, other in zip(runs, bare, strict=True)]
        spent = [other.cpu / run.cpu for run, other in zip(runs, bare, strict=True)]
        rate, cpu, p50, p99 = (
            statistics.median(getattr(run, what) for run in runs)
            for what in ("rate", "cpu", "p50", "p99")
        )
        print(
            f"| {name} | {cell} | {rate:,.0f} | {statistics.median(rates):.2f} "
            f"[{min(rates):.2f}, {max(rates):.2f}] | {statistics.median(spent):.2f} | {cpu:.4f} "
            f"| {p50:.2f} | {p99:.1f} |"
        )


if __name__ == "__main__":
    main()
