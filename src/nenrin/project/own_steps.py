"""Steps of the project's own: run in a worker when what they read is there, remembered by their key."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import cloudpickle
import msgspec

from nenrin.core.errors import NenrinError, StepError
from nenrin.core.instants import NEVER
from nenrin.data.files import Manifest, read_files
from nenrin.pipelines.executor import WorkerContext
from nenrin.project.steps import Step
from nenrin.training.artefact import Artefact

SHOWN = 2_000  # characters of what a step returned that are kept for people


class StepJob(msgspec.Struct, frozen=True, kw_only=True):
    """One step to run.

    Attributes:
        project: folder of the unpacked revision.
        step: its name.
        datasets, models, steps: digests of what it reads, by parameter: a manifest, a model, an output.
    """

    project: str
    step: str
    datasets: dict[str, str] = {}
    models: dict[str, str] = {}
    steps: dict[str, str] = {}


class StepOutput(msgspec.Struct, frozen=True, kw_only=True):
    """What a step gave: the digest of the pickled value, and how it prints."""

    value: str
    shown: str


def run_step(context: WorkerContext, job: StepJob) -> StepOutput:
    """Call the step's function with what its parameters name, and keep what it returns.

    Raises:
        StepError: the function raised, or what it returned cannot be kept.
    """
    steps = {
        s.declared.name: s for s in context.project(job.project).values() if isinstance(s, Step)
    }
    step = steps[job.step]
    try:
        value = step(**_arguments(context, job))
        data = cloudpickle.dumps(value)
    except NenrinError:
        raise
    except Exception as error:
        raise StepError(
            f"step {job.step} raised {type(error).__name__}: {error}",
            hint="see the line",
            where=_line_in(step, error),
        ) from error
    return StepOutput(value=context.store.put(data), shown=repr(value)[:SHOWN])


def _arguments(context: WorkerContext, job: StepJob) -> dict[str, Any]:
    """Frames, models and earlier results by parameter."""
    given: dict[str, Any] = {}
    for name, digest in job.datasets.items():
        manifest = msgspec.json.decode(context.store.get(digest), type=Manifest)
        given[name] = read_files(manifest, context.store, NEVER, None).drop(
            "__event__", "__known__"
        )
    for name, digest in job.models.items():
        given[name] = Artefact.loads(context.store.get(digest), trusted=True)
    for name, digest in job.steps.items():
        given[name] = cloudpickle.loads(context.store.get(digest))
    return given


def job_of(
    step: Step,
    folder: str,
    *,
    datasets: Mapping[str, str],
    models: Mapping[str, str],
    outputs: Mapping[str, str],
) -> StepJob:
    """The job of a step whose inputs are ready."""
    reads = step.declared.inputs
    return StepJob(
        project=folder,
        step=step.declared.name,
        datasets={name: datasets[name] for name in reads if name in datasets},
        models={name: models[name] for name in reads if name in models},
        steps={name: outputs[name] for name in reads if name in outputs},
    )


def _line_in(step: Step, error: BaseException) -> str:
    file = step.declared.where.rpartition(":")[0]
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    return f"{file}:{lines[-1]}" if lines else step.declared.where
