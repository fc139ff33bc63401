"""Tuning: a seeded search for the parameters with the least loss on rows held back from training.

Parameters are proposed by Optuna's TPE (Bergstra et al., "Algorithms for Hyper-Parameter Optimization",
2011). They are asked for in pairs and told in order, so that one worker and two find the same. The
function's own defaults, where the spaces hold them, are the first trial: tuning never does worse on the
rows held back than they do.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np

from nenrin.core.digest import digest
from nenrin.core.errors import MissingExtraError
from nenrin.pipelines.executor import WorkerContext
from nenrin.training.artefact import Artefact
from nenrin.training.columns import take
from nenrin.training.declare import Model
from nenrin.training.fit import FitJob, blaming, mean_loss, open_table, train
from nenrin.training.meter import Meter
from nenrin.training.spaces import Floats, Integers, Space, contains
from nenrin.training.table import FOLDS, RowTable, Selection

if TYPE_CHECKING:
    import optuna

TRIALS = 20
_AT_A_TIME = 2

Progress = Callable[[str, int, int, str], None]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One set of parameters: its loss on the rows held back, and CPU seconds (measured)."""

    params: dict[str, Any]
    loss: float
    fit_cpu: float = 0.0
    predict_cpu: float = 0.0
    platform_cpu: float = 0.0


class Trials(Protocol):
    """Makes the trials of one tuning."""

    def made(self, jobs: Sequence[FitJob], horizon: int | None) -> list[Trial]:
        """A trial of each training, in order; what is held back of them as for :func:`tune`."""
        ...


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """What tuning found: the best parameters, and every trial in the order of asking."""

    params: dict[str, Any]
    trials: tuple[Trial, ...] = ()


def tune(
    trials_of: Trials,
    model: Model,
    job: FitJob,
    horizon: int | None,
    *,
    trials: int = TRIALS,
    progress: Progress | None = None,
) -> Tuned:
    """Search the model's ``tune=`` spaces inside the rows of ``job.selection``.

    Args:
        trials_of: makes the trials, two at a time.
        model: the declared model; without ``tune=`` nothing is searched.
        job: the training to be tuned; its ``params`` are kept where they are not tuned, and its
            ``seed`` seeds the search and every trial.
        horizon: rows asked in the last ``horizon`` microseconds before the cut-off are held back;
            ``None`` holds back a fold by key, where rows have no time.
        trials: how many sets of parameters are tried.
        progress: told of every finished trial.

    Raises:
        MissingExtraError: Optuna is not installed.
        StepError: the model function raised.
    """
    spaces = model.declared.tune
    if not spaces:
        return Tuned(params=job.params)
    study = _study(job.seed)
    defaults = _defaults(model)
    if defaults is not None:
        study.enqueue_trial(defaults)
    distributions = {name: _distribution(space) for name, space in spaces.items()}
    known: dict[str, Trial] = {}  # the search may ask for the same again
    done: list[Trial] = []
    while len(done) < trials:
        asked = [study.ask(distributions) for _ in range(min(_AT_A_TIME, trials - len(done)))]
        wanted = [{**job.params, **each.params} for each in asked]
        new = {digest(params): params for params in wanted if digest(params) not in known}
        jobs = [msgspec.structs.replace(job, params=params) for params in new.values()]
        known |= zip(new, trials_of.made(jobs, horizon), strict=True)
        for each, params in zip(asked, wanted, strict=True):
            done.append(known[digest(params)])
            study.tell(each, min(done[-1].loss, float("1e300")))
            if progress is not None:
                progress("tune", len(done), trials, f"loss {done[-1].loss:.4f}")
    best = min(done, key=lambda each: each.loss)  # of equals the first
    return Tuned(params=best.params, trials=tuple(done))


def trial(context: WorkerContext, job: FitJob, horizon: int | None) -> Trial:
    """Train on what is not held back and say the loss on what is; an unusable loss is infinite."""
    meter = Meter(context.timer)
    table = open_table(context, job.table)
    selection, held = _hold_back(table, job.selection, horizon)
    fitted = train(context, msgspec.structs.replace(job, selection=selection), table, meter)
    artefact = Artefact.loads(fitted.data, trusted=True)
    with blaming(fitted.where):
        p = artefact.predict_columns(take(table.columns, held), meter)
    loss = mean_loss(job.task, table.labels_at(job.selection.known_by)[held], p)
    return Trial(
        params=job.params,
        loss=loss if np.isfinite(loss) else float("inf"),
        fit_cpu=fitted.fit_cpu,
        predict_cpu=meter.user - fitted.fit_cpu,
        platform_cpu=meter.platform_cpu,
    )


def _hold_back(
    table: RowTable, selection: Selection, horizon: int | None
) -> tuple[Selection, np.ndarray]:
    """The selection without what is held back, and the places of the labelled rows held back."""
    if horizon is not None:
        start = selection.cutoff - horizon
        held = msgspec.structs.replace(selection, since=start)
        return msgspec.structs.replace(selection, cutoff=start), table.select(held).indices
    fold = next(fold for fold in range(FOLDS) if fold not in selection.without_folds)
    others = tuple(other for other in range(FOLDS) if other != fold)
    held = msgspec.structs.replace(selection, without_folds=others)
    left_out = (*selection.without_folds, fold)
    return (
        msgspec.structs.replace(selection, without_folds=left_out),
        table.select(held).indices,
    )


def _study(seed: int) -> optuna.Study:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingExtraError.of("optuna", "tune") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed % 2**32))


def _distribution(space: Space) -> optuna.distributions.BaseDistribution:
    from optuna import distributions

    if isinstance(space, Integers):
        return distributions.IntDistribution(space.low, space.high)
    if isinstance(space, Floats):
        return distributions.FloatDistribution(space.low, space.high, log=space.log)
    return distributions.CategoricalDistribution(space.options)


def _defaults(model: Model) -> dict[str, Any] | None:
    """The function's own values of the tuned parameters, if all of them can be found by the search."""
    if model.function is None:
        return None
    parameters = inspect.signature(model.function).parameters
    defaults = {name: parameters[name].default for name in model.declared.tune}
    inside = all(contains(model.declared.tune[name], each) for name, each in defaults.items())
    return defaults if inside else None
