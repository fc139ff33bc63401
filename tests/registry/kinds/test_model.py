"""Models: what their artefact says, and what it predicts."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from nenrin.core.errors import RequestError
from nenrin.registry.kinds import OpenContext, RowAnswerer
from nenrin.registry.kinds.model import ModelKind
from nenrin.testing.stores import MemoryStore
from nenrin.training.artefact import dump
from nenrin.training.columns import ColumnSpec


@pytest.fixture(scope="module")
def content() -> bytes:
    x = np.linspace(-1, 1, 40).reshape(-1, 1)
    return dump(
        LogisticRegression().fit(x, (x[:, 0] > 0).astype(float)),
        name="delay",
        where="project.py:3",
        task="binary",
        container="numpy",
        columns=(ColumnSpec(name="x", kind="number"),),
    )


def test_describes_the_artefact(content: bytes) -> None:
    facts = ModelKind().describe(content)
    assert facts["columns"] == {"x": "number"}
    assert (facts["task"], facts["model"], facts["container"]) == ("binary", "delay", "numpy")
    assert "scikit-learn" in facts["libraries"]


def test_predicts_frames_and_rows_alike(content: bytes) -> None:
    answerer = ModelKind().open(content, OpenContext(store=MemoryStore()))
    xs = [-0.5, 0.0, 2.0]
    of_frame = answerer.answer(pl.DataFrame({"x": xs}))
    of_rows = RowAnswerer(answerer).answer_rows([{"x": x} for x in xs])
    assert np.array_equal(of_frame, of_rows)
    assert of_frame[0] < 0.5 < of_frame[2]


def test_refuses_what_is_no_model() -> None:
    with pytest.raises(RequestError, match="no model"):
        ModelKind().describe(b"something else")
