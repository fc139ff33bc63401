"""One run of a graph: nodes whose inputs are there run side by side, and what each gives is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter
from typing import Any, Protocol

import msgspec

from nenrin.core.digest import derived_id
from nenrin.core.jobs import Job
from nenrin.core.timer import Timer
from nenrin.core.unit import Unit
from nenrin.pipelines.dispatcher import LOOK, Dispatcher, Ended
from nenrin.pipelines.graph import Fan, Graph, Node, Work

Progress = Callable[[str, int, int, str], None]


class Memory(Protocol):
    """What a run asks of the engine."""

    def found(self, node: Node, parts: Mapping[str, Any] | None) -> tuple[str, str]:
        """The output that a node need not compute again, or empty; and why it must."""
        ...

    def remember(
        self, name: str, parts: Mapping[str, Any], output: str, cpu: float, **told: str
    ) -> None:
        """Keep a step's output under its key; ``told`` as for :meth:`remember_in`."""
        ...

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
    ) -> None:
        """:meth:`remember` in an open unit; ``told``: what is kept of its code; ``why`` it was computed."""
        ...


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run.

    Attributes:
        outputs: output digest by node; of a fan's children too.
        ran: names of the nodes that were computed, in the order in which they ended.
        why: by name, why each of them was.
    """

    outputs: dict[str, str]
    ran: tuple[str, ...]
    why: dict[str, str]


class GraphRun:
    """Runs one graph once.

    Args:
        memory: remembers outputs.
        graph: the nodes.
        progress: told of each node.
        dispatcher: runs what workers do; None where the graph has nothing for them.
        timer: measures.
    """

    def __init__(
        self,
        memory: Memory,
        graph: Graph,
        progress: Progress | None,
        dispatcher: Dispatcher | None,
        timer: Timer,
    ) -> None:
        self._memory = memory
        self._graph = graph
        self._progress = progress
        self._dispatcher = dispatcher
        self._timer = timer
        self._sorter = TopologicalSorter({node.name: node.inputs for node in graph})
        self._outputs: dict[str, str] = {}
        self._ran: list[str] = []
        self._why: dict[str, str] = {}
        self._working: dict[str, Node] = {}  # by job
        self._fans: dict[str, _Spread] = {}  # by the child's name
        self._error: Exception | None = None

    def whole(self) -> Done:
        """Run it to its end.

        Raises:
            NenrinError: of the node that failed first.
        """
        self._sorter.prepare()
        try:
            while self._sorter.is_active() and self._advance():
                pass
        except BaseException:
            self._stop()
            raise
        if self._error is not None:
            raise self._error
        if self._dispatcher is not None:
            self._dispatcher.forget()
        self._say("done")
        return Done(outputs=self._outputs, ran=tuple(self._ran), why=self._why)

    def _advance(self) -> bool:
        """Begin what is ready, then wait for what runs; whether anything was left to do."""
        ready = self._sorter.get_ready() if self._error is None else ()
        for name in ready:
            self._begin(self._graph.nodes[name])
        if self._working and self._dispatcher is not None:
            job, node = next(iter(self._working.items()))
            self._say(node.name, self._dispatcher.newest(job))
            for ended in self._dispatcher.step(0.0 if ready else LOOK):
                self._end(ended)
            return True
        return bool(ready)

    def _begin(self, node: Node) -> None:
        inputs = {name: self._outputs[name] for name in node.inputs}
        parts = node.key_parts(inputs)
        known, why = self._memory.found(node, parts)
        if known:
            self._give(node, known)
            return
        self._why[node.name] = why
        if node.fan is not None:
            self._spread(node, node.fan, inputs, parts)
        elif node.work is not None:
            self._send(node, node.work, inputs, parts)
        else:
            self._say(node.name, node.note)
            self._run_here(node, inputs, parts)

    def _run_here(
        self, node: Node, inputs: dict[str, str], parts: Mapping[str, Any] | None
    ) -> None:
        why = self._why[node.name]
        before = self._timer.cpu()
        output = node.run(inputs) if node.run is not None else ""
        if parts is not None and node.run is not None:
            cpu = self._timer.cpu() - before
            self._memory.remember(node.name, parts, output, cpu, told=node.told, why=why)
        self._ran.append(node.name)
        self._give(node, output)

    def _send(
        self, node: Node, work: Work, inputs: dict[str, str], parts: Mapping[str, Any] | None
    ) -> None:
        """Hand a node to the dispatcher."""
        if self._dispatcher is None:
            raise TypeError(f"{node.name} needs a dispatcher")
        job = _named(work.job(inputs), node, parts)
        why = self._why[node.name]

        def commit(unit: Unit, value: Any) -> str:
            output = work.kept(value)
            if parts is not None:
                self._memory.remember_in(
                    unit, node.name, parts, output, 0.0, told=node.told, why=why
                )
            return output

        self._working[job.id] = node
        self._dispatcher.add(job, commit)

    def _spread(
        self, node: Node, fan: Fan, inputs: dict[str, str], parts: Mapping[str, Any] | None
    ) -> None:
        """Begin a fan's children; those that are remembered are not run again."""
        children = fan.children(inputs)
        spread = _Spread(node, fan, [child.name for child in children], parts)
        self._fans |= {child.name: spread for child in children}
        if not children:
            self._gather(spread)
        for child in children:
            self._begin(child)

    def _end(self, ended: Ended) -> None:
        node = self._working.pop(ended.job.id)
        if ended.error is not None:
            self._error = self._error or ended.error
            return
        self._ran.append(node.name)
        self._give(node, ended.output)

    def _give(self, node: Node, output: str) -> None:
        """Say what a node gave to whoever waits for it."""
        self._outputs[node.name] = output
        spread = self._fans.get(node.name)
        if spread is None:
            self._sorter.done(node.name)
        elif all(child in self._outputs for child in spread.children):
            self._gather(spread)

    def _gather(self, spread: _Spread) -> None:
        output = spread.fan.gathered([self._outputs[child] for child in spread.children])
        if spread.parts is not None:
            name, why = spread.node.name, self._why[spread.node.name]
            self._memory.remember(name, spread.parts, output, 0.0, told=spread.node.told, why=why)
        self._ran.append(spread.node.name)
        self._give(spread.node, output)

    def _stop(self) -> None:
        """End what runs: somebody asked, or this process cannot go on."""
        if self._working and self._dispatcher is not None:
            self._dispatcher.cancel()

    def _say(self, name: str, note: str = "") -> None:
        if self._progress:
            done = sum(1 for node in self._graph if node.name in self._outputs)
            self._progress(name, done, len(self._graph.nodes), note)


class _Spread:
    """A fan whose children run."""

    def __init__(
        self, node: Node, fan: Fan, children: list[str], parts: Mapping[str, Any] | None
    ) -> None:
        self.parts = parts
        self.node = node
        self.fan = fan
        self.children = children


def _named(job: Job, node: Node, parts: Mapping[str, Any] | None) -> Job:
    """The job under an id of its work: after a crash the same work is the same job."""
    said = msgspec.to_builtins(job.payload)
    return msgspec.structs.replace(
        job, id=derived_id("job", job.run, node.name, parts or {}, said), name=node.name
    )
