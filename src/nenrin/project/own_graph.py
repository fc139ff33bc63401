"""The graph of a project's own steps: what they read, what decides what they give, and what workers do."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Self

import msgspec

from nenrin.core.digest import digest, digest_bytes
from nenrin.core.jobs import Job
from nenrin.core.store import ContentStore, whole
from nenrin.pipelines.graph import Fan, Graph, Node, Work
from nenrin.pipelines.source import Code, explain
from nenrin.project.loader import Project
from nenrin.project.own_steps import StepOutput, job_of
from nenrin.project.steps import Step

_CALL = "nenrin.project.own_steps:run_step"


class OwnGraph:
    """Nodes for the steps of one project.

    Attributes:
        folder: where workers import it.
        undeclared: what steps read without saying so, a sentence each.

    Args:
        project: its declarations.
        folder: where workers import it: an unpacked revision.
        run: what asks for the steps.
        code: what of a step's code decides its output.
        datasets, models: digests of what steps may read, by name.
        store: where outputs are kept.
    """

    def __init__(
        self,
        project: Project,
        folder: str,
        *,
        run: str,
        code: Callable[[Step], Code],
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
        self.undeclared: tuple[str, ...] = ()
        over = {step.declared.over for step in project.steps.values()}
        self._spread = {
            s.declared.name for s in project.steps.values() if not s.declared.over
        } & over

    @classmethod
    def of(cls, project: Project, store: ContentStore) -> Self:
        """The graph alone, to look at."""
        return cls(
            project, "", run="", code=lambda _: Code(parts={}), datasets={}, models={}, store=store
        )

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
        if not whole(self._store, output):
            return False
        found = msgspec.json.decode(self._store.get(output), type=StepOutput)
        return all(whole(self._store, content) for content in found.contents)

    def shown(self, output: str) -> str:
        """How what a step gave prints."""
        return msgspec.json.decode(self._store.get(output), type=StepOutput).shown

    def _input(self, name: str) -> Node:
        """What is there before any step runs."""
        digest_ = self._given.get(name, "")
        return Node(name=name, stage="input", expected=digest_, run=lambda _: digest_)

    def _node(self, step: Step) -> Node:
        spec, code = step.declared, self._code(step)
        plain = self._plain(step)
        kept = spec.cached and not code.doubts
        common: dict[str, Any] = {
            "name": spec.name,
            "stage": "own step",
            "inputs": spec.inputs,
            "parts": {**code.parts, **plain} if kept else None,
            "keep": spec.keep,
            "intact": self.intact,
            "told": self._store.put(msgspec.json.encode(code)) if kept and self._run else "",
            "explained": explained_by(code, self._store),
            "plain": frozenset(plain),
            "where": spec.where,
            "note": _uncached(step, code),
        }
        if spec.over:
            return Node(fan=self._fan(step, common["parts"]), **common)
        return Node(
            work=Work(job=lambda inputs: self._job(step, inputs), kept=self._keep), **common
        )

    def _plain(self, step: Step) -> dict[str, Any]:
        """What decides its output beside code and inputs."""
        spec = step.declared
        return {
            **{f"file {file}": self._file(file) for file in spec.files},
            **{f"variable {name}": os.environ.get(name) for name in spec.env},
            **({"elements": "kept one by one"} if spec.name in self._spread else {}),
        }

    def _file(self, file: str) -> str:
        path = self._project.folder / file
        return digest_bytes(path.read_bytes()) if path.is_file() else ""

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
            env=spec.env,
            timeout=spec.timeout,
            retries=spec.retries,
        )

    def _keep(self, output: StepOutput) -> str:
        self.undeclared += output.undeclared
        return self._store.put(msgspec.json.encode(msgspec.structs.replace(output, undeclared=())))

    def _fan(self, step: Step, parts: dict[str, Any] | None) -> Fan:
        """A child for each different element; the list in the elements' order."""
        spec = step.declared
        order: list[str] = []

        def children(inputs: Mapping[str, str]) -> list[Node]:
            order[:] = self._items(inputs[spec.over])
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
            codes = sorted({each.code for each in given if each.code})
            items = tuple(each.value for each in given)
            return self._keep(
                StepOutput(items=items, shown=shown, code=digest(codes) if codes else "")
            )

        return Fan(children=children, gathered=gathered)

    def _items(self, output: str) -> tuple[str, ...]:
        return msgspec.json.decode(self._store.get(output), type=StepOutput).items


def explained_by(code: Code, store: ContentStore) -> Callable[[str], list[str]]:
    """What changed in code since what is kept of it under a digest."""

    def explained(before: str) -> list[str]:
        if not store.has(before):
            return []
        return explain(msgspec.json.decode(store.get(before), type=Code), code)

    return explained


def _uncached(step: Step, code: Code) -> str:
    """Why a step runs every time; empty where it does not."""
    if not step.declared.cached:
        return "declared with cache=False"
    return f"cannot be cached: {code.doubts[0]}" if code.doubts else ""
