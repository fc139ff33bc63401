"""The expression tree of a feature: a handful of frozen nodes that serialise by msgspec.

A view function is traced once into such trees (:mod:`nenrin.features.trace`); two evaluators compute them,
:mod:`nenrin.features.polars_expr` on columns and :mod:`nenrin.features.compiled` on one row. What every
operator means is written once, in ``docs/features.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal as OneOf

import msgspec

from nenrin.features.kinds import Kind

WindowOp = OneOf["count", "sum", "mean"]


class Column(msgspec.Struct, frozen=True, kw_only=True, tag="column"):
    """The value of a named column of the row."""

    name: str
    kind: Kind


class Literal(msgspec.Struct, frozen=True, kw_only=True, tag="literal"):
    """A constant, already physical: an instant is microseconds, a date is days."""

    value: bool | int | float | str
    kind: Kind


class Call(msgspec.Struct, frozen=True, kw_only=True, tag="call"):
    """An operator over nodes whose kinds already fit it; conversions are calls of their own."""

    op: str
    args: tuple[Column | Literal | Call | Window, ...]
    kind: Kind


class Window(msgspec.Struct, frozen=True, kw_only=True, tag="window"):
    """A count, sum or mean over the events of the last ``span`` microseconds.

    Attributes:
        op: what is computed.
        of: the expression over one event; None counts events.
        span: the window's length in microseconds.
        kind: integer for counts and for sums of integers and booleans, else number.
    """

    op: WindowOp
    of: Column | Literal | Call | None
    span: int
    kind: Kind


Node = Column | Literal | Call | Window


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, but not what lies inside a window."""
    yield node
    if isinstance(node, Call):
        for arg in node.args:
            yield from walk(arg)


def replaced(node: Node, windows: dict[Window, Column]) -> Node:
    """The same tree with every window replaced by the column that will hold its value."""
    if isinstance(node, Window):
        return windows[node]
    if isinstance(node, Call):
        args = tuple(replaced(arg, windows) for arg in node.args)
        return Call(op=node.op, args=args, kind=node.kind)
    return node
