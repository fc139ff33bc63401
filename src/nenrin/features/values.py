"""Traced values: what a view function computes with while it is traced.

Operators of a :class:`Value` do not compute, they build the expression tree, already typed: what does not
fit (a text plus a number) is refused at the user's own line. What the operators mean is the table of
``docs/features.md``.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any, ClassVar, NoReturn
from zoneinfo import ZoneInfo

from nenrin.core.errors import ProjectError
from nenrin.core.instants import DAY, HOUR, MINUTE, SECOND, duration, to_us
from nenrin.features.compiled import constant
from nenrin.features.kinds import Kind
from nenrin.features.tree import Call, Literal, Node, Window, WindowOp, walk

_HERE = str(Path(__file__).parent)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_NUMERIC: tuple[Kind, ...] = ("boolean", "integer", "number")
_CLOCK_PARTS = ("hour", "minute")
_DATE_PARTS = ("weekday", "day", "month", "year", "day_of_year")
_SPANS = {"seconds": SECOND, "minutes": MINUTE, "hours": HOUR, "days": DAY}
_DEEPEST, _LARGEST = 100, 2_000

Binary = Callable[["Value", Any], "Value"]


class Untraceable(ProjectError):
    """The function does something with a value that only a plain Python value can do."""


def caller() -> str:
    """``file:line`` of the nearest caller outside this room: the user's line."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def refuse(message: str, hint: str) -> NoReturn:
    """Raise a ProjectError at the user's line."""
    raise ProjectError(message, hint=hint, where=caller())


def _arithmetic(op: str, sign: str) -> tuple[Binary, Binary]:
    def forward(self: Value, other: Any) -> Value:
        return _combined(op, sign, self, self._lifted(other))

    def backward(self: Value, other: Any) -> Value:
        return _combined(op, sign, self._lifted(other), self)

    return forward, backward


def _comparison(op: str, sign: str) -> Binary:
    def compare(self: Value, other: Any) -> Value:
        a, b = _alike(self, self._lifted(other), sign)
        if a.kind == "boolean" and op not in ("eq", "ne"):
            a, b = a._as("integer"), b._as("integer")
        return _call(op, "boolean", a, b)

    return compare


def _logic(op: str, sign: str) -> tuple[Binary, Binary]:
    def forward(self: Value, other: Any) -> Value:
        a, b = self, self._lifted(other)
        if (a.kind, b.kind) != ("boolean", "boolean"):
            refuse(
                f"{sign} joins conditions, not {_a(a.kind)} and {_a(b.kind)}",
                f"put comparisons in brackets: (w.temp > 0) {sign} (w.wind > 10)",
            )
        return _call(op, "boolean", a, b)

    return forward, lambda self, other: forward(self._lifted(other), self)


def _forbidden(what: str, hint: str) -> Callable[..., Any]:
    def forbid(self: Value, *_: Any) -> NoReturn:
        raise Untraceable(f"a traced value {what}", hint=hint, where=caller())

    return forbid


class Value:
    """One traced value: its node in the tree, and the time zone that parts of instants are told in."""

    __slots__ = ("_depth", "_size", "_zone", "node")
    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __init__(self, node: Node, zone: str, size: int = 1, depth: int = 1) -> None:
        self.node = node
        self._zone = zone
        self._size = size
        self._depth = depth

    @property
    def kind(self) -> Kind:
        """The kind of the value."""
        return self.node.kind

    __add__, __radd__ = _arithmetic("add", "+")
    __sub__, __rsub__ = _arithmetic("sub", "-")
    __mul__, __rmul__ = _arithmetic("mul", "*")
    __truediv__, __rtruediv__ = _arithmetic("div", "/")
    __floordiv__, __rfloordiv__ = _arithmetic("floordiv", "//")
    __mod__, __rmod__ = _arithmetic("mod", "%")
    __pow__, __rpow__ = _arithmetic("pow", "**")
    __and__, __rand__ = _logic("and", "&")
    __or__, __ror__ = _logic("or", "|")
    __eq__ = _comparison("eq", "==")  # type: ignore[assignment]
    __ne__ = _comparison("ne", "!=")  # type: ignore[assignment]
    __lt__, __le__ = _comparison("lt", "<"), _comparison("le", "<=")
    __gt__, __ge__ = _comparison("gt", ">"), _comparison("ge", ">=")

    __bool__ = _forbidden(
        "is neither true nor false", "use & | ~ for and, or, not; .then(a, b) for if"
    )
    __str__ = _forbidden("is not a text", "text features are columns themselves: w.carrier")
    __format__ = _forbidden("cannot be formatted", "join texts with +: w.origin + w.dest")
    __iter__ = _forbidden("cannot be iterated", "name the columns one by one")
    __contains__ = _forbidden("cannot be searched with `in`", "use == or .starts_with(…)")
    __len__ = _forbidden("has no len()", "use .length()")
    __int__ = __index__ = _forbidden("is not a whole number yet", "use // or .floor()")
    __float__ = _forbidden("is not a number yet", "use .log1p() .exp() .sqrt() instead of math")

    def __invert__(self) -> Value:
        if self.kind != "boolean":
            refuse(f"~ denies a condition, not {_a(self.kind)}", "write ~(w.temp > 0)")
        return _call("not", "boolean", self)

    def __neg__(self) -> Value:
        return self._numeric("-").apply("neg")

    def __pos__(self) -> Value:
        return self._numeric("+")

    def __abs__(self) -> Value:
        return self._numeric("abs").apply("abs")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in _CLOCK_PARTS or name in _DATE_PARTS:
            return _part(self, name)
        if name in _SPANS:
            return _in_units(self, name)
        if name in METHODS:
            return lambda *args, **named: METHODS[name](self, *args, **named)
        words = [*_CLOCK_PARTS, *_DATE_PARTS, *_SPANS, *METHODS]
        hint = f"it has {', '.join(difflib.get_close_matches(name, words, n=3) or words)}"
        raise Untraceable(f"a traced value has no {name!r}", hint=hint, where=caller())

    def __call__(self) -> Value:
        """``datetime.weekday()`` is a method in Python, so the traced ``weekday`` may be called too."""
        if not (isinstance(self.node, Call) and self.node.op == "weekday"):
            raise Untraceable("a traced value cannot be called", hint="", where=caller())
        return self

    def apply(self, op: str) -> Value:
        """The operator ``op`` of one value, giving the same kind."""
        return _call(op, self.kind, self)

    def _as(self, kind: Kind) -> Value:
        """The same value, widened: boolean to integer to number."""
        return self if self.kind == kind else _call("to_" + kind, kind, self)

    def _numeric(self, sign: str) -> Value:
        if self.kind not in _NUMERIC:
            refuse(f"{sign} of {_a(self.kind)}", "it takes numbers")
        return self._as("integer") if self.kind == "boolean" else self

    def _lifted(self, other: Any) -> Value:
        return other if isinstance(other, Value) else Value(literal(other, self._zone), self._zone)


