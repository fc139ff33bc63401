"""Tracing: a view function is called once, with a row that records instead of computing.

The result is a typed tree for each feature, the same for training and for the live request. A function over
request rows that cannot be traced (an ``if``, a dictionary of its own) is kept as it is and runs row by
row in both; windows and point-in-time views must trace.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NoReturn

import polars as pl

from nenrin.core.errors import USERS_ERRORS, NenrinError, ProjectError
from nenrin.features.by_row import line_of
from nenrin.features.code import check_code, named_columns
from nenrin.features.declare import FeatureView
from nenrin.features.kinds import FEATURE_KINDS, Kind, kind_of, kinds
from nenrin.features.rules import caller, literal, refuse, window
from nenrin.features.traced import Traced
from nenrin.features.tree import Column, Node, Window, replaced, walk
from nenrin.features.values import UntraceableError, Value


class TracedRow:
    """The row a view function gets while it is traced: its columns are attributes and items."""

    __slots__ = ("_kinds", "_schema", "_zone")

    def __init__(self, schema: pl.Schema, zone: str) -> None:
        self._schema = schema
        self._kinds = kinds(schema)
        self._zone = zone

    def __getitem__(self, name: str) -> Value:
        kind = self._kinds.get(name)
        if kind is None:
            return self._unknown(name)
        return Value(Column(name=name, kind=kind), self._zone)

    def __getattr__(self, name: str) -> Value:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def count(self, span: str) -> Value:
        """How many events there were in the last ``span``; a column of this name is ``row["count"]``."""
        return Value(window("count", None, span), self._zone)

    def __iter__(self) -> Any:
        raise UntraceableError(
            "a traced row cannot be iterated", hint="name its columns", where=caller()
        )

    def __bool__(self) -> bool:
        raise UntraceableError("a traced row is neither true nor false", hint="", where=caller())

    def _unknown(self, name: str) -> NoReturn:
        if name in self._schema:
            refuse(
                f"column {name} holds {self._schema[name]}, which features cannot read",
                "turn it into numbers, text or times in the dataset's loader",
            )
        near = difflib.get_close_matches(name, self._kinds, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(self._kinds)}"
        refuse(f"the dataset has no column {name!r}", hint)


def trace(view: FeatureView, schema: pl.Schema, tz: str | None) -> Traced:
    """Trace a view over a dataset with columns ``schema``, whose local times are in ``tz`` (None: UTC).

    Raises:
        ProjectError: an unknown column, kinds that do not fit, a result that is not a dict of features;
            for windows and point-in-time views also a function that cannot be traced. ``where`` is the
            user's line.
    """
    declared = view.declared
    by = _by(view, schema)
    row = TracedRow(schema, tz or "UTC")
    try:
        nodes = _nodes(view, row, tz or "UTC")
    except UntraceableError as error:
        if declared.by:
            error.hint = f"{error.hint}; views with by= must trace".lstrip("; ")
            raise
        return Traced(
            view=declared.name,
            columns=named_columns(view.function, kinds(schema)),
            python=f"{error.where}: {error.message}",
            where=declared.where,
        )
    windows = _windows(nodes)
    _check_words(view, nodes, windows)
    names = {node: Column(name=f"__window_{i}__", kind=node.kind) for i, node in enumerate(windows)}
    columns = {
        n.name: n.kind for node in nodes.values() for n in walk(node) if isinstance(n, Column)
    }
    return Traced(
        view=declared.name,
        dataset=view.dataset.declared.name,
        by=by,
        key=view.dataset.declared.key,
        ttl=declared.ttl,
        hop=declared.hop or 1,
        features={name: replaced(node, names) for name, node in nodes.items()},
        windows=windows,
        columns=columns,
        where=declared.where,
    )


def _nodes(view: FeatureView, row: TracedRow, zone: str) -> dict[str, Node]:
    spec = view.declared
    check_code(view.function)
    try:
        result: Any = view.function(row)
    except NenrinError:
        raise
    except USERS_ERRORS as error:
        raise UntraceableError(
            f"{type(error).__name__}: {error}",
            hint="use operators and methods of the row's columns only",
            where=line_of(error, spec.where),
        ) from error
    if not isinstance(result, Mapping) or not result:
        raise ProjectError(
            f"feature view {spec.name} gives {type(result).__name__}, not a dict of features",
            hint='return {"temp": w.temp}',
            where=spec.where,
        )
    return {
        _checked_name(name, spec.where): _node(name, value, zone, spec.where)
        for name, value in result.items()
    }


def _checked_name(name: Any, where: str) -> str:
    if not isinstance(name, str) or not name or name.startswith("__"):
        raise ProjectError(
            f"a feature is named {name!r}",
            hint='name features by texts: {"temp": w.temp}',
            where=where,
        )
    return name


def _node(name: str, value: Any, zone: str, where: str) -> Node:
    if not isinstance(value, Value):
        try:
            value = Value(literal(value, zone), zone)
        except ProjectError as error:
            raise UntraceableError(
                f"feature {name}: {error.message}", hint=error.hint, where=where
            ) from None
    if value.kind not in FEATURE_KINDS:
        hint = {"instant": "take a part: .hour, .weekday", "date": "take a part: .month, .weekday"}
        raise ProjectError(
            f"feature {name} is of kind {value.kind}, which no model takes",
            hint=hint.get(value.kind, "take .hours or .days of it"),
            where=where,
        )
    node: Node = value.node
    return node


def _windows(nodes: Mapping[str, Node]) -> tuple[Window, ...]:
    found = (n for node in nodes.values() for n in walk(node) if isinstance(n, Window))
    return tuple(dict.fromkeys(found))


def _by(view: FeatureView, schema: pl.Schema) -> dict[str, Kind]:
    spec = view.declared
    found: dict[str, Kind] = {}
    for name in spec.by:
        kind = kind_of(schema[name]) if name in schema else None
        if kind is None or kind == "number":
            what = f"of type {schema[name]}" if name in schema else "not a column of its dataset"
            raise ProjectError(
                f"feature view {spec.name} is joined by {name}, which is {what}",
                hint="join by columns of whole numbers, text, truth values or times",
                where=spec.where,
            )
        found[name] = kind
    return found


def _check_words(view: FeatureView, nodes: Mapping[str, Node], windows: tuple[Window, ...]) -> None:
    spec = view.declared
    if windows and not spec.by:
        raise ProjectError(
            f"feature view {spec.name} takes windows over the request's own row",
            hint='say which events belong to a row: @nr.feature_view(arrivals, by="origin")',
            where=spec.where,
        )
    reads = any(isinstance(n, Column) for node in nodes.values() for n in walk(node))
    for word, value, useful, reason in (
        ("ttl", spec.ttl, reads, "a window has its own length"),
        ("hop", spec.hop, bool(windows), "it takes no windows"),
    ):
        if value is not None and not (useful and spec.by):
            raise ProjectError(
                f"{word}= means nothing to feature view {spec.name}:"
                f" {reason if spec.by else 'it reads the request'}",
                hint=f"leave {word}= out",
                where=spec.where,
            )
