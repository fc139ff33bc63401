"""Writes logged predictions to one file, in memory that does not grow with the log."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import polars as pl

from nenrin.core import nonfinite
from nenrin.core.instants import iso
from nenrin.serving.prediction import Prediction
from nenrin.serving.segments import read_predictions

Form = Literal["parquet", "csv", "ndjson"]

BATCH = 5_000

_INSTANT = pl.Datetime("us", "UTC")
SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "deployment": pl.String(),
        "version": pl.String(),
        "variant": pl.Int64(),
        "key": pl.String(),
        "asked": _INSTANT,
        "at": _INSTANT,
        "answer": pl.Float64(),
        "answer_text": pl.String(),
        "latency_ms": pl.Float64(),
        "row": pl.String(),
        "features": pl.String(),
        "members": pl.String(),
        "recalibration": pl.String(),
        "ages": pl.String(),
        "masked": pl.String(),
    }
)
"""The columns of Parquet and CSV. What differs from version to version is JSON text, from ``row`` on."""


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions of a deployment, of a version alone or as a member; answered from ``since`` to ``until``.

    Empty texts and None are any. Instants are microseconds UTC; ``until`` is left out.
    """

    deployment: str = ""
    version: str = ""
    since: int | None = None
    until: int | None = None

    def has(self, prediction: Prediction) -> bool:
        """Whether it is one of them."""
        return (
            self.deployment in ("", prediction.deployment)
            and (self.since is None or prediction.at >= self.since)
            and (self.until is None or prediction.at < self.until)
            and (
                self.version in ("", prediction.version)
                or any(member.version == self.version for member in prediction.members)
            )
        )


def export(predictions: Path, to: Path, form: Form, which: Which) -> int:
    """Write the predictions of a log to the file ``to``; how many there were.

    Args:
        predictions: the folder of the log.
        to: the file; beside it Parquet needs as much room again while it is made.
        form: ``ndjson`` has each prediction as it is kept.
        which: those that are wanted.
    """
    found = (each for each in read_predictions(predictions) if which.has(each))
    write: Callable[[Iterator[Prediction], Path], int] = {
        "parquet": _parquet,
        "csv": _csv,
        "ndjson": _ndjson,
    }[form]
    return write(found, to)


def _ndjson(found: Iterator[Prediction], to: Path) -> int:
    rows = 0
    with to.open("wb") as file:
        for prediction in found:
            file.write(nonfinite.encode(prediction) + b"\n")
            rows += 1
    return rows


def _csv(found: Iterator[Prediction], to: Path) -> int:
    rows = 0
    with to.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, SCHEMA.names())
        writer.writeheader()
        for row in map(_flat, found):
            writer.writerow({**row, "asked": iso(row["asked"]), "at": iso(row["at"])})
            rows += 1
    return rows


def _parquet(found: Iterator[Prediction], to: Path) -> int:
    """By way of a file a batch, which polars streams into one."""
    rows, flat = 0, map(_flat, found)
    parts = [_part(to, 0, [])]
    while batch := list(itertools.islice(flat, BATCH)):
        parts.append(_part(to, len(parts), batch))
        rows += len(batch)
    pl.scan_parquet(parts).sink_parquet(to, row_group_size=BATCH)
    for part in parts:
        part.unlink()
    return rows


def _part(to: Path, number: int, batch: list[dict[str, Any]]) -> Path:
    part = to.with_name(f"{to.name}.{number:06d}")
    pl.DataFrame(batch, schema=SCHEMA).write_parquet(part)
    return part


def _flat(prediction: Prediction) -> dict[str, Any]:
    text = isinstance(prediction.answer, str)
    parts = {name: getattr(prediction, name) for name in SCHEMA.names() if name != "answer_text"}
    for name in ("row", "features", "members", "recalibration", "ages", "masked"):
        parts[name] = nonfinite.encode(parts[name]).decode() if parts[name] else None
    return {
        **parts,
        "answer": None if text else prediction.answer,
        "answer_text": prediction.answer if text else None,
    }