def literal(value: Any, zone: str) -> Literal:
    """A plain value of the user's as a constant; naive datetimes are local in ``zone``.

    Raises:
        ProjectError: None, a whole number past 64 bits, or a type that is no kind of value.
    """
    if isinstance(value, bool):
        return Literal(value=value, kind="boolean")
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            refuse(f"{value} does not fit in 64 bits", "write it as a float")
        return Literal(value=int(value), kind="integer")
    if isinstance(value, float):
        return Literal(value=float(value) + 0.0, kind="number")  # + 0.0: there is no literal -0.0
    if isinstance(value, str):
        return Literal(value=str(value), kind="text")
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=ZoneInfo(zone))
        return Literal(value=to_us(aware), kind="instant")
    if isinstance(value, date):
        return Literal(value=value.toordinal() - _EPOCH_DAY, kind="date")
    if value is None:
        refuse("a value is compared or combined with None", "use .is_null() or .fill_null(0)")
    refuse(
        f"{_a(type(value).__name__)} cannot be part of a feature",
        "constants are numbers, texts, truth values, dates and datetimes",
    )


def _call(op: str, kind: Kind, *args: Value) -> Value:
    """A new value, within bounds that both evaluators can take; of constants, a constant."""
    size, depth = 1 + sum(arg._size for arg in args), 1 + max(arg._depth for arg in args)
    if size > _LARGEST or depth > _DEEPEST:
        refuse(
            f"a feature of more than {_LARGEST} operators, or nested {_DEEPEST} deep",
            "compute it in the dataset's loader",
        )
    node = Call(op=op, args=tuple(arg.node for arg in args), kind=kind)
    if all(isinstance(arg.node, Literal) for arg in args) and op != "is_in":
        value = constant(node)
        if value is not None:
            return Value(Literal(value=value, kind=kind), args[0]._zone)
    return Value(node, args[0]._zone, size, depth)


def _combined(op: str, sign: str, a: Value, b: Value) -> Value:
    if op == "add" and (a.kind, b.kind) == ("text", "text"):
        return _call("concat", "text", a, b)
    if op == "sub" and a.kind == b.kind and a.kind in ("instant", "date"):
        span = _call("sub", "span", a, b)
        return span if a.kind == "instant" else _call("mul", "span", span, a._lifted(DAY))
    if a.kind not in _NUMERIC or b.kind not in _NUMERIC:
        refuse(
            f"{_a(a.kind)} {sign} {_a(b.kind)}", "take columns of the same kind, or parts of them"
        )
    kind: Kind = "number" if op in ("div", "pow") or "number" in (a.kind, b.kind) else "integer"
    return _call(op, kind, a._as(kind), b._as(kind))


def _alike(a: Value, b: Value, sign: str) -> tuple[Value, Value]:
    """Both values as one kind: numbers widen, other kinds must be the same."""
    if a.kind == b.kind:
        return a, b
    if a.kind not in _NUMERIC or b.kind not in _NUMERIC:
        refuse(f"{_a(a.kind)} {sign} {_a(b.kind)}", "both sides must be of one kind")
    kind: Kind = "number" if "number" in (a.kind, b.kind) else "integer"
    return a._as(kind), b._as(kind)


