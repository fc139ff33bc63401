"""MLflow's model folders, written by hand as MLflow writes them: its own library is not needed."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nenrin.core.errors import MissingExtraError, ProjectError
from tests.training.runtimes.brought import INSTALL, agrees, artefact, declared, rows, truth


def numbers() -> Any:
    return rows().select("a", "b").fill_nan(0.0)


def folder(path: Path, flavours: dict[str, Any], *names: str) -> Path:
    """A model folder with a signature."""
    made = path / "model"
    made.mkdir()
    said: dict[str, Any] = {"flavors": {**flavours, "python_function": {"loader_module": "m"}}}
    if names:
        inputs = [{"type": "double", "name": name, "required": True} for name in names]
        said["signature"] = {"inputs": json.dumps(inputs), "outputs": None, "params": None}
    (made / "MLmodel").write_text(yaml.safe_dump(said))
    return made


def test_a_boosters_own_file_is_read_with_the_signatures_names(tmp_path: Path) -> None:
    from lightgbm import LGBMClassifier

    X = numbers().to_numpy()
    model = LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(X, truth(rows()))
    made = folder(tmp_path, {"lightgbm": {"data": "model.lgb"}}, "b", "a")
    model.booster_.save_model(str(made / "model.lgb"))
    frame = numbers().select(b="a", a="b", other="a")  # the signature's first column is b
    brought = artefact(declared("model"), tmp_path, frame)
    assert brought.header.format == "lightgbm"
    assert [column.name for column in brought.header.columns] == ["b", "a"]
    agrees(brought, frame, model.predict_proba(X)[:, 1])
    with pytest.raises(ProjectError, match="fitted on b, a; rows have no b"):
        artefact(declared("model"), tmp_path, numbers().select("a"))


@pytest.mark.parametrize("safe", [True, False])
def test_scikit_learn_as_skops_or_as_a_pickle_that_wants_trust(tmp_path: Path, safe: bool) -> None:
    import skops.io
    from sklearn.linear_model import LogisticRegression

    X = numbers().to_pandas()
    model = LogisticRegression().fit(X, truth(rows()))
    made = folder(tmp_path, {"sklearn": {"pickled_model": "model.pkl"}}, "a", "b")
    (made / "model.pkl").write_bytes(skops.io.dumps(model) if safe else pickle.dumps(model))
    if not safe:
        with pytest.raises(ProjectError, match="can run code"):
            artefact(declared("model"), tmp_path, numbers())
    brought = artefact(declared("model", trust=not safe), tmp_path, numbers())
    agrees(brought, numbers(), model.predict_proba(X)[:, 1])


def test_other_flavours_want_trust_and_mlflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path, {"prophet": {"data": "x"}, "onnx": {"data": "../../outside.onnx"}}, "a", "b")
    (tmp_path.parent / "outside.onnx").write_bytes(b"x")
    with pytest.raises(ProjectError, match="can run code"):
        artefact(declared("model"), tmp_path, numbers())
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match="mlflow is not installed") as caught:
        artefact(declared("model", trust=True), tmp_path, numbers())
    assert caught.value.hint == INSTALL.format("mlflow")


@pytest.mark.filterwarnings("ignore")  # MLflow warns of its own type hints when it is imported
def test_a_pyfunc_answers_as_mlflow_does(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason=INSTALL.format("mlflow"))

    class Scaled(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input["b"] * 2 - model_input["a"]

    example = numbers().to_pandas()
    signature = mlflow.models.infer_signature(example, np.zeros(len(example)))
    mlflow.pyfunc.save_model(
        tmp_path / "model", python_model=Scaled(), signature=signature, pip_requirements=[]
    )
    frame = numbers().select("b", "a")
    brought = artefact(declared("model", trust=True), tmp_path, frame, "regression")
    assert brought.header.format == "mlflow"
    agrees(brought, frame, frame["b"].to_numpy() * 2 - frame["a"].to_numpy())


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(ProjectError, match="without MLmodel"):
        artefact(declared("model"), tmp_path, numbers())
