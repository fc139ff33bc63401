"""ONNX: one matrix or one input a column, tensors or maps as answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import MissingExtraError, ProjectError, RequestError
from tests.training.runtimes.brought import INSTALL, agrees, artefact, declared, rows, truth

pytest.importorskip("onnxruntime", reason=INSTALL.format("onnx"))
pytest.importorskip("skl2onnx", reason="pip install skl2onnx")


def write(folder: Path, model: Any, types: list[Any], **options: Any) -> None:
    from skl2onnx import to_onnx

    exported = to_onnx(model, initial_types=types, options=options or None)
    (folder / "model.onnx").write_bytes(exported.SerializeToString())


def columns() -> list[Any]:
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    return [
        ("c", StringTensorType([None, 1])),
        ("a", FloatTensorType([None, 1])),
        ("b", FloatTensorType([None, 1])),
    ]


def matrix(double: bool = True) -> list[Any]:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    return [("X", (DoubleTensorType if double else FloatTensorType)([None, 2]))]


def numbers() -> pl.DataFrame:
    return rows().select("a", "b").fill_nan(0.0)


def pipeline(frame: pl.DataFrame) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["c"]), remainder="passthrough"
    )
    given = frame.select("c", "a", "b").to_pandas()
    return make_pipeline(encoder, LogisticRegression()).fit(given, truth(frame))


def test_one_input_a_column_is_found_by_name(tmp_path: Path) -> None:
    frame = rows().with_columns(pl.col("b").fill_nan(0.0), other=pl.lit(1.0))
    model = pipeline(frame)
    write(tmp_path, model, columns(), zipmap=False)
    brought = artefact(declared("model.onnx"), tmp_path, frame)
    assert brought.header.format == "onnx"
    assert [column.name for column in brought.header.columns] == ["c", "a", "b"]
    agrees(brought, frame, model.predict_proba(frame.select("c", "a", "b").to_pandas())[:, 1], 1e-6)
    unseen = frame[:3].with_columns(c=pl.lit("new"))
    own = model.predict_proba(unseen.select("c", "a", "b").to_pandas())[:, 1]
    agrees(brought, unseen, own, 1e-6)


@pytest.mark.parametrize("zipmap", [True, False])
def test_a_matrix_and_probabilities(tmp_path: Path, zipmap: bool) -> None:
    from sklearn.linear_model import LogisticRegression

    frame = numbers()
    X = frame.to_numpy()
    model = LogisticRegression().fit(X, truth(rows()))
    write(tmp_path, model, matrix(double=not zipmap), zipmap=zipmap)
    agrees(
        artefact(declared("model.onnx"), tmp_path, frame), frame, model.predict_proba(X)[:, 1], 1e-6
    )


def test_named_classes_are_asked_for_by_name(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    frame = numbers()
    X = frame.to_numpy()
    model = LogisticRegression().fit(X, np.where(truth(rows()) == 1, "in", "out"))
    write(tmp_path, model, matrix(double=False), zipmap=True)
    with pytest.raises(ProjectError, match="classes of brought are 'in', 'out'") as caught:
        artefact(declared("model.onnx"), tmp_path, frame)
    assert "left == 'out'" in caught.value.hint
    named = declared("model.onnx")
    named.label = named.label == "in"  # type: ignore[assignment]
    agrees(artefact(named, tmp_path, frame), frame, model.predict_proba(X)[:, 0], 1e-6)


def test_a_regression(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    frame = numbers()
    X = frame.to_numpy()
    model = LinearRegression().fit(X, X[:, 0] * 3)
    write(tmp_path, model, matrix())
    brought = artefact(declared("model.onnx"), tmp_path, frame, "regression")
    agrees(brought, frame, model.predict(X), 1e-12)
    with pytest.raises(ProjectError, match="was fitted on 2 columns; rows have 3"):
        artefact(declared("model.onnx"), tmp_path, frame.with_columns(d=1.0))
    with pytest.raises(ProjectError, match="takes numbers, and c is text"):
        artefact(declared("model.onnx"), tmp_path, rows().select("a", "c"))


def test_a_missing_whole_number_is_the_requests_fault(tmp_path: Path) -> None:
    from skl2onnx.common.data_types import Int64TensorType
    from sklearn.linear_model import LinearRegression

    frame = pl.DataFrame({"a": [1, 2, 3]})
    model = LinearRegression().fit(frame.to_numpy(), [1.0, 2.0, 3.5])
    write(tmp_path, model, [("a", Int64TensorType([None, 1]))])
    brought = artefact(declared("model.onnx"), tmp_path, frame, "regression")
    agrees(brought, frame, model.predict(frame.to_numpy()), 1e-5)
    with pytest.raises(RequestError, match="a is missing, and the ONNX model takes"):
        brought.predict_rows([{"a": None}])


def test_what_is_no_onnx_and_what_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"junk")
    with pytest.raises(ProjectError, match="no model that can be read"):
        artefact(declared("model.onnx"), tmp_path, rows())
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match="onnxruntime is not installed") as caught:
        artefact(declared("model.onnx"), tmp_path, rows())
    assert caught.value.hint == INSTALL.format("onnx")
