"""Two months of real flights, replayed once for all journeys: 1 April to 31 May 2013."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nenrin.core.settings import Settings
from nenrin.platform import Platform
from nenrin.project.init import write_example

FROM, UNTIL = "2013-04-01", "2013-06-01"


@dataclass(frozen=True)
class Replayed:
    """A replay: its folder's platform, its report, and every prediction as it was exported."""

    platform: Platform
    report: dict[str, Any]
    predictions: pl.DataFrame


@pytest.fixture(scope="session")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    """The flights example, replayed from April to May by two workers."""
    folder = tmp_path_factory.mktemp("flights")
    write_example(folder, "flights")
    with Platform.open(Settings.read(folder=folder, workers=2)) as platform:
        report = platform.loop.backtest(from_=FROM, until=UNTIL)
        path = Path(folder) / "predictions.parquet"
        platform.loop.export(report["id"], path)
        yield Replayed(platform, report, pl.read_parquet(path))
