"""What a label makes of a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import ProjectError
from nenrin.data.declare import file
from nenrin.training.asking import ask
from nenrin.training.declare import Model, model
from nenrin.training.metrics import METRICS_OF
from nenrin.training.table import RowTable
from nenrin.training.tasks import infer_task, prior
from tests.training.example import load_project, table_of


def _model(**changes: object) -> Model:
    shops = file("shops.csv", key="id").named("shops", Path())

    @model(rows=shops, label=shops.y, **changes)  # type: ignore[arg-type]
    def guess(rows: object) -> None: ...

    return guess


def _table(declared: Model, y: list[object]) -> RowTable:
    n = len(y)
    frame = pl.DataFrame({"id": range(n), "y": y, "__event__": [None] * n, "__known__": [5] * n})
    frame = frame.cast({"__event__": pl.Int64, "__known__": pl.Int64})
    return RowTable.build(declared, ask(declared, frame), frame, pl.DataFrame({"x": [1.0] * n}))


def test_truth_values_are_binary_and_numbers_a_regression(folder: Path) -> None:
    project = load_project(folder)
    assert infer_task(project["boosted"], table_of(project["boosted"])).kind == "binary"  # type: ignore[arg-type]
    task = infer_task(project["minutes"], table_of(project["minutes"]))  # type: ignore[arg-type]
    assert (task.kind, task.metric, task.loss) == ("regression", "rmse", "squared")


@pytest.mark.parametrize(
    ("metric", "loss"),
    [("log_loss", "log_loss"), ("brier", "squared"), ("roc_auc", "log_loss"), (None, "log_loss")],
)
def test_the_loop_acts_on_the_metrics_own_loss(metric: str | None, loss: str) -> None:
    declared = _model(metric=metric)
    task = infer_task(declared, _table(declared, [0, 1, 1, None]))
    assert (task.metric, task.loss) == (metric or "log_loss", loss)
    assert task.row_loss(np.array([1.0]), np.array([1.0])) == pytest.approx(0.0)


def test_a_metric_of_another_task_is_refused_with_those_that_fit() -> None:
    declared = _model(metric="roc_auc")
    with pytest.raises(ProjectError, match="does not fit a regression") as caught:
        infer_task(declared, _table(declared, [0.5, 3.0]))
    assert caught.value.hint == f"one of {', '.join(METRICS_OF['regression'])}"
    assert "test_tasks.py:" in caught.value.where


def test_a_declared_task_must_fit_the_label() -> None:
    declared = _model(task="binary")
    with pytest.raises(ProjectError, match="other values than 0 and 1"):
        infer_task(declared, _table(declared, [0, 2]))
    regression = _model(task="regression")
    assert infer_task(regression, _table(regression, [0, 1])).kind == "regression"


def test_a_label_that_is_never_there_is_refused() -> None:
    declared = _model()
    with pytest.raises(ProjectError, match="no row of shops has a label"):
        infer_task(declared, _table(declared, [None, None]))


def test_the_prior_is_the_mean_label() -> None:
    assert prior(np.array([0.0, 1.0, 1.0, 1.0])) == 0.75
    assert np.isnan(prior(np.array([])))
