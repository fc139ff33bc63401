"""The two models that every server answers with, and the requests that ask them.

Model A: LightGBM, 200 trees of 31 leaves, 30 numeric columns. Model B: scikit-learn, a ColumnTransformer
(20 numeric columns imputed and scaled, 10 of texts one-hot) before HistGradientBoosting of 100 trees.
Both are fitted on 20,000 made-up rows of one seed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

ROWS, NUMBERS, TEXTS = 20_000, 20, 10
A_COLUMNS = [f"x{place}" for place in range(30)]
B_NUMBERS = [f"n{place}" for place in range(NUMBERS)]
B_TEXTS = [f"c{place}" for place in range(TEXTS)]


def data(model: str, rows: int = ROWS) -> tuple[Any, np.ndarray]:
    """A frame of pandas and its labels."""
    import pandas as pd

    rng = np.random.default_rng(7)
    width = len(A_COLUMNS) if model == "a" else NUMBERS
    values = rng.normal(size=(rows, width))
    score = values[:, 0] + values[:, 1] * values[:, 2] - np.abs(values[:, 3])
    frame = pd.DataFrame(values, columns=A_COLUMNS if model == "a" else B_NUMBERS)
    if model == "b":
        for place, name in enumerate(B_TEXTS):
            codes = rng.integers(0, 3 + place * 5, size=rows)
            score = score + 0.3 * np.cos(codes)
            frame[name] = pd.Series([f"{name}-{code}" for code in codes], dtype="str")
        numbers = frame[B_NUMBERS]
        frame[B_NUMBERS] = numbers.mask(rng.random(numbers.shape) < 0.02)
    return frame, (score + rng.normal(size=rows) > 0).astype(int)


def fitted(model: str) -> Any:
    """The model, fitted with one thread."""
    frame, y = data(model)
    if model == "a":
        from lightgbm import LGBMClassifier

        one = LGBMClassifier(n_estimators=200, num_leaves=31, n_jobs=1, verbose=-1)
        return one.fit(frame.to_numpy(), y)
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    texts = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), B_NUMBERS),
            ("texts", texts, B_TEXTS),
        ]
    )
    trees = HistGradientBoostingClassifier(max_iter=100, early_stopping=False)
    return Pipeline([("columns", columns), ("trees", trees)]).fit(frame, y)


def store(model: str, folder: Path) -> Path:
    """The fitted model as a pickle of joblib's; made when it is not there."""
    import joblib

    path = folder / f"{model}.joblib"
    if not path.exists():
        joblib.dump(fitted(model), path)
    return path


def rows(model: str, count: int) -> list[list[Any]]:
    """The first rows of the data, numbers with four digits; null where one is missing."""
    frame, _ = data(model, max(count, 1000))
    plain = frame.head(count).round(4).astype(object)
    return plain.where(plain.notna(), None).to_numpy().tolist()


def columns(model: str) -> list[str]:
    """Names of the columns, in the order of :func:`rows`."""
    return A_COLUMNS if model == "a" else [*B_NUMBERS, *B_TEXTS]


def plain_body(model: str, count: int) -> bytes:
    """What most servers are asked with: ``{"rows": [[…]]}``."""
    return json.dumps({"rows": rows(model, count)}).encode()


def split_body(model: str, count: int) -> bytes:
    """The same rows, as MLflow's scoring server is asked."""
    split = {"columns": columns(model), "data": rows(model, count)}
    return json.dumps({"dataframe_split": split}).encode()
