"""Fitting and scoring: pure functions that a worker runs.

Everything a job needs is named by digest or given in it, so that the same job gives the same model, bit
for bit, in any process.
"""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nenrin.core.errors import USERS_ERRORS, NenrinError, NotFoundError, ProjectError, StepError
from nenrin.pipelines.executor import WorkerContext
from nenrin.pipelines.seeding import seed_all
from nenrin.training.artefact import Artefact, dump
from nenrin.training.columns import FeatureColumn, take
from nenrin.training.declare import Model
from nenrin.training.imports import bring
from nenrin.training.meter import Meter
from nenrin.training.rows import Access, Rows
from nenrin.training.table import RowTable, Selected, Selection
from nenrin.training.tasks import Task

_STRINGS_HINT = (
    "LightGBM ends the process when it is given a polars frame with texts: fit on rows.pandas()"
)
_DIED_HINT = "the process died inside this function: look for native code that aborts, or memory"


class FitJob(msgspec.Struct, frozen=True, kw_only=True):
    """One training.

    Attributes:
        project: folder of the unpacked revision.
        model: name of the declared model.
        table: digest of the row table.
        task: what the model is asked to do.
        selection: the training rows.
        params: arguments of the model function after ``rows``.
        seed: of numpy, random and torch before the function runs.
        sanity: places ``(lo, hi)`` in the table; the new model's loss on their labelled rows is told.
    """

    project: str
    model: str
    table: str
    task: Task
    selection: Selection
    params: dict[str, Any] = {}
    seed: int = 0
    sanity: tuple[int, int] | None = None


class FitResult(msgspec.Struct, frozen=True, kw_only=True):
    """A training's outcome. From ``fit_cpu`` on it is measured on a machine and never part of an event.

    Attributes:
        model: digest of the artefact.
        rows: how many rows it was trained on.
        cutoff: the end of the last closed block of its training.
        params: arguments that the function was given.
        container: the container that the function asked for.
        weight_read: whether it looked at ``rows.weight``.
        in_sample_loss: mean row loss on the labelled rows of ``sanity``; NaN without any.
        nan_predictions: how many predictions on the rows of ``sanity`` are NaN or infinite.
        fit_cpu: CPU seconds inside the model function, without those of ``rows``' containers.
        predict_cpu: CPU seconds inside ``predict`` on the rows of ``sanity``.
        platform_cpu: CPU seconds of everything else in the job.
        wall: seconds of the job.
        pid: process id of the worker.
    """

    model: str
    rows: int
    cutoff: int
    params: dict[str, Any]
    container: str
    weight_read: bool
    in_sample_loss: float
    nan_predictions: int
    fit_cpu: float
    predict_cpu: float
    platform_cpu: float
    wall: float
    pid: int


