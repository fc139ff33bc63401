"""Expression trees as polars expressions over a frame of physical columns.

Polars' own operators are used where they do exactly what ``docs/features.md`` says, and where they do not,
something that does: its floats compare NaN as the largest number, it divides by a constant by multiplying
with the inverse (the last bit differs in a third of the quotients) and writes 0 - x as -x (the zero's sign
differs). So floats are added, subtracted, multiplied and divided by numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from nenrin.features.compiled import FIRST_DATE, FIRST_INSTANT, LAST_DATE, LAST_INSTANT
from nenrin.features.kinds import physical_types
from nenrin.features.scalars import SCALARS
from nenrin.features.tree import Call, Column, Literal, Node

Expressions = Sequence["pl.Expr"]

_PARTS: Mapping[str, Callable[[pl.Expr], pl.Expr]] = {
    "hour": lambda x: x.dt.hour(),
    "minute": lambda x: x.dt.minute(),
    "weekday": lambda x: x.dt.weekday() - 1,
    "day": lambda x: x.dt.day(),
    "month": lambda x: x.dt.month(),
    "year": lambda x: x.dt.year(),
    "day_of_year": lambda x: x.dt.ordinal_day(),
}
_COMPARISONS: Mapping[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
_OPERATORS: Mapping[str, Callable[..., pl.Expr]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "neg": lambda a: -a,
    "abs": lambda a: a.abs(),
    "sqrt": lambda a: a.sqrt(),
    "floor": lambda a: a.floor(),
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "not": lambda a: ~a,
    "is_null": lambda a: a.is_null(),
    "choose": lambda condition, yes, no: pl.when(condition).then(yes).otherwise(no),
    "to_integer": lambda a: a.cast(pl.Int64),
    "to_number": lambda a: a.cast(pl.Float64),
    "concat": lambda a, b: a + b,
    "length": lambda a: a.str.len_chars().cast(pl.Int64),
    "starts_with": lambda a, b: a.str.starts_with(b),
}
_FLOATS: Mapping[str, np.ufunc] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
}


def feature_columns(frame: pl.DataFrame, features: Mapping[str, Node]) -> pl.DataFrame:
    """The features of every row of a frame of physical columns, in the rows' order."""
    expressions = [expression(node).alias(name) for name, node in features.items()]
    height = pl.Series("__height__", np.zeros(frame.height, dtype=np.int8))
    return frame.with_columns(height).select("__height__", *expressions).drop("__height__")


def expression(node: Node) -> pl.Expr:
    """The polars expression of a tree without windows."""
    if isinstance(node, Column):
        return pl.col(node.name)
    if isinstance(node, Literal):
        return pl.lit(node.value, dtype=physical_types()[node.kind])
    if not isinstance(node, Call):
        raise TypeError("windows are columns by now")
    if node.op == "is_in":
        choices = [arg.value for arg in node.args[1:] if isinstance(arg, Literal)]
        dtype = physical_types()[node.args[0].kind]
        return expression(node.args[0]).is_in(pl.Series(choices, dtype=dtype).implode())
    if node.op == "local":
        return _local(*node.args)
    args = [expression(arg) for arg in node.args]
    if node.op in _PARTS:
        time = _date(args[0]) if node.args[0].kind == "date" else args[0]
        return _PARTS[node.op](time).cast(pl.Int64)
    if node.op in _COMPARISONS:
        return _compared(node.op, args, number=node.args[0].kind == "number")
    if node.op in SCALARS and node.kind != "integer":
        return _by_value(SCALARS[node.op], args, physical_types()[node.kind])
    if node.op in _FLOATS and node.kind == "number":
        return _by_array(_FLOATS[node.op], args)
    return _OPERATORS[node.op](*args)


def _local(instant: Node, zone: Node) -> pl.Expr:
    if not isinstance(zone, Literal):
        raise TypeError("a time zone is a constant")
    us = expression(instant)
    inside = pl.when((us >= FIRST_INSTANT) & (us < LAST_INSTANT)).then(us)
    return inside.cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(str(zone.value))


def _date(days: pl.Expr) -> pl.Expr:
    inside = pl.when((days >= FIRST_DATE) & (days < LAST_DATE)).then(days)
    return inside.cast(pl.Int32).cast(pl.Date)


def _compared(op: str, args: list[pl.Expr], *, number: bool) -> pl.Expr:
    a, b = args
    plain = _COMPARISONS[op](a, b)
    if not number:
        return plain
    unordered = a.is_nan() | b.is_nan()
    known = a.is_not_null() & b.is_not_null()
    return pl.when(known & unordered).then(pl.lit(op == "ne")).otherwise(plain)


def _by_array(function: np.ufunc, args: Expressions) -> pl.Expr:
    """Call numpy's function once for two columns of floats, with nulls kept apart."""

    def values(columns: Sequence[pl.Series]) -> pl.Series:
        a, b = columns
        with np.errstate(all="ignore"):
            result = pl.Series(a.name, function(a.to_numpy(), b.to_numpy()), dtype=pl.Float64)
        if not (a.null_count() or b.null_count()):
            return result
        known = a.is_not_null() & b.is_not_null()  # to_numpy wrote nulls as NaN
        return result.zip_with(known, pl.Series([None], dtype=pl.Float64))

    return pl.map_batches(list(args), values, return_dtype=pl.Float64)


def _by_value(function: Callable[..., Any], args: Expressions, dtype: pl.DataType) -> pl.Expr:
    """Call the row evaluator's own function once for each row without nulls."""

    def values(columns: Sequence[pl.Series]) -> pl.Series:
        lists = [column.to_list() for column in columns]
        height = max(map(len, lists), default=0) if all(lists) else 0
        filled = [values * height if len(values) == 1 else values for values in lists]
        rows = zip(*filled, strict=True)
        found = [None if None in row else function(*row) for row in rows]
        return pl.Series(columns[0].name, found, dtype=dtype)

    return pl.map_batches(list(args), values, return_dtype=dtype)
