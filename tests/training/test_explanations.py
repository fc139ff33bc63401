"""Contributions add up to the answer, whatever the model; shap, where it is installed, finds the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import NotFoundError, RequestError, StepError
from nenrin.core.instants import DAY
from nenrin.pipelines.executor import WorkerContext
from nenrin.stats.platt import sigmoid
from nenrin.training.artefact import Artefact, describe, dump
from nenrin.training.columns import ColumnSpec, encode, take
from nenrin.training.declare import predictor
from nenrin.training.explanations import (
    Columns,
    ExplainJob,
    Parts,
    contributions,
    explain,
    explain_each,
    rescaled,
)
from nenrin.training.fit import fit
from nenrin.training.shapley import BACKGROUND, BUDGET
from nenrin.training.table import Selection
from tests.training.example import START, frames, job_of

MODELS = ("boosted", "minutes", "histogram", "own", "saved", "mean")


def columns() -> Columns:
    return encode(frames()[2])


def written(model: Any, specs: Sequence[ColumnSpec], container: str = "numpy") -> bytes:
    given = {"name": "kept", "where": "project.py", "task": "regression", "container": container}
    return dump(model, columns=tuple(specs), **given)


def kept(model: Any, over: Columns) -> Artefact:
    return Artefact.loads(written(model, [column.spec for column in over]))


def asked(
    function: Callable[[Any], np.ndarray], over: Columns, container: str = "numpy"
) -> Artefact:
    """A model that is a function of its container; this very function, not a copy of it."""
    specs = [msgspec.structs.replace(column.spec, vocabulary=None) for column in over]
    header = describe(written(predictor(None, predict=_zeros), specs, container))
    return Artefact(header, predictor(None, predict=lambda _, X: function(X)))


def _zeros(_: Any, X: Any) -> np.ndarray:
    return np.zeros(len(X))


def first(over: Columns, at: int = 0) -> Columns:
    """One of the rows."""
    return take(over, slice(at, at + 1))


def numbers(rows: int, features: int, seed: int = 0) -> Columns:
    drawn = np.random.default_rng(seed).normal(size=(rows, features))
    return encode(pl.DataFrame({f"f{place}": drawn[:, place] for place in range(features)}))


def adds_up(artefact: Artefact, rows: Columns, parts: Parts) -> None:
    np.testing.assert_array_equal(parts.answer, artefact.predict_columns(rows))
    whole = parts.base + parts.contributions.sum(axis=1)
    np.testing.assert_allclose(whole, parts.answer, rtol=0, atol=1e-9 * max(1, abs(whole).max()))


@pytest.mark.parametrize("name", MODELS)
def test_the_parts_of_every_model_add_up(context: WorkerContext, folder: Path, name: str) -> None:
    data = context.store.get(fit(context, job_of(context, folder, name, sanity=None)).model)
    artefact = Artefact.loads(data, trusted=True)
    rows = take(columns(), slice(790, 800))
    parts = contributions(artefact, rows, take(columns(), slice(0, 700)))
    adds_up(artefact, rows, parts)
    assert parts.contributions.shape == (10, 4)
    assert (parts.by == "its own trees") == (artefact.header.format == "lightgbm")
    if name != "mean":
        assert np.abs(parts.contributions).max() > 0


@pytest.mark.parametrize(
    ("params", "by"),
    [
        ({"objective": "binary", "sigmoid": 2.0}, "its own trees"),
        ({"objective": "cross_entropy"}, "its own trees"),
        ({"objective": "poisson"}, "its own trees"),
        ({"objective": "quantile"}, "its own trees"),
        ({"objective": "binary", "boosting": "dart"}, "its own trees"),
        ({"objective": "cross_entropy_lambda"}, "sampled orders"),
        ({"objective": "regression", "reg_sqrt": True}, "sampled orders"),
        ({"objective": "regression", "linear_tree": True}, "sampled orders"),
        (
            {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
            "sampled orders",
        ),
    ],
)
def test_lightgbm_tells_its_own_parts_where_they_lead_to_its_answer(
    params: dict[str, Any], by: str
) -> None:
    import lightgbm

    over = numbers(300, 3)
    X = np.column_stack([column.values for column in over])
    y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(float)
    quiet = {"verbose": -1, "num_threads": 1, **params}
    model = lightgbm.train(quiet, lightgbm.Dataset(X, y), 12)
    artefact = kept(model, over)
    assert artefact.header.format == "lightgbm"
    rows = take(over, slice(0, 4))
    parts = contributions(artefact, rows, over)
    assert parts.by == by
    adds_up(artefact, rows, parts)


@given(
    base=st.floats(-8, 8),
    parts=st.lists(st.floats(-6, 6), min_size=1, max_size=6),
    still=st.booleans(),
)
def test_rescaled_parts_keep_their_proportions_and_add_up(
    base: float, parts: list[float], still: bool
) -> None:
    if still:
        parts = [*parts, -sum(parts)]  # the features move nothing in all
    start, moves = np.array([base]), np.array([parts])
    answer = sigmoid(start + moves.sum(axis=1))
    found = rescaled(start, moves, answer, sigmoid)
    assert abs(float((sigmoid(start) + found.sum(axis=1) - answer)[0])) < 1e-12
    slope = float(found[0].sum() / moves.sum()) if abs(moves.sum()) > 1e-3 else None
    if slope is not None:
        np.testing.assert_allclose(found, moves * slope, atol=1e-9)
    assert (np.sign(found) == np.sign(moves))[np.abs(moves) > 1e-9].all()
    assert np.abs(found).sum() <= 0.25 * np.abs(moves).sum() * (1 + 1e-6)  # the steepest it gets


def test_of_a_sum_every_feature_has_its_term() -> None:
    over = numbers(60, 3)
    weights = np.array([2.0, -1.0, 0.0])
    artefact = asked(lambda X: X @ weights, over)
    row = first(over, 7)
    [found] = contributions(artefact, row, over).contributions
    means = np.array([column.values.mean() for column in over])
    here = np.array([column.values[0] for column in row])
    np.testing.assert_allclose(found, weights * (here - means), atol=1e-12)


def test_two_features_that_count_together_share_alike() -> None:
    both = encode(pl.DataFrame({"a": [0.0, 1.0], "b": [0.0, 1.0], "c": [0.0, 1.0]}))
    background, row = first(both), first(both, 1)
    artefact = asked(lambda X: X[:, 0] * X[:, 1], both)
    [found] = contributions(artefact, row, background).contributions
    np.testing.assert_allclose(found, [0.5, 0.5, 0.0], atol=1e-12)


def test_a_question_has_one_answer_and_a_budget() -> None:
    over = numbers(500, 7)
    rows: list[int] = []

    def counted(X: np.ndarray) -> np.ndarray:
        rows.append(len(X))
        return np.asarray(np.tanh(X[:, 0] * X[:, 1]) + X[:, 2])

    artefact = asked(counted, over)
    row = first(over, 3)
    once = contributions(artefact, row, over).contributions
    assert BUDGET / 2 < sum(rows) <= BUDGET + BACKGROUND + 1
    assert rows[:2] == [1, BACKGROUND]
    np.testing.assert_array_equal(contributions(artefact, row, over).contributions, once)


def test_many_features_are_explained_beside_fewer_rows_and_too_many_not_at_all() -> None:
    over = numbers(120, 300)
    artefact = asked(lambda X: X[:, 0] - X[:, 299], over)
    row = first(over)
    parts = contributions(artefact, row, over)
    adds_up(artefact, row, parts)
    assert not parts.contributions[0, 1:299].any()
    wide = numbers(1, BUDGET // 2)
    with pytest.raises(RequestError, match="10,000 features"):
        contributions(asked(lambda X: X[:, 0], wide), wide, wide)


def test_values_stay_what_they_are_on_their_way_to_the_model() -> None:
    """Whole numbers beyond 2**53, missing ones, and texts that only the row has."""
    big = 2**60 + 1
    trained = pl.DataFrame(
        {"n": [1, None, 3], "text": ["a", "z", None], "far": [True, None, False]}
    )
    row = encode(pl.DataFrame({"n": [big], "text": ["new"], "far": [False]}))
    seen: list[pl.DataFrame] = []

    def look(X: pl.DataFrame) -> np.ndarray:
        seen.append(X)
        return X["n"].eq_missing(big).to_numpy() + 2.0 * X["text"].eq_missing("new").to_numpy()

    [found] = contributions(asked(look, row, "polars"), row, encode(trained)).contributions
    np.testing.assert_allclose(found, [1.0, 2.0, 0.0], atol=1e-12)
    met = pl.concat([frame.with_columns(pl.col("text").cast(pl.String)) for frame in seen])
    assert set(met["n"]) == {1, None, 3, big}
    assert set(met["text"]) == {"a", "z", None, "new"}
    assert set(met["far"]) == {True, None, False}


def test_what_cannot_be_explained_says_why() -> None:
    over = numbers(20, 2)
    row = first(over)
    artefact = asked(lambda X: X[:, 0], over)
    for background in (None, take(over, slice(0, 0))):
        with pytest.raises(NotFoundError, match="rows that it was trained on"):
            contributions(artefact, row, background)
    with pytest.raises(StepError, match="finite"):
        contributions(asked(lambda X: X[:, 0] * np.nan, over), row, over)


def test_a_worker_explains_a_logged_row(context: WorkerContext, folder: Path) -> None:
    job = job_of(context, folder, "histogram", sanity=None)
    model = fit(context, job).model
    row = frames()[2].row(5, named=True)
    order = {"model": model, "features": row, "table": job.table, "project": str(folder)}
    explained = explain(context, ExplainJob(**order, trained=job.selection))
    artefact = Artefact.loads(context.store.get(model), trusted=True)
    assert explained.answer == artefact.predict_rows([row])[0]
    assert list(explained.contributions) == list(row)
    assert explained.base + sum(explained.contributions.values()) == pytest.approx(
        explained.answer, abs=1e-9
    )
    early = msgspec.structs.replace(job.selection, cutoff=START + 9 * DAY)
    assert explain(context, ExplainJob(**order, trained=early)).base != explained.base
    none = Selection(cutoff=0, known_by=0)
    with pytest.raises(NotFoundError, match="none are kept here"):
        explain(context, ExplainJob(**order, trained=none))
    lacking = ExplainJob(model=model, features=row)
    odd = ExplainJob(**{**order, "features": {**row, "temp": "warm"}}, trained=early)
    gone = ExplainJob(**{**order, "project": str(folder / "gone")}, trained=early)
    told = explain_each(context, [lacking, odd, gone, ExplainJob(**order, trained=job.selection)])
    assert told[3] == explained
    for said, why in zip(("none are kept here", "temp is a number", "raised"), told, strict=False):
        assert said in str(why)


def test_logged_instants_are_read_back(context: WorkerContext) -> None:
    import lightgbm

    instants = [datetime(2024, 3, day, 12, tzinfo=UTC) for day in range(1, 31)]
    frame = pl.DataFrame({"at": instants, "late": [timedelta(hours=day) for day in range(30)]})
    over = encode(frame)
    X = np.column_stack([column.values for column in over])
    quiet = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 1, "objective": "regression"}
    model = lightgbm.train(quiet, lightgbm.Dataset(X, np.arange(30.0)), 5)
    digest = context.store.put(written(model, [column.spec for column in over]))
    logged = msgspec.json.decode(msgspec.json.encode(frame.row(7, named=True)))
    explained = explain(context, ExplainJob(model=digest, features=logged))
    assert explained.answer == kept(model, over).predict_columns(first(over, 7))[0]
    with pytest.raises(RequestError, match="at is a whole number"):
        explain(context, ExplainJob(model=digest, features={**logged, "at": "noon"}))


def test_lightgbm_and_shap_find_the_same() -> None:
    shap = pytest.importorskip("shap", reason="shap is not installed: pip install shap")
    import lightgbm

    over = numbers(400, 5)
    X = np.column_stack([column.values for column in over])
    y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(float)
    quiet = {"verbose": -1, "num_threads": 1, "objective": "binary"}
    model = lightgbm.train(quiet, lightgbm.Dataset(X, y), 20)
    parts = contributions(kept(model, over), over)
    theirs = shap.TreeExplainer(model)(X)
    margins = theirs.values
    start = float(np.ravel(theirs.base_values)[0])
    np.testing.assert_allclose(parts.base, sigmoid(np.full(400, start)), atol=1e-12)
    scale = (parts.answer - parts.base) / margins.sum(axis=1)
    np.testing.assert_allclose(parts.contributions, margins * scale[:, None], atol=1e-9)


def test_sampled_orders_come_close_to_all_of_them() -> None:
    """The oracle is the definition: the weighted sum over all sets of the other features."""
    over = numbers(30, 5, seed=4)

    def function(X: np.ndarray) -> np.ndarray:
        return np.asarray(sigmoid(X[:, 0] * X[:, 1] + np.maximum(X[:, 2], X[:, 3]) - X[:, 4]))

    row = first(over)
    [found] = contributions(asked(function, over), row, over).contributions
    X = np.column_stack([column.values for column in over])
    np.testing.assert_allclose(found, _by_definition(function, X[0], X), atol=0.01)


def _by_definition(function: Any, x: np.ndarray, background: np.ndarray) -> np.ndarray:
    from itertools import combinations
    from math import comb

    m = len(x)

    def value(chosen: tuple[int, ...]) -> float:
        mixed = background.copy()
        mixed[:, chosen] = x[list(chosen)]
        return float(function(mixed).mean())

    found = np.zeros(m)
    for j in range(m):
        others = [k for k in range(m) if k != j]
        for size in range(m):
            for chosen in combinations(others, size):
                gain = value((*chosen, j)) - value(chosen)
                found[j] += gain / (m * comb(m - 1, size))
    return found
