"""A graph of named steps and the order they run in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec

from nenrin.core.errors import ProjectError
from nenrin.core.jobs import Job

Run = Callable[[Mapping[str, str]], str]


def _always(_output: str) -> bool:
    return True


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker does for a node.

    Attributes:
        job: makes the job from the inputs' digests; the engine gives it id and run.
        kept: keeps what its function gave, and says the digest of that.
    """

    job: Callable[[Mapping[str, str]], Job]
    kept: Callable[[Any], str]


class Fan(msgspec.Struct, frozen=True, kw_only=True):
    """How a node becomes many.

    Attributes:
        children: nodes without inputs, made from the inputs' digests.
        gathered: keeps the children's outputs, in their order, and says the digest of that.
    """

    children: Callable[[Mapping[str, str]], list[Node]]
    gathered: Callable[[list[str]], str]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One step.

    Attributes:
        name: unique in its graph, such as ``load:flights``.
        stage: which part of the lifecycle it belongs to, for people.
        inputs: names of the nodes whose output digests it reads.
        parts: plain values that decide its output beside its inputs (parameters, code digests); ``None``
            where its output depends on the outside world, so that it runs every time.
        expected: the output of its last run, where ``parts`` is None: what a plan reckons with.
        run: ``{input name: output digest} -> output digest``, called in the engine's process.
        work: what a worker does instead.
        fan: what becomes many nodes instead, when its inputs are there.
        keep: microseconds for which a remembered output is good; None: for ever.
        intact: whether an output can still be read.
        told: digest of what is kept of its code, for a later explanation.
        explained: what changed in its code since an earlier ``told``, a sentence each.
        plain: names of those of its parts that are no code.
        where: ``file:line`` of the declaration behind it.
        note: what a plan says about it.
    """

    name: str
    stage: str
    inputs: tuple[str, ...] = ()
    parts: dict[str, Any] | None = None
    expected: str = ""
    run: Run | None = None
    work: Work | None = None
    fan: Fan | None = None
    keep: int | None = None
    intact: Callable[[str], bool] = _always
    told: str = ""
    explained: Callable[[str], list[str]] | None = None
    plain: frozenset[str] = frozenset()
    where: str = ""
    note: str = ""

    @property
    def runs(self) -> bool:
        """Whether the engine runs it; else something else decides."""
        return self.run is not None or self.work is not None or self.fan is not None

    def key_parts(self, inputs: Mapping[str, str]) -> dict[str, Any] | None:
        """Everything that decides its output; None where that cannot be told."""
        if self.parts is None:
            return None
        return {**self.parts, **{name: inputs[name] for name in self.inputs}}


class Graph:
    """Nodes by name, in an order in which every node follows its inputs.

    Raises:
        ProjectError: a name is not known, given twice, or part of a cycle.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        listed = list(nodes)
        known = {node.name: node for node in listed}
        if len(known) < len(listed):
            twice = next(n.name for n in listed if n is not known[n.name])
            raise ProjectError(
                f"two steps are called {twice!r}", hint="rename one", where=known[twice].where
            )
        for node in listed:
            for name in node.inputs:
                if name not in known:
                    raise ProjectError(
                        f"step {node.name} reads {name!r}, which nothing gives",
                        hint=f"a parameter names one of: {', '.join(sorted(known))}",
                        where=node.where,
                    )
        self.nodes = {name: known[name] for name in _ordered(known)}

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())


def _ordered(known: Mapping[str, Node]) -> list[str]:
    sorter = TopologicalSorter({name: node.inputs for name, node in known.items()})
    try:
        return list(sorter.static_order())
    except CycleError as error:
        ring = error.args[1]
        raise ProjectError(
            f"the steps {' -> '.join(ring)} read each other in a circle",
            hint=f"remove one parameter: {ring[0]} cannot wait for itself",
            where=known[ring[0]].where,
        ) from None
