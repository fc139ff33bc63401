"""Tracing: a view function is called once, with a row that records instead of computing.

The result is a typed tree for each feature, the same for training and for the live request. A function over
request rows that cannot be traced (an ``if``, a dictionary of its own) is kept as it is and runs row by
row in both; windows and point-in-time views must trace.
"""

from __future__ import annotations

import difflib
import dis
from collections.abc import Mapping
from types import CodeType
from typing import Any, NoReturn

import polars as pl

from nenrin.core.errors import NenrinError, ProjectError
from nenrin.features.by_row import line_of
from nenrin.features.declare import FeatureView, ViewFunction
from nenrin.features.kinds import FEATURE_KINDS, Kind, kind_of, kinds
from nenrin.features.traced import Traced
from nenrin.features.tree import Column, Node, Window, replaced, walk
from nenrin.features.values import Untraceable, Value, caller, literal, refuse, window


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
        return window("count", None, span, self._zone)

    def __iter__(self) -> Any:
        raise Untraceable(
            "a traced row cannot be iterated", hint="name its columns", where=caller()
        )

    def __bool__(self) -> bool:
        raise Untraceable("a traced row is neither true nor false", hint="", where=caller())

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
    except Untraceable as error:
        if declared.by:
            error.hint = f"{error.hint}; views with by= must trace".lstrip("; ")
            raise
        return Traced(
            view=declared.name,
            columns=_named_columns(view.function, kinds(schema)),
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
    _check_code(view.function)
    try:
        result = view.function(row)
    except NenrinError:
        raise
    except Exception as error:
        raise Untraceable(
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
            raise Untraceable(
                f"feature {name}: {error.message}", hint=error.hint, where=where
            ) from None
    if value.kind not in FEATURE_KINDS:
        hint = {"instant": f"take a part: .hour, .weekday", "date": "take a part: .month, .weekday"}
        raise ProjectError(
            f"feature {name} is a {value.kind}, which no model takes",
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
    plain = any(isinstance(n, Column) for node in nodes.values() for n in walk(node))
    for word, value, useful in (("ttl", spec.ttl, plain and spec.by), ("hop", spec.hop, windows)):
        if value is not None and not useful:
            reason = {"ttl": "a window has its own length", "hop": "it has no windows"}[word]
            raise ProjectError(
                f"{word}= means nothing to feature view {spec.name}: {reason if spec.by else 'it reads the request'}",
                hint=f"leave {word}= out",
                where=spec.where,
            )


def _check_code(function: ViewFunction) -> None:
    """Refuse to trace what tracing could not see: tests for None or for a type, and caught errors."""
    code = function.__code__
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IS_OP" or instruction.opname.endswith(("IF_NONE", "IF_NOT_NONE")):
            hint, what = "use .is_null() or .fill_null(0)", "`is None`"
        elif instruction.opname.startswith("LOAD") and instruction.argval in ("isinstance", "type"):
            hint, what = "columns keep their type: no test is needed", f"{instruction.argval}()"
        elif instruction.opname == "PUSH_EXC_INFO":
            hint, what = "nothing raises: see the table of operators in docs/features.md", "`try`"
        else:
            continue
        line = instruction.positions.lineno if instruction.positions else None
        where = f"{code.co_filename}:{line or code.co_firstlineno}"
        raise Untraceable(f"{what} tests a value while it is traced", hint=hint, where=where)


def _named_columns(function: ViewFunction, known: Mapping[str, Kind]) -> dict[str, Kind]:
    """The columns whose names appear in a function, or in functions of its module that it names."""
    names: set[Any] = set()
    waiting: list[CodeType] = [function.__code__]
    seen: set[CodeType] = set()
    world = function.__globals__
    while waiting:
        code = waiting.pop()
        if code in seen:
            continue
        seen.add(code)
        names.update(code.co_names)
        names.update(const for const in code.co_consts if isinstance(const, str))
        waiting.extend(const for const in code.co_consts if isinstance(const, CodeType))
        called = (getattr(world.get(name), "__code__", None) for name in code.co_names)
        waiting.extend(found for found in called if isinstance(found, CodeType))
    return {name: kind for name, kind in known.items() if name in names}
