"""Runs graphs: what has been computed from the same inputs is taken, never computed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from nenrin.core.calendar import Calendar
from nenrin.core.digest import digest
from nenrin.core.timer import Timer
from nenrin.core.unit import Units
from nenrin.pipelines.graph import Graph, Node
from nenrin.pipelines.ports import Results, StepResult

Progress = Callable[[str, int, int, str], None]


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What a run would do with a node, ``does``: ``kept`` from before, ``runs``, or runs ``if due``."""

    name: str
    stage: str
    inputs: tuple[str, ...]
    cached: bool
    does: str
    why: str
    note: str = ""
    output: str = ""


class Engine:
    """Keys, plans and runs of graphs in one environment.

    A step's key is the digest of its name, its parts and its inputs' output digests: of what decides its
    output, and of nothing else. Equal outputs give equal keys downstream, so a change that changes nothing
    stops there.
    """

    def __init__(
        self, units: Units, results: Results, calendar: Calendar, timer: Timer, environment: str
    ) -> None:
        self._units = units
        self._results = results
        self._calendar = calendar
        self._timer = timer
        self._environment = environment

    def remembered(self, name: str, parts: Mapping[str, Any]) -> StepResult | None:
        """The result of a step with these key parts, if it has ever been computed."""
        with self._units.read(self._environment) as unit:
            return self._results.get(unit, _key(name, _digests(parts)))

    def remember(self, name: str, parts: Mapping[str, Any], output: str, cpu: float) -> None:
        """Keep a step's output under its key, and as the newest of its name."""
        digests = _digests(parts)
        key = _key(name, digests)
        result = StepResult(key=key, step=name, output=output, parts=digests, cpu=cpu)
        with self._units.write(self._environment, self._calendar.now()) as unit:
            self._results.put(unit, key, result)
            self._results.put(unit, self._newest(name), result)

    def plan(self, graph: Graph) -> list[Planned]:
        """What a run would do, without doing it.

        A node that reads the outside world is reckoned to give what it gave last.
        """
        outputs: dict[str, str] = {}
        planned = []
        for node in graph:
            step = self._foresee(node, outputs)
            if step.output:
                outputs[node.name] = step.output
            planned.append(step)
        return planned

    def run(self, graph: Graph, progress: Progress | None = None) -> dict[str, str]:
        """Run what is not remembered, in order.

        Returns:
            the output digest of every node.
        """
        outputs: dict[str, str] = {}
        total = len(graph.nodes)
        for done, node in enumerate(graph):
            if progress:
                progress(node.name, done, total, node.note)
            outputs[node.name] = self._output(node, {name: outputs[name] for name in node.inputs})
        if progress:
            progress("done", total, total, "")
        return outputs

    def why(self, name: str, parts: Mapping[str, Any]) -> list[str]:
        """The parts of a step's key that differ from those of its newest result."""
        before = self._last(name)
        return [] if before is None else _changed(before.parts, _digests(parts))

    def _output(self, node: Node, inputs: dict[str, str]) -> str:
        if node.run is None:
            return ""
        parts = None if node.parts is None else {**node.parts, **inputs}
        known = None if parts is None else self.remembered(node.name, parts)
        if known is not None:
            return known.output
        before = self._timer.cpu()
        output = node.run(inputs)
        if parts is not None:
            self.remember(node.name, parts, output, self._timer.cpu() - before)
        return output

    def _foresee(self, node: Node, outputs: Mapping[str, str]) -> Planned:
        cached, why, output = False, "", ""
        missing = [name for name in node.inputs if name not in outputs]
        if node.run is None:
            why = "decided by the loop"
        elif node.parts is None:
            why, output = "reads the outside world", node.expected
        elif missing:
            why = f"waits for {', '.join(missing)}"
        else:
            parts = {**node.parts, **{name: outputs[name] for name in node.inputs}}
            known = self.remembered(node.name, parts)
            cached = known is not None
            output = known.output if known else ""
            why = "same code, parameters and inputs" if cached else self._reason(node.name, parts)
        return Planned(
            name=node.name,
            stage=node.stage,
            inputs=node.inputs,
            cached=cached,
            does="kept" if cached else "runs" if node.run else "if due",
            why=why,
            note=node.note,
            output=output,
        )

    def _reason(self, name: str, parts: Mapping[str, Any]) -> str:
        changed = self.why(name, parts)
        return f"changed: {', '.join(changed)}" if changed else "has not run yet"

    def _last(self, name: str) -> StepResult | None:
        with self._units.read(self._environment) as unit:
            return self._results.get(unit, self._newest(name))

    def _newest(self, name: str) -> str:
        return f"newest {self._environment} {name}"


def _digests(parts: Mapping[str, Any]) -> dict[str, str]:
    return {name: digest(value) for name, value in parts.items()}


def _key(name: str, parts: Mapping[str, str]) -> str:
    return digest([name, dict(parts)])


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = sorted({*before, *now})
    return [name for name in names if before.get(name) != now.get(name)]
