"""Makes the folder of a model that the serving benchmarks ask: data, project, run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.peers.models import data

ROWS = 20_000
COLUMNS = 30

_PROJECT = """import nenrin as nr

data = nr.file("data.csv", key="id")


@nr.model(rows=data, label=data.y)
def a(rows):
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=200, num_leaves=31, n_jobs=1, verbose=-1).fit(rows.numpy(), rows.y)


service = nr.deployment(a)
"""
_PIPELINE = """import nenrin as nr

data = nr.file("data.csv", key="id")


@nr.model(rows=data, label=data.y)
def b(rows):
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = rows.pandas()
    numbers = [name for name in frame if name.startswith("n")]
    texts = [name for name in frame if name.startswith("c")]
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
        ]
    )
    trees = HistGradientBoostingClassifier(max_iter=100, early_stopping=False)
    return make_pipeline(columns, trees).fit(frame, rows.y)


service = nr.deployment(b)
"""


def numbers(rows: int = ROWS) -> np.ndarray:
    """float64 (rows, 30): what the model is asked about."""
    return np.random.default_rng(1).normal(size=(rows, COLUMNS))


def one_tensor(rows: np.ndarray) -> bytes:
    """Version 2: all columns in one tensor."""
    tensor = {
        "name": "rows",
        "shape": list(rows.shape),
        "datatype": "FP64",
        "data": rows.ravel().round(4).tolist(),
    }
    return json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()


def tensor_in_bytes(rows: np.ndarray, answers: bool = False) -> tuple[bytes, dict[str, str]]:
    """The same in bytes behind the JSON, and its headers; with ``answers`` they are wanted so too."""
    raw = rows.round(4).tobytes()
    tensor = {
        "name": "rows",
        "shape": list(rows.shape),
        "datatype": "FP64",
        "parameters": {"binary_data_size": len(raw)},
    }
    body = {"inputs": [tensor], "parameters": {"binary_data_output": answers}}
    head = json.dumps(body, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return head + raw, headers


def made_up() -> tuple[np.ndarray, np.ndarray]:
    """float64 (20,000, 30) and the answers, 0 or 1, that a model learns from."""
    x = numbers()
    chance = 1 / (1 + np.exp(-(x[:, 0] + x[:, 1] * x[:, 2] - np.sin(3 * x[:, 3]))))
    return x, (np.random.default_rng(2).random(len(x)) < chance).astype(int)


def make(folder: Path, model: str = "a") -> None:
    """Write a project into ``folder``, and run it.

    Args:
        folder: an empty one.
        model: ``a``: LightGBM over 30 numbers; ``b``: scikit-learn over 20 numbers and 10 texts.
    """
    if model == "a":
        x, y = made_up()
        frame = pl.DataFrame({f"x{place}": x[:, place] for place in range(COLUMNS)})
    else:
        rows, y = data("b")
        frame = pl.DataFrame({name: rows[name].to_list() for name in rows}, nan_to_null=True)
    frame = frame.with_columns(id=pl.Series(np.arange(len(frame))), y=pl.Series(y))
    frame.write_csv(folder / "data.csv")
    (folder / "project.py").write_text(_PROJECT if model == "a" else _PIPELINE)
    subprocess.run([sys.executable, "-m", "nenrin", "run"], cwd=folder, check=True)
