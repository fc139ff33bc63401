"""Fitted models of every library that is compiled, over one small frame with all kinds of columns."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.training.artefact import Artefact, dump
from nenrin.training.columns import FeatureColumn, encode
from nenrin.training.compiling import kernel
from nenrin.training.compiling.compiled import Compiled, form_of
from nenrin.training.compiling.reading import Readout, read
from nenrin.training.containers import BUILD

ROWS = 600
NUMBERS = ("amount", "step", "visits", "member")
ALL = (*NUMBERS, "plan", "town")


@functools.cache
def frame() -> pl.DataFrame:
    """Numbers, whole numbers, truth values and texts; a tenth of each is missing."""
    rng = np.random.default_rng(7)
    whole = pl.DataFrame(
        {
            "amount": rng.normal(size=ROWS),
            "step": rng.normal(size=ROWS).round(1),
            "visits": rng.integers(0, 20, ROWS),
            "member": rng.random(ROWS) > 0.5,
            "plan": np.array(list("abcdefgh"))[rng.integers(0, 8, ROWS)],
            "town": np.array(["x", "", "z"])[rng.integers(0, 3, ROWS)],
        }
    )
    gone = [pl.Series(rng.random(ROWS) < 0.1) for _ in whole.columns]
    return whole.with_columns(
        pl.when(missing).then(None).otherwise(pl.col(name)).alias(name)
        for name, missing in zip(whole.columns, gone, strict=True)
    )


def labels() -> np.ndarray:
    """Three classes that depend on numbers and texts alike."""
    given, rng = frame(), np.random.default_rng(8)
    amount = given["amount"].fill_null(0).to_numpy()
    visits = given["visits"].fill_null(0).to_numpy()
    score = amount + visits / 10 + (given["plan"] == "c").fill_null(value=False).to_numpy()
    return np.digitize(score + rng.normal(size=ROWS) * 0.5, [0.5, 1.5])


def columns(names: tuple[str, ...], *, filled: bool = False) -> tuple[FeatureColumn, ...]:
    """The encoded columns of these names; ``filled``: no number is missing."""
    given = frame().select(names)
    if filled:
        numbers = [name for name in names if given[name].dtype != pl.String]
        given = given.with_columns(pl.col(name).fill_null(0) for name in numbers)
    return encode(given)


def fitted(
    model: Any,
    names: tuple[str, ...] = ALL,
    *,
    container: str = "pandas",
    task: str = "binary",
    filled: bool = False,
    positive: Any = None,
) -> Artefact:
    """The artefact of a model that is fitted here; ``positive`` makes three classes of it."""
    given = columns(names, filled=filled)
    y = labels() if positive is not None else labels() > 0
    y = y * 10.5 if task == "regression" else y.astype(int)
    model.fit(BUILD[container](given), y)
    data = dump(
        model,
        name="model",
        where="project.py:1",
        task=task,
        container=container,
        columns=tuple(column.spec for column in given),
        positive=positive,
    )
    return Artefact.loads(data, trusted=True)


def library() -> Any:
    """The C function's library; the test is skipped where there is no compiler."""
    built = kernel.built()
    if built is None:
        pytest.skip("no C compiler")
    return kernel.opened(built)


def compiled(artefact: Artefact, refused: np.ndarray | None = None) -> Compiled:
    """Its compiled form."""
    return laid_out(read(artefact), len(artefact.header.columns), refused)


def laid_out(readout: Readout, width: int, refused: np.ndarray | None = None) -> Compiled:
    """The compiled form of what was read."""
    nothing = np.zeros(width, np.uint8)
    form = form_of(readout, nothing if refused is None else refused)
    return Compiled(form.dumps(), library())


Make = Callable[[], Artefact]


def _boosters() -> dict[str, Make]:
    import lightgbm as lgb
    import xgboost as xgb

    def light(**given: Any) -> Any:
        return lgb.LGBMClassifier(n_estimators=8, num_leaves=15, verbose=-1, n_jobs=1, **given)

    def lights(**given: Any) -> Any:
        return lgb.LGBMRegressor(n_estimators=8, num_leaves=15, verbose=-1, n_jobs=1, **given)

    def xg(kind: Any = xgb.XGBClassifier, **given: Any) -> Any:
        return kind(n_estimators=8, max_depth=4, n_jobs=1, **given)

    return {
        "lightgbm": lambda: fitted(light()),
        "lightgbm zero": lambda: fitted(light(zero_as_missing=True)),
        "lightgbm one leaf": lambda: fitted(light(min_child_samples=10_000), NUMBERS),
        "lightgbm dart": lambda: fitted(light(boosting_type="dart"), NUMBERS),
        "lightgbm regression": lambda: fitted(lights(), task="regression"),
        "lightgbm poisson": lambda: fitted(lights(objective="poisson"), task="regression"),
        "lightgbm of three": lambda: fitted(light(), NUMBERS, positive=2),
        "xgboost": lambda: fitted(xg(), NUMBERS),
        "xgboost categories": lambda: fitted(xg(enable_categorical=True)),
        "xgboost one by one": lambda: fitted(xg(enable_categorical=True, max_cat_to_onehot=9)),
        "xgboost regression": lambda: fitted(xg(xgb.XGBRegressor), NUMBERS, task="regression"),
        "xgboost poisson": lambda: fitted(
            xg(xgb.XGBRegressor, objective="count:poisson"), NUMBERS, task="regression"
        ),
        "xgboost of three": lambda: fitted(xg(), NUMBERS, positive=2),
        "xgboost numpy": lambda: fitted(xg(), NUMBERS, container="numpy"),
    }


