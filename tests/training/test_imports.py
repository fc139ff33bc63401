"""Fitted models that a project brings along."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest

from nenrin.core.errors import MissingExtraError, ProjectError, RefusedError
from nenrin.pipelines.executor import WorkerContext
from nenrin.training.artefact import Artefact, describe, dump
from nenrin.training.columns import ColumnSpec, RowEncoder, encode_as
from nenrin.training.containers import to_pandas, to_polars
from nenrin.training.declare import Imported, ModelSpec, import_model
from nenrin.training.fit import ScoreJob, fit, open_table, score
from nenrin.training.imports import Brought, bring, read_imported
from tests.features.makers import make_dataset
from tests.training.example import frames, job_of, write_project


def _linear() -> object:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rows, labels, features = frames()
    joined = rows.select("id").hstack(features).join(labels, on="id", maintain_order="left")
    frame = joined.select("temp", "distance", "far", "carrier").to_pandas()
    prepared = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["carrier"]), remainder=SimpleImputer()
    )
    frame["carrier"] = pd.Categorical(frame["carrier"])
    frame["far"] = frame["far"].astype("float32")
    return make_pipeline(prepared, LinearRegression()).fit(frame, joined["delay"].to_numpy())


def _spec(path: str, *, trust: bool = False) -> ModelSpec:
    return ModelSpec(
        name="brought",
        imported=Imported(path=path, container="pandas", trust=trust),
        where="project.py:9",
    )


def test_a_skops_file_is_registered_without_training(
    context: WorkerContext, tmp_path: Path
) -> None:
    from skops.io import dump

    folder = write_project(tmp_path / "brings")
    dump(_linear(), folder / "brought.skops")
    job = job_of(context, folder, "brought")
    weighted = msgspec.structs.replace(job.selection, half_life=10)
    result = fit(context, msgspec.structs.replace(job, selection=weighted))
    assert describe(context.store.get(result.model)).container == "pandas"
    assert result.fit_cpu == 0
    table = open_table(context, job.table)
    p = score(context, ScoreJob(model=result.model, table=job.table, lo=0, hi=len(table))).p
    labelled = ~np.isnan(table.y)
    assert np.corrcoef(p[labelled], table.y[labelled])[0, 1] > 0.2


@pytest.mark.parametrize("suffix", ["pkl", "joblib", "skops"])
def test_trusted_files_of_any_kind_are_read(tmp_path: Path, suffix: str) -> None:
    import joblib
    from skops.io import dumps

    model = _linear()
    path = tmp_path / f"model.{suffix}"
    if suffix == "joblib":
        joblib.dump(model, path)
    else:
        path.write_bytes(pickle.dumps(model) if suffix == "pkl" else dumps(model))
    assert hasattr(read_imported(_spec(path.name, trust=True), tmp_path).model, "predict")


def test_a_skops_file_with_strangers_in_it_wants_trust(tmp_path: Path) -> None:
    from sklearn.preprocessing import FunctionTransformer
    from skops.io import dump

    dump(FunctionTransformer(_linear), tmp_path / "model.skops")
    with pytest.raises(RefusedError, match="nobody vouches for"):
        read_imported(_spec("model.skops"), tmp_path)


def test_files_that_are_absent_or_no_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="is not there") as caught:
        read_imported(_spec("model.skops"), tmp_path)
    assert caught.value.where == "project.py:9"
    (tmp_path / "model.pkl").write_bytes(b"not a pickle")
    with pytest.raises(ProjectError, match="no model that can be read"):
        read_imported(_spec("model.pkl", trust=True), tmp_path)
    (tmp_path / "model.skops").write_bytes(b"not an archive")
    with pytest.raises(ProjectError, match="no model that can be read"):
        read_imported(_spec("model.skops"), tmp_path)
    (tmp_path / "model.pkl").write_bytes(b"cnot_a_module\nModel\n.")
    with pytest.raises(MissingExtraError, match="not_a_module"):
        read_imported(_spec("model.pkl", trust=True), tmp_path)


def _specs(*names: str, text: str = "") -> list[ColumnSpec]:
    numbers = [ColumnSpec(name=name, kind="number") for name in names]
    return [*numbers, *([ColumnSpec(name=text, kind="string", vocabulary=("a",))] if text else [])]


def _brought(folder: Path, fitted: object, label: Any, columns: list[ColumnSpec]) -> Brought:
    with (folder / "model.pkl").open("wb") as file:
        pickle.dump(fitted, file)
    rows = make_dataset("people", key="id")
    declared = import_model("model.pkl", rows=rows, label=label(rows), trust=True).named("brought")
    return bring(declared, folder, columns, "binary")


def _classifier(classes: list[Any], columns: list[str] | None = None) -> object:
    from sklearn.linear_model import LogisticRegression

    X = np.arange(40.0).reshape(-1, 2)
    y = [classes[place % len(classes)] for place in range(20)]
    return LogisticRegression().fit(X if columns is None else pd.DataFrame(X, columns=columns), y)


@pytest.mark.parametrize(
    ("classes", "label", "positive"),
    [
        ([0, 1], lambda rows: rows.left, None),
        ([0, 1], lambda rows: rows.left == 0, None),  # fitted on what the label says, or told so
        ([False, True], lambda rows: rows.left == "Yes", None),
        (["No", "Yes"], lambda rows: rows.left == "Yes", "Yes"),
        (["No", "Yes"], lambda rows: rows.left == "No", "No"),
        ([1, 2], lambda rows: rows.left == 2, 2),
        ([1, 2], lambda rows: rows.left == 1, None),
        ([0, 1, 2], lambda rows: rows.left == 2, 2),
        ([0.0, 1.0], lambda rows: rows.left > 0.5, None),
    ],
)
def test_the_positive_class_is_the_one_that_the_label_names(
    tmp_path: Path, classes: list[Any], label: Any, positive: Any
) -> None:
    assert _brought(tmp_path, _classifier(classes), label, _specs("x", "z")).positive == positive


def test_a_class_that_nobody_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="classes of brought are 'a', 'b'") as caught:
        _brought(tmp_path, _classifier(["a", "b"]), lambda rows: rows.left, _specs("x", "z"))
    assert "left == 'b'" in caught.value.hint


def test_columns_are_those_that_it_was_fitted_on(tmp_path: Path) -> None:
    fitted = _classifier([0, 1], ["z", "x"])
    brought = _brought(tmp_path, fitted, lambda rows: rows.left, _specs("x", "y", "z", text="t"))
    assert [column.name for column in brought.columns] == ["z", "x"]
    with pytest.raises(ProjectError, match="was fitted on z, x; rows have no x"):
        _brought(tmp_path, fitted, lambda rows: rows.left, _specs("y", "z"))
    with pytest.raises(ProjectError, match="was fitted on 2 columns; rows have 3"):
        _brought(tmp_path, _classifier([0, 1]), lambda rows: rows.left, _specs("x", "y", "z"))


def test_texts_reach_it_as_they_are(tmp_path: Path) -> None:
    fitted = _classifier([0, 1], ["t", "x"])
    brought = _brought(tmp_path, fitted, lambda rows: rows.left, _specs("x", text="t"))
    encoder = RowEncoder(brought.columns)
    text, _ = encoder.encode([{"t": "b", "x": 1.0}, {"t": None}, {"t": "a"}])
    assert to_pandas([text])["t"].to_list() == ["b", np.nan, "a"]
    frame = pl.DataFrame({"x": [1.0, 2.0], "t": ["new", None]})
    assert to_polars(encode_as(brought.columns, frame))["t"].to_list() == ["new", None]


def test_a_booster_with_named_classes_keeps_their_names(tmp_path: Path) -> None:
    from lightgbm import LGBMClassifier

    X = np.random.default_rng(1).normal(size=(400, 2))
    y = np.where(X[:, 0] > 0, "down", "up")
    fitted = LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(X, y)
    brought = _brought(tmp_path, fitted, lambda rows: rows.way == "down", _specs("x", "z"))
    data = dump(
        brought.model,
        name="brought",
        where="project.py",
        task="binary",
        container="numpy",
        columns=brought.columns,
        positive=brought.positive,
    )
    p = Artefact.loads(data, trusted=True).predict(pl.DataFrame(X, schema=["x", "z"]))
    assert ((p > 0.5) == (y == "down")).all()
