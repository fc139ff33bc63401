"""Every prediction of every policy of a backtest, as one Parquet file that others can recompute from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from nenrin.core.errors import RefusedError, RequestError
from nenrin.core.instants import NEVER, duration
from nenrin.loop.ground import Ground
from nenrin.loop.ports import Prepared
from nenrin.serving.log import PredictionLog


def export_predictions(
    report: dict[str, Any], prepared: Prepared, log: PredictionLog, path: Path
) -> dict[str, Any]:
    """Write ``path``.

    Columns: ``key``, ``asked`` (UTC), ``policy``, ``version``, ``cutoff`` (end of what that version was
    trained on, UTC), ``p``, ``label`` (as known at the end of the data, null without), ``closed_at`` (when
    the row's day closed, UTC).

    Raises:
        RefusedError: the data has changed since the backtest, so labels can no longer be told.
        RequestError: the file cannot be written.
    """
    contents = [kept["content"] for kept in report["predictions"].values()]
    frame = log.read(contents)
    table = prepared.table
    ground = Ground(table, prepared.task.row_loss)
    first = log.read(contents[:1])
    lo, hi = ground.rows_between(int(first["asked"][0]), int(first["asked"][-1]) + 1)
    if hi - lo != first.height or not first["key"].equals(table.keys[lo:hi]):
        raise RefusedError(
            "the data has changed since this backtest, so its labels cannot be told",
            hint="run it again: nenrin backtest",
            where=report["id"],
        )
    labels = ground.labels(lo, hi, NEVER - 1)
    settle = duration(report["settle_age"])
    closing = np.array([ground.day_closing(day, settle) for day in range(ground.days)])
    facts = pl.DataFrame(
        {
            "label": pl.Series(labels).fill_nan(None),
            "closed_at": closing[ground.days_of(lo, hi)],
        }
    )
    facts = pl.concat([facts] * len(contents))
    whole = pl.concat([frame.drop("variant"), facts], how="horizontal").with_columns(
        pl.from_epoch(name, time_unit="us").dt.replace_time_zone("UTC")
        for name in ("asked", "cutoff", "closed_at")
    )
    try:
        whole.write_parquet(path, compression="zstd")
    except OSError as error:
        raise RequestError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="name a file in a folder that you may write to",
            where=str(path),
        ) from None
    return {"path": str(path), "rows": whole.height, "policies": list(report["predictions"])}
