"""Batch prediction: rows a second, and the memory that it takes, of a file and of one many times as long.

    python benchmarks/predict.py --rows 5000000

Model A of the serving benchmarks: LightGBM, 200 trees, 30 numeric columns; made-up rows. Each length is
answered in a process of its own, whose largest memory is that of the kernel (``ru_maxrss``). Beside it
stands what the same process takes for a thousand rows: Python, the libraries and the model.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

COLUMNS = 30
TREES = 200
CHUNK = 100_000
NAMES = [f"x{number}" for number in range(COLUMNS)]


def chunks(rows: int) -> Iterator[pl.DataFrame]:
    """Rows of numbers, a chunk at a time."""
    random = np.random.default_rng(1)
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        numbers = dict(zip(NAMES, random.normal(size=(COLUMNS, count)), strict=True))
        yield pl.DataFrame({"id": np.arange(start, start + count), **numbers})


def write(path: Path, rows: int) -> None:
    """A file of rows, by its ending."""
    if path.suffix == ".csv":
        with path.open("wb") as file:
            for place, frame in enumerate(chunks(rows)):
                frame.write_csv(file, include_header=place == 0)
        return
    writer = None
    for frame in chunks(rows):
        table = frame.to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def model() -> bytes:
    """A fitted artefact."""
    from lightgbm import LGBMRegressor

    from nenrin.training.artefact import dump
    from nenrin.training.columns import encode
    from nenrin.training.containers import BUILD

    (frame,) = chunks(20_000)
    columns = encode(frame.drop("id"))
    y = frame.select(pl.sum_horizontal("x0", "x1") * pl.col("x2")).to_series().to_numpy()
    fitted = LGBMRegressor(n_estimators=TREES, n_jobs=1, verbose=-1).fit(BUILD["numpy"](columns), y)
    return dump(
        fitted,
        name="a",
        where="predict.py:1",
        task="regression",
        container="numpy",
        columns=tuple(column.spec for column in columns),
    )


def print_nothing(stage: str, done: int, total: int, note: str = "") -> None:
    """No progress is shown."""


def answer(folder: Path, source: Path) -> dict[str, Any]:
    """Answer a file in this process."""
    from nenrin.backends.blobs.local import LocalStore
    from nenrin.backends.compute.in_process import InProcessExecutor
    from nenrin.core.calendar import SystemCalendar
    from nenrin.core.timer import SystemTimer
    from nenrin.pipelines.executor import WorkerContext
    from nenrin.project.loader import project_attributes
    from nenrin.registry.kinds import RowAnswerer
    from nenrin.registry.kinds.model import ModelAnswerer
    from nenrin.serving.batch.service import BatchPrediction, Wanted
    from nenrin.serving.deployments import Deployment
    from nenrin.serving.ports import LiveRoute
    from nenrin.serving.router import Route, Variant
    from nenrin.serving.signature import RequestSignature
    from nenrin.training.artefact import Artefact

    numbers = dict.fromkeys(NAMES, pl.Float64())
    live = LiveRoute(
        deployment=Deployment(
            name="a",
            environment="dev",
            model="a",
            revision="",
            route=Route(deployment="a", variants=(Variant(version="v1"),)),
            anchor="v1",
            request=RequestSignature.of(numbers, known={"id": pl.Int64(), **numbers}, key=("id",)),
            example=dict.fromkeys(NAMES, 0.0),
            at=0,
        )
    )

    class Here:
        def routes(self) -> list[LiveRoute]:
            return [live]

        def open(self, variant: Variant) -> Any:
            return RowAnswerer(ModelAnswerer(Artefact.loads((folder / "model").read_bytes())))

        def features(self, digest: str) -> Any:
            raise NotImplementedError

        def loader(self, context: WorkerContext) -> Here:
            return self

    here, timer = Here(), SystemTimer()
    alone = InProcessExecutor(LocalStore(folder / "store"), project_attributes)
    batch = BatchPrediction(
        here,
        lambda _: here,
        here=alone,
        started=lambda: alone,
        calendar=SystemCalendar(),
        timer=timer,
        predictions=folder / "predictions",
    )
    to = source.with_suffix(f".answers{source.suffix}")
    done = batch.predict(Wanted(name="a", input=str(source), output=to), print_nothing)
    to.unlink()
    return {
        "form": source.suffix[1:],
        "rows": done.rows,
        "rows_a_second": round(done.rows_a_second),
        "cpu_seconds": round(timer.cpu(), 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "file_mb": source.stat().st_size // 2**20,
    }


def main() -> None:
    """Measure each length in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--endings", nargs="+", default=["parquet", "csv"])
    parser.add_argument("--answer", nargs=2, type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.answer:
        print(json.dumps(answer(*asked.answer)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "model").write_bytes(model())
        for rows in (1_000, asked.rows // 10, asked.rows):
            for ending in asked.endings:
                source = folder / f"{rows}.{ending}"
                write(source, rows)
                command = [sys.executable, __file__, "--answer", str(folder), str(source)]
                print(
                    subprocess.run(command, check=True, capture_output=True, text=True).stdout,
                    end="",
                )
                sys.stdout.flush()
                source.unlink()


if __name__ == "__main__":
    main()
