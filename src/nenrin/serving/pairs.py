"""What a shadow and whoever answered the client said of the same rows: read from the log of shadows."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from nenrin.serving.deployments import Deployment
from nenrin.serving.prediction import Prediction
from nenrin.serving.router import Shadow
from nenrin.serving.segments import read_predictions, shadow_log
from nenrin.stats.ranks import rank_correlation

NEWEST = 200_000  # pairs that are read: about 60 MB
QUANTILES = (0.05, 0.5, 0.95)

SCHEMA = pl.Schema(
    {
        "key": pl.String,
        "at": pl.Int64,
        "asked": pl.Int64,
        "given": pl.Float64,
        "said": pl.Float64,
        "other": pl.Boolean,
    }
)


def pairs(predictions: Path, deployment: Deployment, shadow: Shadow) -> pl.DataFrame:
    """A row for each of the newest pairs with the champion of now, oldest first, as :data:`SCHEMA` says.

    ``given`` is the answer that the client got, ``said`` the shadow's, null where they are texts, and
    ``other`` whether they differ: of probabilities, by the side of one half; of numbers, never.
    """
    found: deque[Prediction] = deque(maxlen=NEWEST)
    for each in read_predictions(shadow_log(predictions)):
        if (each.deployment, each.version) != (deployment.name, shadow.version):
            continue
        if each.at >= shadow.since and each.beside and each.beside[0] == deployment.champion:
            found.append(each)
    probability = deployment.request.output == "probability"
    rows = [
        (each.key, each.at, each.asked, *_numbers(given, each.answer, probability))
        for each in found
        if each.beside is not None
        for given in each.beside[1:]
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def compared(rows: pl.DataFrame) -> Mapping[str, Any]:
    """How pairs differ: shadow minus champion, as plain values; None where there is nothing to tell."""
    given, said = (rows[name].to_numpy().astype(np.float64) for name in ("given", "said"))
    numbers = np.isfinite(given) & np.isfinite(said)
    told: dict[str, Any] = {"pairs": rows.height, "labels_flipped": int(rows["other"].sum())}
    if not numbers.any():
        return told
    given, said = given[numbers], said[numbers]
    apart = said - given
    at = np.quantile(apart, QUANTILES)
    return told | {
        "mean_difference": float(apart.mean()),
        "quantiles": {f"{q:.0%}": float(each) for q, each in zip(QUANTILES, at, strict=True)},
        "largest": float(np.abs(apart).max()),
        "rank_correlation": rank_correlation(given, said),
    }


def _numbers(
    given: float | str, said: float | str, probability: bool
) -> tuple[float | None, float | None, bool]:
    if isinstance(given, str) or isinstance(said, str):
        return None, None, given != said
    return given, said, probability and (given >= 0.5) != (said >= 0.5)
