"""What became of logged answers: the model's own loss by delayed labels, or a column that is joined by key.

An outcome counts as it was known when the day of its question closed; what comes later changes nothing that
was decided.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from nenrin.core.errors import RequestError
from nenrin.core.instants import NEVER, local_midnight
from nenrin.data.service import DataService
from nenrin.loop.exposures import Measured
from nenrin.loop.ports import Prepared
from nenrin.project.replay import ProjectReplay
from nenrin.serving.deployments import Deployment
from nenrin.serving.experiment import Experiment
from nenrin.serving.exposing import exposed
from nenrin.training.asking import row_keys


class Outcomes:
    """Joins outcomes to the prediction log.

    Args:
        predictions: the folder of the log.
        replay: makes deployments ready, and reads the project.
        data: the loads.
    """

    def __init__(self, predictions: Path, replay: ProjectReplay, data: DataService) -> None:
        self._predictions = predictions
        self._replay = replay
        self._data = data

    def measure(
        self,
        environment: str,
        deployment: Deployment,
        experiment: Experiment,
        settle: int,
        now: int,
    ) -> Measured:
        """Every logged answer with its outcome, null where there is none yet.

        Raises:
            RequestError: there is no such dataset or column, or it has no number.
        """
        rows = exposed(self._predictions, deployment)
        if rows.is_empty() and not experiment.outcome:
            return Measured(closed_days(rows, "UTC", settle, now).with_columns(value=pl.lit(0.0)))
        if experiment.outcome:
            zone = deployment.request.zone or "UTC"
            rows = closed_days(rows, zone, settle, now)
            values, by = self._column(environment, deployment, experiment.outcome)
            return Measured(joined(rows, values, by).rename({"found": "value"}))
        prepared = self._replay.prepare(environment, deployment.name, load=False, progress=None)
        rows = closed_days(rows, prepared.table.zone, settle, now)
        rows = joined(rows, _labels(prepared), "key")
        return Measured(rows.with_columns(value=_loss(rows, "answer", prepared)))

    def losses(
        self, environment: str, deployment: Deployment, pairs: pl.DataFrame, settle: int, now: int
    ) -> pl.DataFrame:
        """Pairs of a shadow with ``day``, ``closed``, ``loss`` and ``shadow_loss``.

        Losses are NaN where there is no label yet.
        """
        prepared = self._replay.prepare(environment, deployment.name, load=False, progress=None)
        rows = closed_days(pairs, prepared.table.zone, settle, now)
        rows = joined(rows, _labels(prepared), "key")
        return rows.with_columns(
            loss=_loss(rows, "given", prepared), shadow_loss=_loss(rows, "said", prepared)
        )

    def _column(
        self, environment: str, deployment: Deployment, outcome: str
    ) -> tuple[pl.DataFrame, str]:
        """``of``, ``known`` and ``found`` of a dataset's column, and which of a row's names it joins."""
        name, column = outcome.split(".")
        datasets = self._replay.load().datasets
        if name not in datasets:
            raise RequestError(
                f"there is no dataset {name!r}", hint=f"datasets: {', '.join(datasets)}"
            )
        dataset = datasets[name]
        version = self._data.latest(environment, name)
        kind = self._data.header(version).schema.get(column)
        if kind is None or not (kind.is_numeric() or kind == pl.Boolean):
            raise RequestError(
                f"{outcome} is no column of numbers or truth values",
                hint=f"nenrin data show {name} lists its columns",
            )
        key = dataset.declared.key
        frame = self._data.frame(version, columns=list(dict.fromkeys([*key, column])))
        values = frame.select(
            of=row_keys(dataset, frame), known="__known__", found=pl.col(column).cast(pl.Float64)
        )
        return values, "unit" if key == (deployment.request.sticky,) else "key"


def closed_days(rows: pl.DataFrame, zone: str, settle: int, now: int) -> pl.DataFrame:
    """With ``day``, the local date of each question, ``closes``, when that day does, and ``closed``."""
    asked = pl.from_epoch("asked", time_unit="us").dt.replace_time_zone("UTC")
    rows = rows.with_columns(day=asked.dt.convert_time_zone(zone).dt.date())
    days = rows["day"].unique().sort()
    ends = [_end(day, zone) + settle for day in days]
    closes = pl.DataFrame(
        {"day": days, "closes": ends}, schema={"day": pl.Date, "closes": pl.Int64}
    )
    return rows.join(closes, on="day", how="left", maintain_order="left").with_columns(
        closed=pl.col("closes") <= now
    )


def joined(rows: pl.DataFrame, values: pl.DataFrame, by: str) -> pl.DataFrame:
    """With ``found``: of each row's key the newest value that was known when its day closed.

    Args:
        rows: with the columns ``by`` and ``closes``.
        values: ``of`` (the key), ``known`` (microseconds UTC) and ``found``.
        by: ``key`` or ``unit``.
    """
    order = rows.with_row_index("place")
    pairs = order.select("place", "closes", of=by).join(values, on="of", how="inner")
    newest = (
        pairs.filter(pl.col("known") <= pl.col("closes"))
        .sort("place", "known", maintain_order=True)
        .unique("place", keep="last", maintain_order=True)
    )
    found = newest.select("place", "found")
    return order.join(found, on="place", how="left", maintain_order="left").drop("place")


def _labels(prepared: Prepared) -> pl.DataFrame:
    table = prepared.table
    frame = pl.DataFrame(
        {"of": table.keys, "known": table.answered, "found": table.y},
        schema={"of": pl.String, "known": pl.Int64, "found": pl.Float64},
    )
    return frame.filter(pl.col("known") < NEVER)


def _loss(rows: pl.DataFrame, answer: str, prepared: Prepared) -> pl.Series:
    """The loss of an answer's column by the labels that were found, NaN where either is missing."""
    y = rows["found"].cast(pl.Float64).to_numpy().astype(np.float64)
    p = rows[answer].to_numpy().astype(np.float64)
    known = np.isfinite(y) & np.isfinite(p)
    value = np.full(len(y), np.nan)
    value[known] = prepared.task.row_loss(y[known], p[known])
    return pl.Series(value)


def _end(day: date, zone: str) -> int:
    return local_midnight(day + timedelta(days=1), zone)
