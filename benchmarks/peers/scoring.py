"""What the servers share: the stored model, asked with rows of plain values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import joblib
import numpy as np

from benchmarks.peers.models import columns


def native(model: str, path: str) -> Callable[[list[list[Any]]], np.ndarray]:
    """The library's own prediction: probabilities of the second class, one a row."""
    fitted = joblib.load(path)
    if model == "a":
        fitted.set_params(n_jobs=1)
        return lambda rows: fitted.predict_proba(np.asarray(rows, dtype=float))[:, 1]
    import pandas as pd

    names = columns(model)
    return lambda rows: fitted.predict_proba(pd.DataFrame(rows, columns=names))[:, 1]


def batched(
    predict: Callable[[list[list[Any]]], np.ndarray], batch: list[list[list[Any]]]
) -> list[list[float]]:
    """Several requests answered by one call."""
    answers = predict([row for rows in batch for row in rows]).tolist()
    parts, start = [], 0
    for rows in batch:
        parts.append(answers[start : start + len(rows)])
        start += len(rows)
    return parts