class ScoreJob(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions of the rows ``lo`` to ``hi`` of a table.

    Attributes:
        project: folder of the unpacked revision, whose modules a pickled model may need; ``""``: none.
        model: digest of the artefact.
        table: digest of the row table.
    """

    model: str
    table: str
    lo: int
    hi: int
    project: str = ""


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions ``p``, float64 of shape (hi - lo,), and what they cost in CPU seconds."""

    p: np.ndarray
    predict_cpu: float
    platform_cpu: float


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """A training inside its worker: the artefact's bytes, and what was seen of the function at ``where``."""

    data: bytes
    where: str
    rows: int
    access: Access
    container: str
    fit_cpu: float


def fit(context: WorkerContext, job: FitJob) -> FitResult:
    """Train, keep the artefact in the store, and look at it once.

    Raises:
        ProjectError: the project has no such model, no row is labelled, or a weighted recipe's function
            never reads ``rows.weight``.
        StepError: the function raised, or what it returned does not predict.
    """
    meter = Meter(context.timer)
    table = open_table(context, job.table)
    fitted = train(context, job, table, meter)
    digest = context.store.put(fitted.data)
    artefact = open_model(context, digest, fitted.data)
    # Without rows to look at, a few show whether it predicts at all.
    lo, hi = job.sanity or (0, 5)
    with blaming(fitted.where):
        p = artefact.predict_columns(take(table.columns, slice(lo, hi)), meter)
    loss, bad = float("nan"), 0
    if job.sanity is not None:
        bad = int((~np.isfinite(p)).sum())
        loss = mean_loss(job.task, table.labels_at(job.selection.known_by, lo, hi), p)
    return FitResult(
        model=digest,
        rows=fitted.rows,
        cutoff=job.selection.cutoff,
        params=job.params,
        container=fitted.container,
        weight_read=fitted.access.weight_read,
        in_sample_loss=loss,
        nan_predictions=bad,
        fit_cpu=fitted.fit_cpu,
        predict_cpu=meter.user - fitted.fit_cpu,
        platform_cpu=meter.platform_cpu,
        wall=meter.wall,
        pid=os.getpid(),
    )


def score(context: WorkerContext, job: ScoreJob) -> Scores:
    """Predict rows of a table.

    Raises:
        StepError: the model raised, or gave something else than one number a row.
    """
    meter = Meter(context.timer)
    if job.project:
        context.project(job.project)
    table = open_table(context, job.table)
    artefact = open_model(context, job.model)
    p = artefact.predict_columns(take(table.columns, slice(job.lo, job.hi)), meter)
    return Scores(p=p, predict_cpu=meter.user, platform_cpu=meter.platform_cpu)


def open_table(context: WorkerContext, digest: str) -> RowTable:
    """The row table ``digest``, mapped once a worker."""
    return context.cached(
        "table", digest, lambda: RowTable.open(context.store.file(digest)), keep=2
    )


def open_model(context: WorkerContext, digest: str, data: bytes | None = None) -> Artefact:
    """The artefact ``digest`` of our own store, read once a worker."""

    def read() -> Artefact:
        return Artefact.loads(context.store.get(digest) if data is None else data, trusted=True)

    return context.cached("model", digest, read, keep=32)


def mean_loss(task: Task, y: np.ndarray, p: np.ndarray) -> float:
    """Mean row loss where ``y`` is not NaN; NaN where all are."""
    labelled = ~np.isnan(y)
    if not labelled.any():
        return float("nan")
    return float(task.row_loss(y[labelled], p[labelled]).mean())


def train(context: WorkerContext, job: FitJob, table: RowTable, meter: Meter) -> Fitted:
    """Select the rows, call the model function and write down what it returns."""
    model = find_model(context, job)
    if model.declared.imported is not None:
        return _brought(context, job, model, table)
    selected = _select(model, job, table)
    columns = tuple(column.narrowed(selected.indices) for column in table.columns)
    where = _where(model)
    access = Access(_announcer(context, where, columns))
    y = selected.y.astype(np.int64) if job.task.kind == "binary" else selected.y
    rows = Rows(columns, selected.indices, y, selected.weight, access=access, meter=meter)
    before = meter.user
    returned = _returned(context, model, rows, job, access, meter)
    fit_cpu = meter.user - before
    container = access.container or "polars"
    with blaming(where):
        data = dump(
            returned,
            name=job.model,
            # Equal models have equal bytes wherever the project lies.
            where=Path(model.declared.where.rpartition(":")[0]).name,
            task=job.task.kind,
            container=container,
            columns=tuple(column.spec for column in columns),
            project=context.folder(job.project),
            labelled=container == "pandas",
        )
    return Fitted(
        data=data, where=where, rows=len(rows), access=access, container=container, fit_cpu=fit_cpu
    )


def _brought(context: WorkerContext, job: FitJob, model: Model, table: RowTable) -> Fitted:
    """A model that the project brings along: no row is read for it."""
    where = model.declared.where
    specs = [column.spec for column in table.columns]
    project = context.folder(job.project)
    brought = bring(model, project, specs, job.task.kind)
    with blaming(where):
        data = dump(
            brought.model,
            name=job.model,
            where=Path(where.rpartition(":")[0]).name,
            task=job.task.kind,
            container=brought.container,
            columns=brought.columns,
            project=project,
            positive=brought.positive,
        )
    return Fitted(
        data=data,
        where=where,
        rows=0,
        access=Access(),
        container=brought.container,
        fit_cpu=0.0,
    )


@contextmanager
def blaming(where: str) -> Iterator[None]:
    """Errors of a model within the block name the function that returned it, as ``file:line``."""
    try:
        yield
    except StepError as error:
        error.where = where
        raise


def find_model(context: WorkerContext, job: FitJob) -> Model:
    """The declared model in the job's project.

    Raises:
        NotFoundError: the project declares no model of that name.
    """
    attributes = context.project(job.project)
    models = {v.declared.name: v for v in attributes.values() if isinstance(v, Model)}
    if job.model not in models:
        raise NotFoundError(
            f"the project has no model {job.model!r}",
            hint=f"it has {', '.join(sorted(models)) or 'none'}",
            where=job.project,
        )
    return models[job.model]


def _select(model: Model, job: FitJob, table: RowTable) -> Selected:
    selected = table.select(job.selection)
    if len(selected.indices) == 0:
        raise ProjectError(
            f"no row of {model.rows.declared.name} that {job.model} could be trained on has a label",
            hint="load more data, or train on a longer history",
            where=model.declared.where,
        )
    return selected


def _announcer(
    context: WorkerContext, where: str, columns: tuple[FeatureColumn, ...]
) -> Callable[[str], None]:
    """Tells the pool which container the function has, for the case that its process dies."""
    texts = any(column.kind == "string" for column in columns)

    def announce(container: str) -> None:
        if texts and container == "polars":
            context.entering(_line_now(where), _STRINGS_HINT)
        else:
            context.entering(where, _DIED_HINT)

    return announce


def _returned(
    context: WorkerContext, model: Model, rows: Rows, job: FitJob, access: Access, meter: Meter
) -> Any:
    """The fitted model that the function returns."""
    returned = _call(context, model, rows, job, meter)
    if job.selection.half_life is not None and not access.weight_read:
        raise _unweighted(model)
    return returned


def _call(context: WorkerContext, model: Model, rows: Rows, job: FitJob, meter: Meter) -> Any:
    seed_all(job.seed)
    context.entering(_where(model), _DIED_HINT)
    try:
        with meter.users():
            return model(rows, **job.params)
    except NenrinError:
        raise
    except USERS_ERRORS as error:
        raise StepError(
            f"{job.model} raised {type(error).__name__}: {error}",
            hint="see the line; the function gets the rows and the tuned parameters",
            where=_line_in(model, error),
        ) from error
    finally:
        context.entering("")


def _where(model: Model) -> str:
    """``file:line`` of the model function, or of the declaration."""
    code = getattr(model.function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else model.declared.where


def _line_now(where: str) -> str:
    """The line that runs now in the file of ``where``; ``where`` itself if none does."""
    file = where.rpartition(":")[0]
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename != file:
        frame = frame.f_back
    return where if frame is None else f"{file}:{frame.f_lineno}"


def _line_in(model: Model, error: BaseException) -> str:
    """The last line of the model's own file that the error went through."""
    file = _where(model).rpartition(":")[0]
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    return f"{file}:{lines[-1]}" if lines else _where(model)


def _unweighted(model: Model) -> ProjectError:
    return ProjectError(
        f"{model.declared.name} is trained by a weighted recipe but never reads rows.weight",
        hint="fit with sample_weight=rows.weight, or take the recipe with half_life= out",
        where=_where(model),
    )
