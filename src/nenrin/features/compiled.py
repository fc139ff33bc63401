"""Expression trees as one compiled Python function from a row to its features (about 0.1 us an operator).

Every distinct node becomes one line of straight code; null propagates unless the operator says otherwise.
Rows hold physical values (:mod:`nenrin.features.kinds`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from nenrin.core.instants import DAY
from nenrin.features import scalars
from nenrin.features.tree import Call, Column, Literal, Node

Row = Mapping[str, Any]

FIRST_INSTANT = -62_135_510_400_000_000
LAST_INSTANT = 253_402_128_000_000_000
"""Instants from 0001-01-02 until 9999-12-30, UTC: those that have a local date in every time zone."""
FIRST_DATE, LAST_DATE = FIRST_INSTANT // DAY, LAST_INSTANT // DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()

_WRAPPED = "(({0}) + 0x8000000000000000 & 0xFFFFFFFFFFFFFFFF) - 0x8000000000000000"

_INTEGER = {
    "add": _WRAPPED.format("{0} + {1}"),
    "sub": _WRAPPED.format("{0} - {1}"),
    "mul": _WRAPPED.format("{0} * {1}"),
    "neg": _WRAPPED.format("-{0}"),
    "abs": _WRAPPED.format("abs({0})"),
    "floordiv": "None if {1} == 0 else " + _WRAPPED.format("{0} // {1}"),
    "mod": "None if {1} == 0 else {0} % {1}",
}
_NUMBER = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "neg": "-{0}",
    "abs": "abs({0})",
    "div": "divide({0}, {1})",
    "floordiv": "floor_divide({0}, {1})",
    "mod": "remainder({0}, {1})",
    "pow": "power({0}, {1})",
    "exp": "exp({0})",
    "log1p": "log1p({0})",
    "sqrt": "square_root({0})",
    "floor": "floor({0})",
}
_ANY = {
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "not": "not {0}",
    "to_integer": "int({0})",
    "to_number": "float({0})",
    "concat": "{0} + {1}",
    "lower": "{0}.lower()",
    "length": "len({0})",
    "starts_with": "{0}.startswith({1})",
    "local": "local({0}, {1})",
    "hour": "{0}.hour",
    "minute": "{0}.minute",
    "weekday": "{0}.weekday()",
    "day": "{0}.day",
    "month": "{0}.month",
    "year": "{0}.year",
    "day_of_year": "{0}.timetuple().tm_yday",
}
_OF_NULLS = {
    "is_null": "{0} is None",
    "choose": "{1} if {0} else {2}",
    "and": "False if {0} is False or {1} is False else None if {0} is None or {1} is None else True",
    "or": "True if {0} is True or {1} is True else None if {0} is None or {1} is None else False",
}


def local(instant: int, zone: str) -> datetime | None:
    """An instant as a clock in ``zone`` shows it; null outside the years that Python knows."""
    if not FIRST_INSTANT <= instant < LAST_INSTANT:
        return None
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(_zone(zone))


def calendar_date(days: int) -> date | None:
    """A physical date as a Python date; null outside the years that Python knows."""
    return date.fromordinal(days + _EPOCH_DAY) if FIRST_DATE <= days < LAST_DATE else None


_zone = cache(ZoneInfo)
_WORLD = {
    "local": local,
    "calendar_date": calendar_date,
    "divide": scalars.divide,
    "floor_divide": scalars.floor_divide,
    "remainder": scalars.remainder,
    "power": scalars.power,
    "exp": scalars.exp,
    "log1p": scalars.log1p,
    "square_root": scalars.square_root,
    "floor": scalars.floor,
}


def row_function(features: Mapping[str, Node], name: str) -> Callable[[Row], dict[str, Any]]:
    """Compile feature trees (without windows) into one function from a physical row to their values."""
    writer = _Writer()
    results = [f"{feature!r}: {writer.name(node)}" for feature, node in features.items()]
    body = "".join(f"    {line}\n" for line in writer.lines)
    source = f"def features(row):\n{body}    return {{{', '.join(results)}}}\n"
    world: dict[str, Any] = {**_WORLD, **writer.constants}
    exec(compile(source, f"<features of {name}>", "exec"), world)  # our own source text
    function: Callable[[Row], dict[str, Any]] = world["features"]
    return function


def constant(node: Node) -> Any:
    """The value of a tree without columns."""
    return row_function({"value": node}, "a constant")({})["value"]


class _Writer:
    """Gives every distinct node a local name, and writes the line that computes it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self._names: dict[Node, str] = {}

    def name(self, node: Node) -> str:
        known = self._names.get(node)
        if known is None:
            known = self._names[node] = self._written(node)
        return known

    def _written(self, node: Node) -> str:
        if isinstance(node, Literal):
            return self._constant(node.value)
        if isinstance(node, Column):
            return self._line(f"row[{node.name!r}]")
        if not isinstance(node, Call):
            raise TypeError("windows are columns by now")
        if node.op == "is_in":
            choices = frozenset(arg.value for arg in node.args[1:] if isinstance(arg, Literal))
            value = self.name(node.args[0])
            return self._line(f"None if {value} is None else {value} in {self._constant(choices)}")
        args = [self._argument(node, arg) for arg in node.args]
        if node.op in _OF_NULLS:
            return self._line(_OF_NULLS[node.op].format(*args))
        nulls = [f"{arg} is None" for arg in args if arg not in self.constants]
        text = _template(node).format(*args)
        return self._line(f"None if {' or '.join(nulls)} else {text}" if nulls else text)

    def _argument(self, node: Call, arg: Node) -> str:
        name = self.name(arg)
        if arg.kind == "date" and node.kind == "integer" and node.op in _ANY:
            return self._line(f"None if {name} is None else calendar_date({name})")
        return name

    def _constant(self, value: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def _line(self, text: str) -> str:
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name


def _template(node: Call) -> str:
    if node.op in _ANY:
        return _ANY[node.op]
    return (_NUMBER if node.kind == "number" else _INTEGER)[node.op]
