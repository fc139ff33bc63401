"""Model artefacts, in every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest

from nenrin.backends.compute.spawn import SpawnExecutor
from nenrin.core.errors import IntegrityError, RefusedError, RequestError, StepError
from nenrin.pipelines.executor import WorkerContext
from nenrin.training.artefact import Artefact, describe, dump
from nenrin.training.columns import ColumnSpec, encode
from nenrin.training.fit import fit
from nenrin.training.formats import Skops
from nenrin.training.rows import Rows
from tests.training.example import fit_each, frames, job_of

FORMATS = {
    "boosted": ("lightgbm", "pandas"),
    "minutes": ("lightgbm", "pandas"),
    "histogram": ("skops", "pandas"),
    "own": ("pickle", "numpy"),
    "saved": ("pickle", "numpy"),
    "mean": ("pickle", "polars"),
}


def _data(context: WorkerContext, folder: Path, name: str) -> bytes:
    return context.store.get(fit(context, job_of(context, folder, name, sanity=None)).model)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_model_is_kept_in_its_format(context: WorkerContext, folder: Path, name: str) -> None:
    header = describe(_data(context, folder, name))
    assert (header.format, header.container) == FORMATS[name]
    assert [column.name for column in header.columns] == ["temp", "distance", "far", "carrier"]
    assert header.columns[3].vocabulary == ("AA", "B6", "UA")
    assert header.model == name
    assert header.where == "project.py"
    assert "numpy" in header.libraries


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_frames_and_rows_are_predicted_alike(
    context: WorkerContext, folder: Path, name: str
) -> None:
    artefact = Artefact.loads(_data(context, folder, name), trusted=True)
    features = frames()[2].head(50).with_columns(extra=pl.lit("not known to the model"))
    p = artefact.predict(features)
    assert p.dtype == np.float64
    assert p.shape == (50,)
    np.testing.assert_array_equal(artefact.predict_rows(features.to_dicts()), p)
    np.testing.assert_array_equal(artefact.predict(features.select(reversed(features.columns))), p)


def test_lightgbm_predicts_from_numbers_what_it_does_from_its_frame(
    context: WorkerContext, folder: Path
) -> None:
    from lightgbm import LGBMClassifier

    kept: list[Any] = []
    original = LGBMClassifier.fit

    def remember(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        kept[:] = [self, X]
        return original(self, X, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LGBMClassifier, "fit", remember)
        job = job_of(context, folder, "boosted")
        artefact = Artefact.loads(context.store.get(fit(context, job).model))
    model, X = kept
    unseen = pl.DataFrame(
        {
            "temp": [3.0, None],
            "distance": [700, None],
            "far": [False, None],
            "carrier": ["UA", "XX"],
        }
    )
    frame = X.head(2).copy()
    frame["temp"] = [3.0, np.nan]
    frame["distance"] = [700.0, np.nan]
    frame["far"] = np.array([0.0, np.nan], dtype=np.float32)
    frame["carrier"] = frame["carrier"].cat.set_categories(["AA", "B6", "UA"])
    frame.loc[frame.index[0], "carrier"] = "UA"
    frame.loc[frame.index[1], "carrier"] = None
    np.testing.assert_array_equal(artefact.predict(unseen), model.predict_proba(frame)[:, 1])


def test_a_request_without_a_column_or_of_another_kind_is_refused(
    context: WorkerContext, folder: Path
) -> None:
    artefact = Artefact.loads(_data(context, folder, "boosted"))
    with pytest.raises(RequestError, match="lack carrier"):
        artefact.predict(frames()[2].drop("carrier"))
    with pytest.raises(RequestError, match="temp is a number"):
        artefact.predict_rows([{"temp": "cold"}])
    assert artefact.predict_rows([]).shape == (0,)


def test_a_pickle_is_read_only_by_those_who_trust_it(context: WorkerContext, folder: Path) -> None:
    data = _data(context, folder, "mean")
    with pytest.raises(RefusedError, match="reading it runs code"):
        Artefact.loads(data)
    assert Artefact.loads(data, trusted=True).header.format == "pickle"


def test_other_bytes_and_newer_formats_are_refused(context: WorkerContext, folder: Path) -> None:
    with pytest.raises(IntegrityError):
        Artefact.loads(b"something else")
    header = describe(_data(context, folder, "boosted"))
    newer = msgspec.msgpack.encode(msgspec.structs.replace(header, format="newer"))
    data = b"nenrin-model-1\n\0" + len(newer).to_bytes(8, "little") + newer
    with pytest.raises(RefusedError, match="'newer'"):
        Artefact.loads(data)


ODD = ["size [cm]", "a:b", 'a"b', "a{b}", "a\nb", "a, b", "a b", "a_b", "100%25"]


@pytest.mark.parametrize("learner", ["lightgbm", "sklearn"])
def test_features_may_have_any_name(learner: str) -> None:
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier

    random = np.random.default_rng(0)
    frame = pl.DataFrame({name: random.random(200) for name in ODD})
    columns, y = encode(frame), (random.random(200) < frame[ODD[0]].to_numpy()).astype(int)
    rows = Rows(columns, np.arange(200), y, np.ones(200))
    model = (
        LGBMClassifier(n_estimators=5, n_jobs=1, verbosity=-1)
        if learner == "lightgbm"
        else HistGradientBoostingClassifier(max_iter=5)
    ).fit(rows.pandas(), rows.y)
    specs = tuple(column.spec for column in columns)
    given = {"name": "guess", "where": "project.py:3", "task": "binary", "columns": specs}
    data = dump(model, container="pandas", labelled=True, **given)
    artefact = Artefact.loads(data, trusted=True)
    assert [column.name for column in artefact.header.columns] == ODD
    expected = model.predict_proba(rows.pandas())[:, 1]
    np.testing.assert_array_equal(artefact.predict(frame), expected)
    np.testing.assert_array_equal(artefact.predict_rows(frame.to_dicts()), expected)


def test_a_model_fitted_on_the_names_themselves_is_given_them() -> None:
    from sklearn.linear_model import LogisticRegression

    frame = pl.DataFrame({"size [cm]": [0.0, 1.0, 2.0, 3.0]})
    specs = tuple(column.spec for column in encode(frame))
    model = LogisticRegression().fit(frame.to_pandas(), [0, 0, 1, 1])
    given = {"name": "guess", "where": "project.py:3", "task": "binary", "columns": specs}
    artefact = Artefact.loads(dump(model, container="pandas", **given), trusted=True)
    expected = model.predict_proba(frame.to_pandas())[:, 1]
    np.testing.assert_array_equal(artefact.predict(frame), expected)


class _Fixed:
    def __init__(self, answer: Any, classes: list[int] | None = None) -> None:
        self.answer = answer
        if classes is not None:
            self.classes_ = classes
            self.predict_proba = self.predict

    def predict(self, X: np.ndarray) -> Any:
        return self.answer


class _Storage:
    """Says whether pandas keeps the texts that it makes itself."""

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return np.full(len(X), pd.Series(["a"]).dtype.storage == "python")  # type: ignore[union-attr]


def _keep(model: Any, task: str = "binary", container: str = "numpy") -> Artefact:
    data = dump(
        model,
        name="guess",
        where="project.py:3",
        task=task,
        container=container,
        columns=(ColumnSpec(name="x", kind="number"),),
    )
    return Artefact.loads(data, trusted=True)


@pytest.mark.parametrize(
    ("answer", "classes", "wanted"),
    [
        ([[0.2, 0.8], [0.7, 0.3]], [0, 1], [0.8, 0.3]),
        ([[0.8, 0.2], [0.3, 0.7]], [1, 0], [0.8, 0.3]),
        ([[1.0], [1.0]], [0], [0.0, 0.0]),
        ([[1.0], [1.0]], [1], [1.0, 1.0]),
        ([0.8, 0.3], None, [0.8, 0.3]),
        ([[0.8], [0.3]], None, [0.8, 0.3]),
    ],
)
def test_binary_models_give_the_probability_of_the_positive_class(
    answer: Any, classes: list[int] | None, wanted: list[float]
) -> None:
    p = _keep(_Fixed(answer, classes)).predict(pl.DataFrame({"x": [1.0, 2.0]}))
    assert p.tolist() == wanted


@pytest.mark.parametrize(("container", "own"), [("pandas", 1.0), ("polars", 0.0)])
def test_pandas_keeps_texts_itself_while_it_is_asked(container: str, own: float) -> None:
    before = pd.get_option("mode.string_storage")
    with pd.option_context("mode.string_storage", "pyarrow"):
        model = _keep(_Storage(), container=container)
        assert model.predict(pl.DataFrame({"x": [1.0]})).tolist() == [own]
        assert pd.get_option("mode.string_storage") == "pyarrow"
    assert pd.get_option("mode.string_storage") == before


@pytest.mark.parametrize("answer", [[0.5], [[0.1, 0.9]], None, "yes", ["a", "b"]])
def test_anything_but_a_number_a_row_is_refused(answer: Any) -> None:
    with pytest.raises(StepError, match="guess predicted a") as caught:
        _keep(_Fixed(answer), "regression").predict(pl.DataFrame({"x": [1.0, 2.0]}))
    assert caught.value.where == "project.py:3"


def test_what_cannot_be_kept_says_how_it_could() -> None:
    model = _Fixed(1.0)
    model.lock = (each for each in ())  # type: ignore[attr-defined]
    with pytest.raises(StepError, match="cannot be kept") as caught:
        _keep(model)
    assert "save=" in caught.value.hint


def _estimators() -> list[Any]:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return [
        LogisticRegression(),
        make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
        RandomForestClassifier(n_estimators=3, random_state=0),
        HistGradientBoostingClassifier(max_iter=3),
        KNeighborsClassifier(),
        MLPClassifier((3,), solver="adam", max_iter=1000, tol=0.1, random_state=0),
        CalibratedClassifierCV(LogisticRegression(), cv=2),
    ]


@pytest.mark.parametrize("model", _estimators(), ids=lambda model: type(model).__name__)
def test_scikit_learns_models_come_back_from_skops_as_they_were(model: Any) -> None:
    X = np.random.default_rng(3).normal(size=(60, 1))
    y = (X[:, 0] > 0.2).astype(np.int64)
    artefact = _keep(model.fit(X, y))
    assert artefact.header.format == "skops"
    p = artefact.predict(pl.DataFrame({"x": X[:, 0]}))
    np.testing.assert_array_equal(p, model.predict_proba(X)[:, 1])


def test_skops_takes_only_what_somebody_vouches_for() -> None:
    from sklearn.preprocessing import FunctionTransformer

    assert not Skops().takes(FunctionTransformer(lambda x: x), (), "numpy")
    assert not Skops().takes(FunctionTransformer(np.testing.rundocs), (), "numpy")
    assert not Skops().takes(object(), (), "numpy")


def test_equal_models_have_equal_bytes_in_every_process(
    two_workers: SpawnExecutor, folder: Path
) -> None:
    """Each worker has a hash seed of its own; one fits in the other order."""
    names = [*FORMATS, "random_answer"]
    orders = (names, names[::-1])
    apart = [two_workers.submit(fit_each, str(folder), order) for order in orders]
    (one, first), (other, second) = [future.result() for future in apart]
    assert one != other
    assert first == second
    assert len(set(first.values())) == len(names)
