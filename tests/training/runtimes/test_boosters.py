"""LightGBM, XGBoost and CatBoost: files of their own, and models that a function returns."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import MissingExtraError, ProjectError
from nenrin.training.artefact import Artefact, describe, dump
from nenrin.training.columns import ColumnSpec, encode
from nenrin.training.imports import bring
from tests.training.runtimes.brought import INSTALL, agrees, artefact, declared, pandas, rows, truth

CATBOOST = {"verbose": 0, "thread_count": 1, "allow_writing_files": False, "iterations": 20}


def lightgbm(kind: str = "Classifier") -> Any:
    import lightgbm as library

    frame = rows()
    model = getattr(library, f"LGBM{kind}")(n_estimators=20, n_jobs=1, verbose=-1)
    return model.fit(pandas(frame), truth(frame))


def xgboost(kind: str = "Classifier") -> Any:
    library = pytest.importorskip("xgboost", reason=INSTALL.format("xgboost"))
    frame = rows()
    model = getattr(library, f"XGB{kind}")(n_estimators=20, n_jobs=1, enable_categorical=True)
    return model.fit(pandas(frame), truth(frame))


def catboost(kind: str = "Classifier") -> Any:
    library = pytest.importorskip("catboost", reason=INSTALL.format("catboost"))
    frame = rows()
    model = getattr(library, f"CatBoost{kind}")(cat_features=["c"], **CATBOOST)
    return model.fit(pandas(frame), truth(frame))


def save(model: Any, path: Path) -> None:
    getattr(model, "booster_", model).save_model(str(path))


FILES = [
    (lightgbm, "model.txt"),
    (xgboost, "model.ubj"),
    (xgboost, "model.json"),
    (catboost, "model.cbm"),
]


@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
@pytest.mark.parametrize(("make", "file"), FILES)
def test_a_file_answers_as_its_library_does(
    tmp_path: Path, make: Any, file: str, kind: str
) -> None:
    model, frame = make(kind), rows()
    save(model, tmp_path / file)
    shuffled = frame.select("c", "b", "a")  # found by name
    task = "binary" if kind == "Classifier" else "regression"
    brought = artefact(declared(file), tmp_path, shuffled, task)
    assert brought.header.format == make.__name__
    assert [column.name for column in brought.header.columns] == ["a", "b", "c"]
    assert any(make.__name__ in name for name in brought.header.libraries)
    own = (
        model.predict_proba(pandas(frame))[:, 1]
        if task == "binary"
        else model.predict(pandas(frame))
    )
    agrees(brought, shuffled, own)


@pytest.mark.parametrize(("make", "file"), FILES[:2])
def test_categories_are_those_of_the_file(tmp_path: Path, make: Any, file: str) -> None:
    model, frame = make(), rows()
    save(model, tmp_path / file)
    brought = artefact(declared(file), tmp_path, frame)
    assert brought.header.columns[2].vocabulary == ("x", "y", "z")
    one = frame.filter(pl.col("c") == "z")  # its only category has place 0 in the request
    agrees(brought, one, model.predict_proba(pandas(frame))[(frame["c"] == "z").to_numpy(), 1])
    missing, unseen = one.with_columns(c=pl.lit(None, pl.String)), one.with_columns(c=pl.lit("new"))
    assert (brought.predict(missing) == brought.predict(unseen)).all()


def test_catboost_bears_missing_and_unseen_texts(tmp_path: Path) -> None:
    model, frame = catboost(), rows()[:40]
    save(model, tmp_path / "model.cbm")
    brought = artefact(declared("model.cbm"), tmp_path, frame)
    given = pandas(frame).assign(c="nan")
    agrees(brought, frame.with_columns(c=pl.lit(None, pl.String)), model.predict_proba(given)[:, 1])


@pytest.mark.parametrize("make", [xgboost, catboost])
@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
def test_what_a_function_returns_is_kept_in_its_own_format(make: Any, kind: str) -> None:
    frame = rows()
    columns = tuple(column.spec for column in encode(frame))
    task = "binary" if kind == "Classifier" else "regression"
    said: dict[str, Any] = {"name": "m", "where": "", "task": task, "columns": columns}
    first, again = (dump(make(kind), container="pandas", **said) for _ in range(2))
    assert first == again  # CatBoost draws an id and notes the instant
    assert describe(first).format == make.__name__
    model = make(kind)
    own = (
        model.predict_proba(pandas(frame))[:, 1]
        if task == "binary"
        else model.predict(pandas(frame))
    )
    agrees(Artefact.loads(first), frame, own)


def test_an_objective_of_ones_own_stays_a_pickle() -> None:
    library = pytest.importorskip("xgboost")
    X = rows().select("a", "b").to_numpy()

    def squared(y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return p - y, np.ones(len(y))

    model = library.XGBRegressor(n_estimators=3, objective=squared).fit(X, X[:, 0])
    columns = tuple(ColumnSpec(name=name, kind="number") for name in "ab")
    data = dump(model, name="m", where="", task="regression", columns=columns, container="numpy")
    assert describe(data).format == "pickle"


@pytest.mark.parametrize(("make", "file"), [FILES[0], FILES[1], FILES[3]])
def test_a_library_that_is_not_there_is_named_with_its_install_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any, file: str
) -> None:
    save(make(), tmp_path / file)
    monkeypatch.setitem(sys.modules, make.__name__, None)
    with pytest.raises(MissingExtraError, match=make.__name__) as caught:
        artefact(declared(file), tmp_path, rows())
    assert caught.value.hint == INSTALL.format(make.__name__)


@pytest.mark.parametrize(("make", "file"), [FILES[0], FILES[1]])
def test_texts_and_categories_must_be_as_many(tmp_path: Path, make: Any, file: str) -> None:
    save(make(), tmp_path / file)
    numbers = [ColumnSpec(name=name, kind="number") for name in "abc"]
    with pytest.raises(ProjectError, match="fitted on 1 categories, and rows have 0 texts"):
        bring(declared(file), tmp_path, numbers, "binary")


@pytest.mark.parametrize("head", [b"tree\nversion=v4\njunk", b'{"learner": 3}', b"CBM1junk"])
def test_a_broken_file_is_said_to_be_one(tmp_path: Path, head: bytes) -> None:
    pytest.importorskip("xgboost")
    pytest.importorskip("catboost")
    (tmp_path / "model").write_bytes(head)
    with pytest.raises(ProjectError, match="is no model that") as caught:
        artefact(declared("model"), tmp_path, rows())
    assert caught.value.where.endswith("brought.py:" + caught.value.where.rpartition(":")[2])
