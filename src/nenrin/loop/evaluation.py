"""An evaluation for people: the declared metric on rows that a model has not seen, beside the baseline."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from nenrin.stats.bootstrap import metric_interval
from nenrin.stats.calibration import reliability
from nenrin.stats.metrics import HIGHER_IS_BETTER, METRICS


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Labelled rows with answers that their models had not seen.

    Attributes:
        y: labels, float64 (rows,).
        p: answers, float64 (rows,).
        baseline: the declared baseline's answers, float64 (rows,).
        days: number of each row's day; None where rows have no time and are taken to be independent.
        how: what people are told of how the rows were held out.
    """

    y: np.ndarray
    p: np.ndarray
    baseline: np.ndarray
    days: np.ndarray | None
    how: str


def evaluate(judged: Judged, task: str, metric: str) -> dict[str, Any]:
    """The metric with a 95 % interval, the baseline's, and their difference with one.

    Returns:
        plain values: ``metric``, ``value``, ``low``, ``high``, ``baseline``, ``difference`` (``mean``,
        ``low``, ``high``), ``beats_baseline``, ``rows``, ``how``, ``others`` (further metrics) and, for a
        binary task, ``reliability``.
    """
    score, y, p, plain = METRICS[metric], judged.y, judged.p, judged.baseline
    own = metric_interval(score, y, p, days=judged.days)
    gap = metric_interval(score, y, p, minus=plain, days=judged.days)
    beats = gap.low > 0 if metric in HIGHER_IS_BETTER else gap.high < 0
    names = ("log_loss", "roc_auc", "brier") if task == "binary" else ("rmse", "mae", "r2")
    found = {
        "metric": metric,
        "value": score(y, p),
        "low": own.low,
        "high": own.high,
        "baseline": score(y, plain),
        "difference": {"mean": score(y, p) - score(y, plain), "low": gap.low, "high": gap.high},
        "beats_baseline": bool(beats),
        "rows": len(y),
        "how": judged.how,
        "others": {name: METRICS[name](y, p) for name in names if name != metric},
    }
    if task == "binary":
        curve = reliability(y, p)
        found["reliability"] = {"p": curve.p.tolist(), "y": curve.y.tolist(), "n": curve.n.tolist()}
    plain_values: dict[str, Any] = _finite(found)
    return plain_values


def _finite(value: Any) -> Any:
    """Infinite ends of an interval that could not be told become None, as JSON has no infinity."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
