"""Fitted models that a project brings along."""

from __future__ import annotations

import pickle
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from nenrin.core.errors import MissingExtraError, ProjectError, RefusedError
from nenrin.pipelines.executor import WorkerContext
from nenrin.training.artefact import describe
from nenrin.training.declare import Imported, ModelSpec
from nenrin.training.fit import ScoreJob, fit, open_table, score
from nenrin.training.imports import read_imported
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
    assert hasattr(read_imported(_spec(path.name, trust=True), tmp_path), "predict")


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
