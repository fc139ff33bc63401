"""The graph of a project's own steps: what they read, what decides what they give, and what workers do."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Self

import msgspec

from nenrin.core.digest import digest
from nenrin.core.jobs import Job
from nenrin.core.store import ContentStore
from nenrin.pipelines.graph import Fan, Graph, Node, Work
from nenrin.project.loader import Project
from nenrin.project.own_steps import StepOutput, job_of
from nenrin.project.steps import Step

_CALL = "nenrin.project.own_steps:run_step"


class OwnGraph:
    """Nodes for the steps of one project.

    Args:
        project: its declarations.
        folder: where workers import it: an unpacked revision.
        run: what asks for the steps.
        code: what of a step's code decides its output, by part; None where that cannot be told.
        datasets, models: digests of what steps may read, by name.
        store: where outputs are kept.
    """

    def __init__(
        self,
        project: Project,
        folder: str,
        *,
        run: str,
        code: Callable[[Step], Mapping[str, Any] | None],
        datasets: Mapping[str, str],
        models: Mapping[str, str],
        store: ContentStore,
    ) -> None:
        self._project = project
        self.folder = folder
        self._run = run
        self._code = code
        self._given = {**datasets, **models}
        self._datasets = datasets
        self._models = models
        self._store = store
        over = {step.declared.over for step in project.steps.values()}
        self._spread = {
            s.declared.name for s in project.steps.values() if not s.declared.over
        } & over

    @classmethod
    def of(cls, project: Project, store: ContentStore) -> Self:
        """The graph alone, to look at."""
        return cls(project, "", run="", code=lambda _: None, datasets={}, models={}, store=store)

    def graph(self) -> Graph:
        """What is given, and the steps.

        Raises:
            ProjectError: a step reads what nothing gives, or waits for itself.
        """
        names = dict.fromkeys([*self._project.datasets, *self._project.models, *self._given])
        given = [self._input(name) for name in names]
        return Graph([*given, *(self._node(step) for step in self._project.steps.values())])

    def intact(self, output: str) -> bool:
        """Whether everything that a step gave can still be read."""
        if not self._store.has(output):
            return False
        found = msgspec.json.decode(self._store.get(output), type=StepOutput)
        return all(self._store.has(content) for content in found.contents)

    def shown(self, output: str) -> str:
        """How what a step gave prints."""
        return msgspec.json.decode(self._store.get(output), type=StepOutput).shown

    def _input(self, name: str) -> Node:
        """What is there before any step runs."""
        digest_ = self._given.get(name, "")
        return Node(name=name, stage="input", expected=digest_, run=lambda _: digest_)

    def _node(self, step: Step) -> Node:
        spec = step.declared
        common: dict[str, Any] = {
            "name": spec.name,
            "stage": "own step",
            "inputs": spec.inputs,
            "parts": self._parts(step),
            "keep": spec.keep,
            "intact": self.intact,
            "where": spec.where,
            "note": "" if spec.cached else "declared with cache=False",
        }
        if spec.over:
            return Node(fan=self._fan(step), **common)
        return Node(
            work=Work(job=lambda inputs: self._job(step, inputs), kept=self._keep), **common
        )

    def _parts(self, step: Step) -> dict[str, Any] | None:
        """What decides its output beside its inputs; None: it is run every time."""
        spec, code = step.declared, self._code(step)
        if not spec.cached or code is None:
            return None
        return {
            **code,
            **{f"file {file}": self._file(file) for file in spec.files},
            **{f"variable {name}": os.environ.get(name, "") for name in spec.env},
            **({"elements": "kept one by one"} if spec.name in self._spread else {}),
        }

    def _file(self, file: str) -> str:
        path = self._project.folder / file
        return digest(path.read_bytes().hex()) if path.is_file() else ""

    def _job(self, step: Step, inputs: Mapping[str, str], item: str = "") -> Job:
        spec = step.declared
        read = {name: value for name, value in inputs.items() if name != spec.over or not item}
        payload = job_of(
            step,
            self.folder,
            datasets={name: read[name] for name in read if name in self._datasets},
            models={name: read[name] for name in read if name in self._models},
            outputs={name: read[name] for name in read if name in self._project.steps},
            spread=spec.name in self._spread,
            item=item,
        )
        return Job(
            id="",
            run=self._run,
            name=spec.name,
            call=_CALL,
            payload=msgspec.to_builtins(payload),
            project=self.folder,
            seed=int(digest([spec.name, dict(read), item])[:8], 16),
            priority=spec.priority,
            needs=spec.needs,
            timeout=spec.timeout,
            retries=spec.retries,
        )

    def _keep(self, output: StepOutput) -> str:
        return self._store.put(msgspec.json.encode(output))

    def _fan(self, step: Step) -> Fan:
        """A child for each different element; the list in the elements' order."""
        spec = step.declared
        order: list[str] = []

        def children(inputs: Mapping[str, str]) -> list[Node]:
            order[:] = self._items(inputs[spec.over])
            parts = self._parts(step)
            rest = {name: inputs[name] for name in spec.inputs if name != spec.over}
            return [
                Node(
                    name=f"{spec.name}[{item[:12]}]",
                    stage="own step",
                    parts=None if parts is None else {**parts, **rest, spec.over: item},
                    keep=spec.keep,
                    intact=self.intact,
                    work=Work(
                        job=lambda _, item=item: self._job(step, inputs, item),  # type: ignore[misc]
                        kept=self._keep,
                    ),
                )
                for item in dict.fromkeys(order)
            ]

        def gathered(outputs: list[str]) -> str:
            values = {
                item: msgspec.json.decode(self._store.get(output), type=StepOutput)
                for item, output in zip(dict.fromkeys(order), outputs, strict=True)
            }
            given = [values[item] for item in order]
            shown = f"[{', '.join(each.shown for each in given)}]"
            return self._keep(StepOutput(items=tuple(each.value for each in given), shown=shown))

        return Fan(children=children, gathered=gathered)

    def _items(self, output: str) -> tuple[str, ...]:
        return msgspec.json.decode(self._store.get(output), type=StepOutput).items
