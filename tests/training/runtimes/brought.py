"""A file brought into a project: read, written as an artefact, and asked for every row of a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from nenrin.training.artefact import Artefact, dump
from nenrin.training.columns import RowEncoder, encode
from nenrin.training.declare import Model, import_model
from nenrin.training.imports import Brought, bring
from tests.features.makers import make_dataset

INSTALL = 'pip install "nenrin[{}]"'


def rows(n: int = 300) -> pl.DataFrame:
    """Two columns of numbers, one of them with gaps, and one of texts."""
    random = np.random.default_rng(5)
    a, b = random.normal(size=n), random.normal(size=n)
    return pl.DataFrame(
        {
            "a": a,
            "b": np.where(random.random(n) < 0.1, np.nan, b),
            "c": random.choice(["x", "y", "z"], n),
        }
    )


def pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """The frame as somebody has it in a notebook, with categories."""
    return pd.DataFrame(
        {
            "a": frame["a"].to_numpy(),
            "b": frame["b"].to_numpy(),
            "c": pd.Categorical(frame["c"].to_list()),
        }
    )


def truth(frame: pl.DataFrame) -> np.ndarray:
    """Labels that depend on numbers and texts."""
    return (frame["a"].to_numpy() + (frame["c"] == "y").to_numpy() > 0.3).astype(int)


def declared(path: str, *, trust: bool = False) -> Model:
    """The model in a file of the project's."""
    people = make_dataset("people", key="id")
    return import_model(path, rows=people, label=people.left, trust=trust).named("brought")


def artefact(model: Model, folder: Path, frame: pl.DataFrame, task: str = "binary") -> Artefact:
    """What a project makes of it, written and read back as from a store that is trusted with pickles only."""
    columns = [column.spec for column in encode(frame)]
    data = written(bring(model, folder, columns, task), task)
    assert data == written(bring(model, folder, columns, task), task)
    return Artefact.loads(data, trusted=model.declared.imported.trust)  # type: ignore[union-attr]


def written(brought: Brought, task: str) -> bytes:
    """The bytes of a version."""
    return dump(
        brought.model,
        name="brought",
        where="project.py",
        task=task,
        container=brought.container,
        columns=brought.columns,
        positive=brought.positive,
    )


def agrees(artefact: Artefact, frame: pl.DataFrame, own: np.ndarray, atol: float = 0.0) -> None:
    """The artefact answers as the library did, asked with a frame and row by row."""
    np.testing.assert_allclose(artefact.predict(frame), own, rtol=0, atol=atol)
    dicts = frame.fill_nan(None).to_dicts()
    single = [artefact.predict_rows([row])[0] for row in dicts[:20]]
    np.testing.assert_allclose(single, own[:20], rtol=0, atol=atol or 1e-12)
    assert RowEncoder(artefact.header.columns).encode(dicts[:2])
