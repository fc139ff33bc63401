"""What may be combined with what: the typing rules of expressions, from nodes to a new node.

What does not fit (a text plus a number) is refused at the user's own line, when the function is traced.
Afterwards every operator has arguments of exactly the kinds that it computes on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from nenrin.core.errors import ProjectError
from nenrin.core.instants import DAY, HOUR, MINUTE, SECOND, duration, to_us
from nenrin.features.compiled import constant
from nenrin.features.kinds import Kind
from nenrin.features.tree import Call, Literal, Node, Window, WindowOp, walk

CLOCK_PARTS = ("hour", "minute")
DATE_PARTS = ("weekday", "day", "month", "year", "day_of_year")
UNITS = {"seconds": SECOND, "minutes": MINUTE, "hours": HOUR, "days": DAY}

_HERE = str(Path(__file__).parent)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_NUMERIC: tuple[Kind, ...] = ("boolean", "integer", "number")


def caller() -> str:
    """``file:line`` of the nearest caller outside this room: the user's line."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""


def refuse(message: str, hint: str) -> NoReturn:
    """Raise a ProjectError at the user's line."""
    raise ProjectError(message, hint=hint, where=caller())


def literal(value: Any, zone: str) -> Literal:
    """A plain value of the user's as a constant; a naive datetime is local in ``zone``.

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
        return Literal(value=float(value) + 0.0, kind="number")  # + 0.0: -0.0 would equal 0.0
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


def call(op: str, kind: Kind, *args: Node) -> Node:
    """A new node; of constants, the constant that it computes."""
    node = Call(op=op, args=args, kind=kind)
    if kind != "clock" and all(isinstance(arg, Literal) for arg in args):
        value = constant(node)
        if value is not None:
            return Literal(value=value, kind=kind)
    return node


def widened(node: Node, kind: Kind) -> Node:
    """The same value as a wider kind: boolean to integer to number."""
    return node if node.kind == kind else call("to_" + kind, kind, node)


def numeric(node: Node, what: str) -> Node:
    """The node as an integer or a number."""
    if node.kind not in _NUMERIC:
        refuse(f"{what} of {_a(node.kind)}", "it takes numbers")
    return widened(node, "integer") if node.kind == "boolean" else node


def arithmetic(op: str, sign: str) -> Callable[[Node, Node], Node]:
    """The rule of ``+ - * / // % **``; texts can be added, instants and dates subtracted."""

    def rule(a: Node, b: Node) -> Node:
        if op == "add" and (a.kind, b.kind) == ("text", "text"):
            return call("concat", "text", a, b)
        if op == "sub" and a.kind == b.kind and a.kind in ("instant", "date"):
            span = call("sub", "span", a, b)
            day = Literal(value=DAY, kind="integer")
            return span if a.kind == "instant" else call("mul", "span", span, day)
        if a.kind not in _NUMERIC or b.kind not in _NUMERIC:
            refuse(
                f"{_a(a.kind)} {sign} {_a(b.kind)}", "take columns of one kind, or parts of them"
            )
        floats = op in ("div", "pow") or "number" in (a.kind, b.kind)
        kind: Kind = "number" if floats else "integer"
        return call(op, kind, widened(a, kind), widened(b, kind))

    return rule


def comparison(op: str, sign: str) -> Callable[[Node, Node], Node]:
    """The rule of ``== != < <= > >=``."""

    def rule(a: Node, b: Node) -> Node:
        a, b = alike(a, b, sign)
        if a.kind == "boolean" and op not in ("eq", "ne"):
            a, b = widened(a, "integer"), widened(b, "integer")
        return call(op, "boolean", a, b)

    return rule


def logic(op: str, sign: str) -> Callable[[Node, Node], Node]:
    """The rule of ``& |``."""

    def rule(a: Node, b: Node) -> Node:
        if (a.kind, b.kind) != ("boolean", "boolean"):
            refuse(
                f"{sign} joins conditions, not {_a(a.kind)} and {_a(b.kind)}",
                f"put comparisons in brackets: (w.temp > 0) {sign} (w.wind > 10)",
            )
        return call(op, "boolean", a, b)

    return rule


def alike(a: Node, b: Node, sign: str) -> tuple[Node, Node]:
    """Both values as one kind: numbers widen, other kinds must be the same."""
    if a.kind == b.kind:
        return a, b
    if a.kind not in _NUMERIC or b.kind not in _NUMERIC:
        refuse(f"{_a(a.kind)} {sign} {_a(b.kind)}", "both sides must be of one kind")
    kind: Kind = "number" if "number" in (a.kind, b.kind) else "integer"
    return widened(a, kind), widened(b, kind)


