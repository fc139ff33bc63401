"""Fits and trials as jobs: what a worker calls, with plain values as jobs keep them."""

from __future__ import annotations

from typing import Any

import msgspec

from nenrin.pipelines.executor import WorkerContext
from nenrin.training.fit import FitJob, FitResult, fit
from nenrin.training.tune import Trial, trial

FIT = "nenrin.training.jobs:run_fit"
TRIAL = "nenrin.training.jobs:run_trial"


def run_fit(context: WorkerContext, payload: Any) -> FitResult:
    """Train the :class:`FitJob` of ``payload`` (see :func:`nenrin.training.fit.fit`)."""
    return fit(context, msgspec.convert(payload, FitJob))


class TrialJob(msgspec.Struct, frozen=True, kw_only=True):
    """One trial: the training with its parameters, and microseconds held back (None: a fold)."""

    job: FitJob
    horizon: int | None = None


def run_trial(context: WorkerContext, payload: Any) -> Trial:
    """Make the :class:`TrialJob` of ``payload`` (see :func:`nenrin.training.tune.trial`)."""
    asked = msgspec.convert(payload, TrialJob)
    return trial(context, asked.job, asked.horizon)
