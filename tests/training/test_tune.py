"""The seeded search for parameters."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.compute.in_process import InProcessExecutor
from nenrin.backends.compute.spawn import SpawnExecutor
from nenrin.core.errors import MissingExtraError
from nenrin.core.instants import DAY
from nenrin.pipelines.executor import Executor, WorkerContext
from nenrin.training.declare import Model
from nenrin.training.fit import FitJob, open_table
from nenrin.training.spaces import choice, floats, integers
from nenrin.training.tune import Trial, trial, tune
from tests.training.example import context_of, job_of, load_project


class Made:
    """Trials by an executor."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def made(self, jobs: Sequence[FitJob], horizon: int | None) -> list[Trial]:
        futures = [self.executor.submit(trial, job, horizon) for job in jobs]
        return [future.result() for future in futures]


def _model(folder: Path, name: str = "boosted") -> Model:
    model = load_project(folder)[name]
    assert isinstance(model, Model)
    return model


def test_one_worker_and_two_find_the_same(
    two_workers: SpawnExecutor, shared: LocalStore, folder: Path
) -> None:
    job = job_of(context_of(shared), folder, "boosted", seed=11)
    here = Made(InProcessExecutor(shared, load_project))
    told: list[tuple[Any, ...]] = []
    mine = tune(
        here, _model(folder), job, 10 * DAY, trials=6, progress=lambda *said: told.append(said)
    )
    theirs = tune(Made(two_workers), _model(folder), job, 10 * DAY, trials=6)
    assert [(each.params, each.loss) for each in mine.trials] == [
        (each.params, each.loss) for each in theirs.trials
    ]
    assert mine.params == theirs.params
    assert [said[:3] for said in told] == [("tune", done, 6) for done in range(1, 7)]


def test_the_defaults_come_first_and_the_least_loss_wins(folder: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path, durable=False)
    job = job_of(context_of(store), folder, "boosted", seed=3)
    tuned = tune(
        Made(InProcessExecutor(store, load_project)), _model(folder), job, 10 * DAY, trials=5
    )
    assert tuned.trials[0].params == {"num_leaves": 7}
    assert len(tuned.trials) == 5
    best = min(each.loss for each in tuned.trials)
    assert next(each.loss for each in tuned.trials if each.params == tuned.params) == best


def test_a_model_without_tune_keeps_its_parameters(folder: Path, context: WorkerContext) -> None:
    job = job_of(context, folder, "minutes")
    executor = InProcessExecutor(context.store, load_project)
    assert tune(Made(executor), _model(folder, "minutes"), job, 10 * DAY).params == {}


def test_what_is_held_back_is_not_trained_on(context: WorkerContext, folder: Path) -> None:
    """Without time a fold is held back, with time the last days; the loss is that of held rows."""
    job = job_of(context, folder, "mean")
    table = open_table(context, job.table)
    horizon = 10 * DAY
    found = trial(context, job, horizon)
    start = job.selection.cutoff - horizon
    share = table.select(msgspec.structs.replace(job.selection, cutoff=start)).y.mean()
    held = table.select(msgspec.structs.replace(job.selection, since=start))
    loss = job.task.row_loss(held.y, held.y * 0 + share).mean()
    assert found.loss == pytest.approx(loss)


def test_a_fold_is_held_back_where_rows_have_no_time(context: WorkerContext, folder: Path) -> None:
    job = job_of(context, folder, "mean")
    table = open_table(context, job.table)
    fold = table.fold.copy()
    fold[:] = [place % 5 for place in range(len(fold))]
    object.__setattr__(table, "fold", fold)
    selection = msgspec.structs.replace(job.selection, without_folds=(0,))
    found = trial(context, msgspec.structs.replace(job, selection=selection), None)
    rest = table.select(msgspec.structs.replace(selection, without_folds=(0, 1))).y.mean()
    held = table.select(msgspec.structs.replace(selection, without_folds=(0, 2, 3, 4))).y
    assert found.loss == pytest.approx(job.task.row_loss(held, held * 0 + rest).mean())


def test_every_space_can_be_searched(context: WorkerContext, folder: Path) -> None:
    model = _model(folder, "mean")
    model.function = _quadratic
    model.declared = msgspec.structs.replace(
        model.declared,
        tune={"a": integers(0, 9), "b": floats(0.1, 10, log=True), "c": choice(["x", "y"])},
    )
    executor = InProcessExecutor(context.store, lambda folder: {"mean": model})
    tuned = tune(Made(executor), model, job_of(context, folder, "mean"), 10 * DAY, trials=4)
    assert tuned.trials[0].params == {"a": 5, "b": 1.0, "c": "x"}
    assert all(set(each.params) == {"a", "b", "c"} for each in tuned.trials)


def _quadratic(rows: Any, a: int = 5, b: float = 1.0, c: str = "x") -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior").fit(rows.numpy() * a * b, rows.y)


def test_without_optuna_the_install_line_is_said(
    context: WorkerContext, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    executor = InProcessExecutor(context.store, load_project)
    with pytest.raises(MissingExtraError) as caught:
        tune(Made(executor), _model(folder), job_of(context, folder, "boosted"), 10 * DAY)
    assert caught.value.hint == 'pip install "nenrin[tune]"'


def test_what_the_search_asks_for_again_is_not_made_again(folder: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path, durable=False)
    model = _model(folder)
    model.declared = msgspec.structs.replace(model.declared, tune={"num_leaves": integers(7, 9)})
    job = job_of(context_of(store), folder, "boosted", seed=3)
    asked: list[Any] = []

    class Counted(Made):
        def made(self, jobs: Sequence[FitJob], horizon: int | None) -> list[Trial]:
            asked.extend(job.params["num_leaves"] for job in jobs)
            return super().made(jobs, horizon)

    counted = Counted(InProcessExecutor(store, load_project))
    assert len(tune(counted, model, job, 10 * DAY, trials=8).trials) == 8
    assert len(asked) == len(set(asked)) <= 3
