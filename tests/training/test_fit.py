"""Fitting and scoring in a worker."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.compute.in_process import InProcessExecutor
from nenrin.backends.compute.spawn import SpawnExecutor
from nenrin.core.errors import NotFoundError, ProjectError, StepError
from nenrin.core.instants import DAY, HOUR
from nenrin.pipelines.executor import WorkerContext
from nenrin.training.fit import FitResult, ScoreJob, fit, open_table, score
from nenrin.training.table import Selection
from tests.training.example import (
    ABORTS,
    PROJECT,
    START,
    context_of,
    job_of,
    load_project,
    write_project,
)


def test_a_training_says_what_it_did(context: WorkerContext, folder: Path) -> None:
    job = job_of(context, folder, "boosted", params={"num_leaves": 5})
    result = fit(context, job)
    table = open_table(context, job.table)
    assert result.rows == len(table.select(job.selection).indices)
    assert result.cutoff == job.selection.cutoff
    assert result.params == {"num_leaves": 5}
    assert (result.container, result.weight_read) == ("pandas", True)
    assert result.pid == os.getpid()
    assert 0 < result.in_sample_loss < 1
    assert result.nan_predictions == 0
    assert result.fit_cpu > 0
    assert result.predict_cpu > 0
    assert result.platform_cpu > 0
    assert result.wall > 0
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(result), type=FitResult) == result


def test_the_in_sample_loss_is_that_of_the_labelled_rows(
    context: WorkerContext, folder: Path
) -> None:
    job = job_of(context, folder, "minutes")
    assert job.sanity is not None
    result = fit(context, job)
    table = open_table(context, job.table)
    p = score(context, ScoreJob(model=result.model, table=job.table, lo=0, hi=len(table))).p
    lo, hi = job.sanity
    y = table.labels_at(job.selection.known_by, lo, hi)
    expected = np.square(y - p[lo:hi])[~np.isnan(y)].mean()
    assert result.in_sample_loss == pytest.approx(expected)
    nothing = msgspec.structs.replace(job, sanity=None)
    assert np.isnan(fit(context, nothing).in_sample_loss)


def test_scoring_a_part_is_the_part_of_the_scores(context: WorkerContext, folder: Path) -> None:
    job = job_of(context, folder, "histogram")
    model = fit(context, job).model
    whole = score(context, ScoreJob(model=model, table=job.table, lo=0, hi=100))
    part = score(context, ScoreJob(model=model, table=job.table, lo=30, hi=70))
    np.testing.assert_array_equal(part.p, whole.p[30:70])
    assert whole.predict_cpu > 0
    empty = score(context, ScoreJob(model=model, table=job.table, lo=5, hi=5))
    assert empty.p.shape == (0,)


def test_the_seed_decides_what_is_drawn(context: WorkerContext, folder: Path) -> None:
    job = job_of(context, folder, "random_answer", seed=5)
    same = fit(context, job).model
    assert fit(context, job).model == same
    assert fit(context, msgspec.structs.replace(job, seed=6)).model != same


def test_a_model_reads_only_what_was_known(context: WorkerContext, folder: Path) -> None:
    job = job_of(context, folder, "boosted")
    early = msgspec.structs.replace(
        job, selection=Selection(cutoff=START + 30 * DAY, known_by=START + 30 * DAY + 9 * HOUR)
    )
    assert fit(context, early).rows < fit(context, job).rows


def test_a_weighted_recipe_wants_its_weights_read(context: WorkerContext, folder: Path) -> None:
    job = job_of(context, folder, "unweighted")
    fit(context, job)
    weighted = msgspec.structs.replace(job.selection, half_life=60 * DAY)
    with pytest.raises(ProjectError, match=r"never reads rows\.weight") as caught:
        fit(context, msgspec.structs.replace(job, selection=weighted))
    assert caught.value.where == f"{folder}/project.py:{_line_of('def unweighted') - 1}"
    boosted = job_of(context, folder, "boosted", selection=weighted)
    assert fit(context, boosted).weight_read


def test_an_error_names_the_line_of_the_project(context: WorkerContext, folder: Path) -> None:
    with pytest.raises(StepError, match="raises raised LinAlgError") as caught:
        fit(context, job_of(context, folder, "raises"))
    assert caught.value.where == f"{folder}/project.py:{_line_of('np.linalg.inv')}"


def test_what_does_not_predict_is_refused(context: WorkerContext, folder: Path) -> None:
    with pytest.raises(StepError, match="nothing returned a ndarray of shape"):
        fit(context, job_of(context, folder, "nothing"))


@pytest.mark.parametrize("name", ["dropped", "reordered"])
def test_a_model_fitted_on_other_columns_is_found_out(
    context: WorkerContext, folder: Path, name: str
) -> None:
    """LightGBM itself would not notice another order, and answer wrong."""
    with pytest.raises(StepError, match=f"{name} was fitted on") as caught:
        fit(context, job_of(context, folder, name))
    assert "rows gives temp, distance, far, carrier" in caught.value.message
    assert caught.value.where == f"{folder}/project.py:{_line_of(f'def {name}') - 1}"


def test_a_model_that_cannot_predict_is_found_out_at_once(
    context: WorkerContext, folder: Path
) -> None:
    with pytest.raises(StepError, match="predicting with clueless raised NotFittedError") as caught:
        fit(context, job_of(context, folder, "clueless", sanity=None))
    assert caught.value.where == f"{folder}/project.py:{_line_of('def clueless') - 1}"


def test_no_labelled_row_is_refused(context: WorkerContext, folder: Path) -> None:
    nothing = Selection(cutoff=START, known_by=START)
    with pytest.raises(ProjectError, match="has a label"):
        fit(context, job_of(context, folder, "boosted", selection=nothing))


def test_a_model_that_is_not_declared_is_not_found(context: WorkerContext, folder: Path) -> None:
    job = job_of(context, folder, "boosted")
    with pytest.raises(NotFoundError, match="no model 'bosted'") as caught:
        fit(context, msgspec.structs.replace(job, model="bosted"))
    assert "boosted" in caught.value.hint


def test_workers_fit_the_same_model_as_each_other_and_as_this_process(
    two_workers: SpawnExecutor, shared: LocalStore, folder: Path
) -> None:
    job = job_of(context_of(shared), folder, "boosted")
    apart = [two_workers.submit(fit, job) for _ in range(2)]
    mine = InProcessExecutor(shared, load_project).submit(fit, job).result()
    theirs = [future.result() for future in apart]
    assert {result.model for result in theirs} == {mine.model}
    assert {result.in_sample_loss for result in theirs} == {mine.in_sample_loss}
    assert mine.pid not in {result.pid for result in theirs}


def test_a_function_that_kills_its_process_is_named(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "project", ABORTS)
    open_store = functools.partial(LocalStore, tmp_path / "store", durable=False)
    job = job_of(context_of(open_store()), folder, "aborts")
    executor = SpawnExecutor(1, open_store, load_project, log=tmp_path / "log")
    error = executor.submit(fit, job).exception()
    executor.close()
    assert isinstance(error, StepError)
    assert "SIGABRT" in error.message
    assert error.where == f"{folder}/project.py:{_line_of('    rows.X', ABORTS)}"
    assert "rows.pandas()" in error.hint


def _line_of(text: str, project: str = PROJECT) -> int:
    return 1 + next(place for place, line in enumerate(project.splitlines()) if text in line)
