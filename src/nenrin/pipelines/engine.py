"""Runs graphs: what has been computed from the same inputs is taken, never computed again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from nenrin.core.calendar import Calendar
from nenrin.core.digest import digest
from nenrin.core.timer import Timer
from nenrin.core.unit import Unit, Units
from nenrin.pipelines.dispatcher import Dispatcher
from nenrin.pipelines.graph import Graph, Node
from nenrin.pipelines.ports import Results, StepResult
from nenrin.pipelines.run import Done, GraphRun, Progress

GONE = "its stored output is gone"


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
            return self._results.get(unit, key_of(name, _digests(parts)))

    def remember(
        self, name: str, parts: Mapping[str, Any], output: str, cpu: float, **told: str
    ) -> None:
        """Keep a step's output under its key, and as the newest of its name (:meth:`remember_in`)."""
        with self.writing() as unit:
            self.remember_in(unit, name, parts, output, cpu, **told)

    def writing(self) -> AbstractContextManager[Unit]:
        """A unit of work in which several steps are remembered."""
        return self._units.write(self._environment, self._calendar.now())

    def remember_in(
        self,
        unit: Unit,
        name: str,
        parts: Mapping[str, Any],
        output: str,
        cpu: float,
        *,
        told: str = "",
        why: str = "",
        called: str = "",
    ) -> None:
        """:meth:`remember` in an open unit.

        Args:
            told: digest of what is kept of its code.
            why: why it was computed.
            called: what people call it, where its name covers more than one thing.
        """
        digests = _digests(parts)
        key = key_of(name, digests)
        result = StepResult(
            key=key,
            step=name,
            output=output,
            parts=digests,
            cpu=cpu,
            at=unit.at,
            told=told,
            why=why,
        )
        self._results.put(unit, key, result)
        newest = StepResult(key=key, step=name, output=output, parts={}, cpu=cpu, at=unit.at)
        self._results.put(unit, self._newest(called or name), newest)
        if why == GONE:
            unit.record("healed.rerun", called or name, {"why": why})

    def changed(self, name: str, parts: Mapping[str, Any]) -> str:
        """Why a step with these key parts is not remembered: what differs from its newest result."""
        before = self.newest(name)
        if before is None:
            return "has not run yet"
        return _said(_changed(before.parts, _digests(parts)))

    def found(self, node: Node, parts: Mapping[str, Any] | None) -> tuple[str, str]:
        """The output that a node need not compute again, or empty; and why it must."""
        if parts is None:
            return "", node.note or "reads the outside world"
        known = self.remembered(node.name, parts)
        if known is None:
            return "", self._reason(node, parts)
        if node.keep is not None and self._calendar.now() - known.at > node.keep:
            return "", "what is remembered is too old"
        if not node.intact(known.output):
            return "", GONE
        return known.output, "same code, parameters and inputs"

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

    def run(
        self, graph: Graph, progress: Progress | None = None, dispatcher: Dispatcher | None = None
    ) -> Done:
        """Run what is not remembered; what does not wait for each other runs side by side.

        Args:
            graph: the nodes.
            progress: told of each.
            dispatcher: runs the nodes that workers do.

        Raises:
            NenrinError: of the node that failed first; what others had given by then is remembered.
        """
        return GraphRun(self, graph, progress, dispatcher, self._timer).whole()

    def newest(self, name: str) -> StepResult | None:
        """The result that a step gave last."""
        with self._units.read(self._environment) as unit:
            newest = self._results.get(unit, self._newest(name))
            return None if newest is None else self._results.get(unit, newest.key) or newest

    def readers(self, output: str) -> list[StepResult]:
        """The remembered results of steps that read an output, by its digest; oldest first."""
        read = digest(output)
        with self._units.read(self._environment) as unit:
            found = self._results.naming(unit, read)
        return [result for result in found if read in result.parts.values()]

    def _foresee(self, node: Node, outputs: Mapping[str, str]) -> Planned:
        cached, why, output = False, "", ""
        missing = [name for name in node.inputs if name not in outputs]
        if not node.runs:
            why = "decided by the loop"
        elif node.parts is None:
            why, output = node.note or "reads the outside world", node.expected
        elif missing:
            why = f"waits for {', '.join(missing)}"
        else:
            output, why = self.found(node, node.key_parts(outputs))
            cached = bool(output)
        return Planned(
            name=node.name,
            stage=node.stage,
            inputs=node.inputs,
            cached=cached,
            does="kept" if cached else "runs" if node.runs else "if due",
            why=why,
            note=node.note,
            output=output,
        )

    def _reason(self, node: Node, parts: Mapping[str, Any]) -> str:
        """Why a node that is not remembered runs: what changed since its newest result."""
        before = self.newest(node.name)
        if before is None:
            return "has not run yet"
        changed = _changed(before.parts, _digests(parts))
        if node.explained is not None and before.told:
            data = {*node.inputs, *node.plain}
            changed = [*node.explained(before.told), *(name for name in changed if name in data)]
        return _said(changed)

    def _newest(self, name: str) -> str:
        return f"newest {self._environment} {name}"


def key_of(name: str, parts: Mapping[str, str]) -> str:
    """A step's key, from the digests of its parts."""
    return digest([name, dict(parts)])


def _digests(parts: Mapping[str, Any]) -> dict[str, str]:
    return {name: digest(value) for name, value in parts.items()}


def _said(changed: list[str]) -> str:
    return f"changed: {', '.join(changed)}" if changed else "has not run with these inputs yet"


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = sorted({*before, *now})
    return [name for name in names if before.get(name) != now.get(name)]