def _ensembles() -> dict[str, Make]:
    from sklearn import ensemble
    from sklearn.tree import DecisionTreeClassifier

    def histograms(**given: Any) -> Any:
        return ensemble.HistGradientBoostingClassifier(max_iter=8, **given)

    return {
        "histograms": lambda: fitted(histograms(), NUMBERS),
        "histograms categories": lambda: fitted(histograms()),
        "histograms regression": lambda: fitted(
            ensemble.HistGradientBoostingRegressor(max_iter=8), task="regression"
        ),
        "histograms poisson": lambda: fitted(
            ensemble.HistGradientBoostingRegressor(max_iter=8, loss="poisson"), task="regression"
        ),
        "histograms of three": lambda: fitted(histograms(), positive=2),
        "forest": lambda: fitted(ensemble.RandomForestClassifier(10, random_state=1), NUMBERS),
        "forest of three": lambda: fitted(
            ensemble.RandomForestClassifier(10, random_state=1), NUMBERS, positive=2
        ),
        "forest regression": lambda: fitted(
            ensemble.RandomForestRegressor(10, random_state=1), NUMBERS, task="regression"
        ),
        "extra trees": lambda: fitted(ensemble.ExtraTreesClassifier(10, random_state=1), NUMBERS),
        "tree": lambda: fitted(DecisionTreeClassifier(max_depth=5), NUMBERS),
        "gradients": lambda: fitted(
            ensemble.GradientBoostingClassifier(n_estimators=8), NUMBERS, filled=True
        ),
        "gradients of three": lambda: fitted(
            ensemble.GradientBoostingClassifier(n_estimators=8), NUMBERS, filled=True, positive=2
        ),
        "gradients regression": lambda: fitted(
            ensemble.GradientBoostingRegressor(n_estimators=8),
            NUMBERS,
            filled=True,
            task="regression",
        ),
    }


def piped(model: Any) -> Any:
    """A model behind imputers, a scaler and two encoders."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    parts = [
        ("numbers", numbers, ["amount", "step", "visits"]),
        ("texts", texts, ["plan"]),
        ("ordinal", ordinal, ["town"]),
    ]
    return make_pipeline(ColumnTransformer(parts, remainder="passthrough"), model)


def _pipelines() -> dict[str, Make]:
    import lightgbm as lgb
    import xgboost as xgb
    from sklearn import ensemble

    light = {"n_estimators": 8, "verbose": -1, "n_jobs": 1}
    return {
        "piped histograms": lambda: fitted(
            piped(ensemble.HistGradientBoostingClassifier(max_iter=8))
        ),
        "piped polars": lambda: fitted(
            piped(ensemble.HistGradientBoostingClassifier(max_iter=8)), container="polars"
        ),
        "piped forest": lambda: fitted(piped(ensemble.RandomForestClassifier(10, random_state=1))),
        "piped lightgbm": lambda: fitted(piped(lgb.LGBMClassifier(**light))),
        "piped xgboost": lambda: fitted(piped(xgb.XGBClassifier(n_estimators=8, n_jobs=1))),
    }


@functools.cache
def makers() -> dict[str, Make]:
    """Every kind of model that is compiled, by name."""
    return _boosters() | _ensembles() | _pipelines()


NAMES = (
    "lightgbm", "lightgbm zero", "lightgbm one leaf", "lightgbm dart", "lightgbm regression",
    "lightgbm poisson", "lightgbm of three", "xgboost", "xgboost categories", "xgboost one by one",
    "xgboost regression", "xgboost poisson", "xgboost of three", "xgboost numpy", "histograms",
    "histograms categories", "histograms regression", "histograms poisson", "histograms of three",
    "forest", "forest of three", "forest regression", "extra trees", "tree", "gradients",
    "gradients of three", "gradients regression", "piped histograms", "piped polars",
    "piped forest", "piped lightgbm", "piped xgboost",
)  # fmt: skip
