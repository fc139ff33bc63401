"""Trials of a tuning as jobs: what was tried before a crash, or with fewer trials, is not tried again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from nenrin.core.jobs import Job
from nenrin.core.store import ContentStore, whole
from nenrin.core.unit import Unit
from nenrin.pipelines.dispatcher import Commit
from nenrin.pipelines.engine import Engine
from nenrin.training.fit import FitJob
from nenrin.training.jobs import TRIAL, TrialJob
from nenrin.training.tune import Trial

Run = Callable[[Sequence[tuple[Job, Commit]]], list[str]]


class RememberedTrials:
    """The ``Trials`` of :mod:`nenrin.training.tune`, remembered by the engine.

    Attributes:
        made_now: those that were not remembered.

    Args:
        engine, store: where they are kept.
        parts: what decides the whole tuning; a trial is decided by its parameters as well.
        run: runs jobs.
        job: the job of a trial, from its name, its call, its payload and its key's parts.
    """

    def __init__(
        self,
        engine: Engine,
        store: ContentStore,
        parts: dict[str, Any],
        run: Run,
        job: Callable[[str, str, Any, dict[str, Any]], Job],
    ) -> None:
        self.made_now: list[Trial] = []
        self._engine = engine
        self._store = store
        self._parts = parts
        self._run = run
        self._job = job

    def made(self, jobs: Sequence[FitJob], horizon: int | None) -> list[Trial]:
        """A trial of each training, in order."""
        parts = [{**self._parts, "params": job.params} for job in jobs]
        known = [self._recalled(part) for part in parts]
        wanted = [
            self._wanted(TrialJob(job=job, horizon=horizon), part)
            for job, part, output in zip(jobs, parts, known, strict=True)
            if not output
        ]
        new = iter(self._run(wanted) if wanted else ())
        return [self._trial(output or next(new)) for output in known]

    def _recalled(self, parts: dict[str, Any]) -> str:
        known = self._engine.remembered("trial", parts)
        return known.output if known is not None and whole(self._store, known.output) else ""

    def _wanted(self, asked: TrialJob, parts: dict[str, Any]) -> tuple[Job, Commit]:
        def commit(unit: Unit, trial: Trial) -> str:
            output = self._store.put(_dumps(trial))
            self._engine.remember_in(unit, "trial", parts, output, trial.fit_cpu)
            self.made_now.append(trial)
            return output

        return self._job("tune", TRIAL, msgspec.to_builtins(asked), parts), commit

    def _trial(self, output: str) -> Trial:
        return msgspec.json.decode(self._store.get(output), type=Trial)


def _dumps(trial: Trial) -> bytes:
    """JSON has no infinity: a loss that cannot be used is written as the largest number."""
    return msgspec.json.encode(msgspec.structs.replace(trial, loss=min(trial.loss, 1e300)))