def denied(node: Node) -> Node:
    """The rule of ``~``."""
    if node.kind != "boolean":
        refuse(f"~ denies a condition, not {_a(node.kind)}", "write ~(w.temp > 0)")
    return call("not", "boolean", node)


def unary(op: str, sign: str) -> Callable[[Node], Node]:
    """The rule of ``-`` and ``abs``, which keep an integer an integer."""

    def rule(node: Node) -> Node:
        value = numeric(node, sign)
        return call(op, value.kind, value)

    return rule


def floating(op: str) -> Callable[[Node], Node]:
    """The rule of ``log1p``, ``exp`` and ``sqrt``."""
    return lambda node: call(op, "number", widened(numeric(node, op), "number"))


def floor(node: Node) -> Node:
    """The rule of ``floor``: an integer stays as it is."""
    value = numeric(node, "floor")
    return value if value.kind == "integer" else call("floor", "number", value)


def textual(op: str, kind: Kind) -> Callable[..., Node]:
    """The rule of the methods of texts."""

    def rule(*nodes: Node) -> Node:
        for node in nodes:
            if node.kind != "text":
                refuse(f"{op} of {_a(node.kind)}", "it takes a text")
        return call(op, kind, *nodes)

    return rule


def part(name: str, zone: str) -> Callable[[Node], Node]:
    """The rule of the parts of an instant, told in ``zone``, or of a date."""

    def rule(node: Node) -> Node:
        if node.kind == "instant":
            node = call("local", "clock", node, Literal(value=zone, kind="text"))
        elif node.kind != "date" or name in CLOCK_PARTS:
            refuse(f"the {name} of {_a(node.kind)}", "parts of time are taken from a time column")
        return call(name, "integer", node)

    return rule


def in_units(unit: str) -> Callable[[Node], Node]:
    """The rule of ``seconds``, ``minutes``, ``hours`` and ``days`` of a difference of times."""

    def rule(node: Node) -> Node:
        if node.kind != "span":
            refuse(f"the {unit} of {_a(node.kind)}", f"write (w.end - w.begin).{unit}")
        size = Literal(value=float(UNITS[unit]), kind="number")
        return call("div", "number", call("to_number", "number", node), size)

    return rule


def is_null(node: Node) -> Node:
    """The rule of ``is_null()``."""
    return call("is_null", "boolean", node)


def then(condition: Node, yes: Node, no: Node) -> Node:
    """The rule of ``condition.then(yes, no)``; an unknown condition takes ``no``."""
    if condition.kind != "boolean":
        refuse(f"{_a(condition.kind)} decides nothing", "write (w.temp > 30).then(a, b)")
    yes, no = alike(yes, no, "or")
    return call("choose", yes.kind, condition, yes, no)


def fill_null(node: Node, other: Node) -> Node:
    """The rule of ``fill_null(other)``."""
    node, other = alike(node, other, "filled by")
    return then(is_null(node), other, node)


def clip(node: Node, low: Node, high: Node) -> Node:
    """The rule of ``clip(low, high)``; NaN and null stay."""
    value, low = alike(numeric(node, "clip"), low, "clipped by")
    value, high = alike(value, high, "clipped by")
    low = widened(low, value.kind)
    above = call("gt", "boolean", value, high)
    below = call("lt", "boolean", value, low)
    return then(below, low, then(above, high, value))


def is_in(node: Node, *choices: Node) -> Node:
    """The rule of ``isin([…])``: texts, integers or truth values of the column's own kind."""
    if not choices or node.kind not in ("text", "integer", "boolean"):
        refuse(f"isin() over {_a(node.kind)}", "list at least one text or whole number")
    for choice in choices:
        if choice.kind != node.kind or not isinstance(choice, Literal):
            refuse(
                f"isin() looks for {_a(choice.kind)} in {_a(node.kind)}",
                "list plain values of its kind",
            )
    return Call(op="is_in", args=(node, *choices), kind="boolean")


def window(op: WindowOp, of: Node | None, span: Any) -> Window:
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
    if of is None:
        return Window(op=op, of=None, span=length, kind="integer")
    if isinstance(of, Window) or any(isinstance(node, Window) for node in walk(of)):
        refuse("a window inside a window", "take the window of a column, compute with its value")
    if op != "count" and of.kind not in _NUMERIC:
        refuse(f"the {op} of {_a(of.kind)}", "sum and mean take numbers and conditions")
    whole = op == "count" or (op == "sum" and of.kind != "number")
    return Window(op=op, of=of, span=length, kind="integer" if whole else "number")


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
