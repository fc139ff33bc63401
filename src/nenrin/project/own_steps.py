"""Steps of the project's own in a worker: called with what their parameters name, their values kept."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec

from nenrin.core.errors import NenrinError, StepError
from nenrin.core.instants import NEVER
from nenrin.core.store import ContentStore
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
        spread: whether its elements are kept one by one, for steps that are called for each.
        item: digest of the element that it is called for; empty where it is called once.
        datasets, models, steps: digests of what it reads, by parameter: a manifest, a model, an output.
    """

    project: str
    step: str
    spread: bool = False
    item: str = ""
    datasets: dict[str, str] = {}
    models: dict[str, str] = {}
    steps: dict[str, str] = {}


class StepOutput(msgspec.Struct, frozen=True, kw_only=True):
    """What a step gave.

    Attributes:
        value: digest of the pickled value; empty where there are items alone.
        items: digests of its pickled elements, where steps are called for each.
        shown: how it prints.
    """

    value: str = ""
    items: tuple[str, ...] = ()
    shown: str = ""

    @property
    def contents(self) -> tuple[str, ...]:
        """Every digest that it names."""
        return (*([self.value] if self.value else []), *self.items)


def run_step(context: WorkerContext, payload: Any) -> StepOutput:
    """Call a step's function with what its parameters name, and keep what it returns.

    Args:
        context: the worker's.
        payload: a :class:`StepJob` as plain values.

    Raises:
        StepError: the function raised, or what it returned cannot be kept.
    """
    job = msgspec.convert(payload, StepJob)
    found = context.project(job.project)
    step = next(s for s in found.values() if isinstance(s, Step) and s.declared.name == job.step)
    if context.scratch is not None:
        _lay_out(step.declared.files, Path(job.project), context.scratch)
    arguments = _arguments(context, job, step.declared.over)
    context.entering(step.declared.where)
    value = _guarded(step, "raised", lambda: step(**arguments))
    context.entering("")
    kept: StepOutput = _guarded(
        step, "returned what cannot be kept:", lambda: _kept(context.store, job, value)
    )
    return kept


def _guarded(step: Step, what: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except NenrinError:
        raise
    except Exception as error:
        raise StepError.of(
            error,
            f"step {step.declared.name} {what} {type(error).__name__}: {error}",
            hint="see the line",
            where=_line_in(step, error),
            trace="".join(traceback.format_exception(error)),
        ) from error


def _kept(store: ContentStore, job: StepJob, value: Any) -> StepOutput:
    """Keep a value, or its elements."""
    shown = repr(value)[:SHOWN]
    if not job.spread:
        return StepOutput(value=store.put(cloudpickle.dumps(value)), shown=shown)
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"a list is wanted, one element a call, not {type(value).__name__}")
    return StepOutput(items=tuple(store.put(cloudpickle.dumps(v)) for v in value), shown=shown)


def _lay_out(files: tuple[str, ...], project: Path, folder: Path) -> None:
    """Put the declared files into the working folder."""
    for file in files:
        link = folder / file
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(project / file)


def _arguments(context: WorkerContext, job: StepJob, over: str) -> dict[str, Any]:
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
        given[name] = value_of(context.store, digest)
    if job.item:
        given[over] = cloudpickle.loads(context.store.get(job.item))
    return given


def value_of(store: ContentStore, output: str) -> Any:
    """What a step returned, from the digest of its output."""
    found = msgspec.json.decode(store.get(output), type=StepOutput)
    if found.value:
        return cloudpickle.loads(store.get(found.value))
    return [cloudpickle.loads(store.get(item)) for item in found.items]


def job_of(
    step: Step,
    folder: str,
    *,
    datasets: Mapping[str, str],
    models: Mapping[str, str],
    outputs: Mapping[str, str],
    **more: Any,
) -> StepJob:
    """The job of a step whose inputs are ready."""
    reads = step.declared.inputs
    return StepJob(
        project=folder,
        step=step.declared.name,
        datasets={name: datasets[name] for name in reads if name in datasets},
        models={name: models[name] for name in reads if name in models},
        steps={name: outputs[name] for name in reads if name in outputs},
        **more,
    )


def _line_in(step: Step, error: BaseException) -> str:
    """The last line of the project's own that the error came through."""
    folder = str(Path(step.declared.where.rpartition(":")[0]).parent)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{f.filename}:{f.lineno}" for f in frames if f.filename.startswith(folder)]
    return lines[-1] if lines else step.declared.where
