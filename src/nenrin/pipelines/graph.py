"""A graph of named steps and the order they run in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec

from nenrin.core.errors import ProjectError

Run = Callable[[Mapping[str, str]], str]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One step.

    Attributes:
        name: unique in its graph, such as ``load:flights``.
        stage: which part of the lifecycle it belongs to, for people.
        inputs: names of the nodes whose output digests it reads.
        parts: plain values that decide its output beside its inputs (parameters, code digests); ``None``
            where its output depends on the outside world, so that it runs every time.
        expected: the output of its last run, where ``parts`` is None: what a plan reckons with.
        run: ``{input name: output digest} -> output digest``.
        where: ``file:line`` of the declaration behind it.
        note: what a plan says about it.
    """

    name: str
    stage: str
    inputs: tuple[str, ...] = ()
    parts: dict[str, Any] | None = None
    expected: str = ""
    run: Run | None = None
    where: str = ""
    note: str = ""


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
