"""Steps of the project's own in a worker: called with what their parameters name, their values kept."""

from __future__ import annotations

import io
import pickle
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec

from nenrin.core.digest import digest
from nenrin.core.errors import USERS_ERRORS, NenrinError, StepError
from nenrin.core.instants import NEVER
from nenrin.core.store import ContentStore
from nenrin.data.files import Manifest, read_files
from nenrin.pipelines.executor import WorkerContext
from nenrin.pipelines.pickled import named_in
from nenrin.pipelines.source import SourceReader
from nenrin.pipelines.traces import own_line, told
from nenrin.pipelines.witness import Seen, witnessed
from nenrin.project.loader import FILE
from nenrin.project.steps import Step
from nenrin.training.artefact import Artefact

_ADDRESS = re.compile(
    r" at 0x[0-9a-f]+(?=>)"
)  # another one in every process: equal values print alike
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
        code: digest of the code of the project's own classes that the value is of: one that behaves otherwise
            is another output.
        undeclared: what the step read without saying so, a sentence each; not kept.
    """

    value: str = ""
    items: tuple[str, ...] = ()
    shown: str = ""
    code: str = ""
    undeclared: tuple[str, ...] = ()

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
    project = context.folder(job.project)
    if context.scratch is not None:
        _lay_out(step.declared.files, project, context.scratch)
    arguments = _arguments(context, job, step.declared.over)
    context.entering(step.declared.where)
    with witnessed([project, *([context.scratch] if context.scratch else [])]) as seen:
        value = _guarded(step, "raised", project, lambda: step(**arguments))
    context.entering("")
    kept: StepOutput = _guarded(
        step,
        "returned what cannot be kept:",
        project,
        lambda: _kept(context.store, job, str(project), value),
    )
    return msgspec.structs.replace(kept, undeclared=_undeclared(step, seen))


def _guarded(step: Step, what: str, project: Path, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except NenrinError:
        raise
    except USERS_ERRORS as error:
        raise StepError.of(
            error,
            f"step {step.declared.name} {what} {type(error).__name__}: {error}",
            hint="see the line",
            where=own_line(error, project) or step.declared.where,
            trace=told(error, project),
        ) from error


def _kept(store: ContentStore, job: StepJob, project: str, value: Any) -> StepOutput:
    """Keep a value, or its elements."""
    shown = _ADDRESS.sub("", repr(value))[:SHOWN]
    if not job.spread:
        data = cloudpickle.dumps(value)
        return StepOutput(value=store.put(data), shown=shown, code=_classes([data], project))
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"a list is wanted, one element a call, not {type(value).__name__}")
    parts = [cloudpickle.dumps(element) for element in value]
    items = tuple(store.put(part) for part in parts)
    return StepOutput(items=items, shown=shown, code=_classes(parts, project))


def _classes(pickles: list[bytes], project: str) -> str:
    """Digest of the code of the project's own classes that pickles name; empty where there are none."""
    found = {}
    reader = SourceReader(Path(project), FILE)
    for module, name in sorted(set().union(*map(named_in, pickles))):
        home = sys.modules.get(module)
        if not str(getattr(home, "__file__", "")).startswith(project):
            continue
        kind: Any = home
        for attribute in name.split("."):
            kind = getattr(kind, attribute, None)
        if isinstance(kind, type):
            found[name] = reader.code_of(kind).parts
    return digest(found) if found else ""


def _undeclared(step: Step, seen: Seen) -> tuple[str, ...]:
    """What a cached step read that does not decide whether it runs again."""
    if not step.declared.cached:
        return ()
    name = step.declared.name
    return (
        *(f"step {name} read {file}, which it does not declare: files=[…]" for file in seen.files),
        *(
            f"step {name} connected to {place}: what it gave is taken again all the same; "
            'say cache=False or cache="1d"'
            for place in seen.connections
        ),
        *(
            f"step {name} started {command}: nothing tells whether its output changes"
            for command in seen.commands
        ),
    )


class _Here(pickle.Unpickler):
    """Reads what any revision's step returned: classes of its project file are this revision's."""

    def __init__(self, data: bytes, project: Mapping[str, object]) -> None:
        super().__init__(io.BytesIO(data))
        self._module = str(project.get("__name__", ""))

    def find_class(self, module: str, name: str) -> Any:
        """The class of that name."""
        own = module.startswith("nenrin_project_") and self._module
        return super().find_class(self._module if own else module, name)


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
    for name, found in job.datasets.items():
        manifest = msgspec.json.decode(context.store.get(found), type=Manifest)
        given[name] = read_files(manifest, context.store, NEVER, None).drop(
            "__event__", "__known__"
        )
    for name, found in job.models.items():
        given[name] = Artefact.loads(context.store.get(found), trusted=True)
    for name, found in job.steps.items():
        given[name] = _value_of(context, job.project, found)
    if job.item:
        given[over] = _loaded(context, job.project, job.item)
    return given


def _value_of(context: WorkerContext, project: str, output: str) -> Any:
    """What a step returned, from the digest of its output."""
    found = msgspec.json.decode(context.store.get(output), type=StepOutput)
    if found.value:
        return _loaded(context, project, found.value)
    return [_loaded(context, project, item) for item in found.items]


def _loaded(context: WorkerContext, project: str, content: str) -> Any:
    return _Here(context.store.get(content), context.project(project)).load()


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