def _part(value: Value, part: str) -> Value:
    if value.kind == "instant":
        zone = Value(Literal(value=value._zone, kind="text"), value._zone)
        return _call(part, "integer", _call("local", "clock", value, zone))
    if value.kind != "date" or part in _CLOCK_PARTS:
        refuse(f"the {part} of {_a(value.kind)}", "parts of time are taken from a time column")
    return _call(part, "integer", value)


def _in_units(value: Value, unit: str) -> Value:
    if value.kind != "span":
        refuse(f"the {unit} of {_a(value.kind)}", f"write (w.end - w.begin).{unit}")
    return _call("to_number", "number", value) / float(_SPANS[unit])


def _then(value: Value, yes: Any, no: Any) -> Value:
    if value.kind != "boolean":
        refuse(f"{_a(value.kind)} decides nothing", "write (w.temp > 30).then(a, b)")
    a, b = _alike(value._lifted(yes), value._lifted(no), "or")
    return _call("choose", a.kind, value, a, b)


def _is_null(value: Value) -> Value:
    return _call("is_null", "boolean", value)


def _fill_null(value: Value, other: Any) -> Value:
    a, b = _alike(value, value._lifted(other), "filled by")
    return _call("choose", a.kind, _call("is_null", "boolean", a), b, a)


def _clip(value: Value, low: Any, high: Any) -> Value:
    numeric = value._numeric("clip")
    a, lower = _alike(numeric, value._lifted(low), "clipped by")
    a, upper = _alike(a, value._lifted(high), "clipped by")
    lower = lower._as(a.kind)
    below = _call("choose", a.kind, a > upper, upper, a)
    return _call("choose", a.kind, a < lower, lower, below)


def _is_in(value: Value, choices: Iterable[Any]) -> Value:
    found = [_alike(value, value._lifted(choice), "in") for choice in choices]
    kinds = {a.kind for a, _ in found} | {b.kind for _, b in found}
    if not found or not kinds <= {"text", "integer", "boolean"} or len(kinds) > 1:
        refuse(
            f"isin() over {_a(value.kind)}",
            "list at least one text, or whole numbers, of the column's kind",
        )
    if not all(isinstance(choice.node, Literal) for _, choice in found):
        refuse("isin() over another column", "list plain values; compare columns with ==")
    args = (found[0][0].node, *(choice.node for _, choice in found))
    return Value(
        Call(op="is_in", args=args, kind="boolean"), value._zone, value._size + 1, value._depth + 1
    )


def _floating(op: str) -> Callable[[Value], Value]:
    return lambda value: value._numeric(op)._as("number").apply(op)


def _floor(value: Value) -> Value:
    numeric = value._numeric("floor")
    return numeric if numeric.kind == "integer" else numeric.apply("floor")


def _textual(op: str, kind: Kind) -> Callable[..., Value]:
    def apply(value: Value, *args: Any) -> Value:
        lifted = [value._lifted(arg) for arg in args]
        if {value.kind, *(arg.kind for arg in lifted)} != {"text"}:
            refuse(f"{op} of {_a(value.kind)}", "it takes a text")
        return _call(op, kind, value, *lifted)

    return apply


def window(op: WindowOp, of: Value | None, span: Any, zone: str) -> Value:
    """A count, sum or mean over the events of the last ``span`` (a text such as ``"1h"``).

    Raises:
        ProjectError: no duration, a window inside a window, or a kind that cannot be summed.
    """
    try:
        length = duration(span) if isinstance(span, str) else 0
    except ProjectError:
        length = 0
    if not length:
        refuse(f"{span!r} is not the length of a window", f'write {op}("1h")')
    node = None if of is None else of.node
    if isinstance(node, Window) or (
        node is not None and any(isinstance(n, Window) for n in walk(node))
    ):
        refuse(
            "a window inside a window", "take the window of a column, then compute with its value"
        )
    if of is not None and op != "count" and of.kind not in _NUMERIC:
        refuse(f"the {op} of {_a(of.kind)}", "sum and mean take numbers and conditions")
    whole = op == "count" or (op == "sum" and of is not None and of.kind != "number")
    kind: Kind = "integer" if whole else "number"
    return Value(Window(op=op, of=node, span=length, kind=kind), zone)


def _window_of(op: WindowOp) -> Callable[[Value, Any], Value]:
    return lambda value, span: window(op, value, span, value._zone)


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


METHODS: dict[str, Callable[..., Value]] = {
    "is_null": _is_null,
    "fill_null": _fill_null,
    "then": _then,
    "clip": _clip,
    "isin": _is_in,
    "log1p": _floating("log1p"),
    "exp": _floating("exp"),
    "sqrt": _floating("sqrt"),
    "floor": _floor,
    "lower": _textual("lower", "text"),
    "length": _textual("length", "integer"),
    "starts_with": _textual("starts_with", "boolean"),
    "count": _window_of("count"),
    "sum": _window_of("sum"),
    "mean": _window_of("mean"),
}
"""The methods of a traced value, by name; parts of time are attributes."""
