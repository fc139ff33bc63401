"""Traced values: what a view function computes with while it is traced.

Operators of a :class:`Value` do not compute, they build the expression tree by :mod:`nenrin.features.rules`.
What they mean is the table of ``docs/features.md``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

from nenrin.core.errors import ProjectError
from nenrin.features import rules
from nenrin.features.kinds import Kind
from nenrin.features.tree import Call, Node, WindowOp

Rule = Callable[..., Node]
Operator = Callable[["Value", Any], "Value"]

_DEEPEST = 100


class UntraceableError(ProjectError):
    """The function does something with a value that only a plain Python value can do."""


def _binary(rule: Rule) -> tuple[Operator, Operator]:
    """The operator with the value on its left, and on its right."""
    return (
        lambda value, other: value.derive(rule, other),
        lambda value, other: value.derive(lambda right, left: rule(left, right), other),
    )


def _forbidden(what: str, hint: str) -> Callable[..., Any]:
    def forbid(*_: Any) -> NoReturn:
        raise UntraceableError(f"a traced value {what}", hint=hint, where=rules.caller())

    return forbid


class Value:
    """One traced value.

    Attributes:
        node: its tree.
        zone: in which parts of instants are told.
        depth: of the tree, bounded because both evaluators and the archive recurse.
    """

    __slots__ = ("depth", "node", "zone")
    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __init__(self, node: Node, zone: str, depth: int = 1) -> None:
        self.node = node
        self.zone = zone
        self.depth = depth

    @property
    def kind(self) -> Kind:
        """The kind of the value."""
        return self.node.kind

    __add__, __radd__ = _binary(rules.arithmetic("add", "+"))
    __sub__, __rsub__ = _binary(rules.arithmetic("sub", "-"))
    __mul__, __rmul__ = _binary(rules.arithmetic("mul", "*"))
    __truediv__, __rtruediv__ = _binary(rules.arithmetic("div", "/"))
    __floordiv__, __rfloordiv__ = _binary(rules.arithmetic("floordiv", "//"))
    __mod__, __rmod__ = _binary(rules.arithmetic("mod", "%"))
    __pow__, __rpow__ = _binary(rules.arithmetic("pow", "**"))
    __and__, __rand__ = _binary(rules.logic("and", "&"))
    __or__, __ror__ = _binary(rules.logic("or", "|"))
    __eq__ = _binary(rules.comparison("eq", "=="))[0]  # type: ignore[assignment]
    __ne__ = _binary(rules.comparison("ne", "!="))[0]  # type: ignore[assignment]
    __lt__ = _binary(rules.comparison("lt", "<"))[0]
    __le__ = _binary(rules.comparison("le", "<="))[0]
    __gt__ = _binary(rules.comparison("gt", ">"))[0]
    __ge__ = _binary(rules.comparison("ge", ">="))[0]

    __bool__ = _forbidden(
        "is neither true nor false", "use & | ~ for and, or, not; .then(a, b) for if and else"
    )
    __str__ = _forbidden("is not a text", "a text column is a feature as it is: w.carrier")
    __format__ = _forbidden("cannot be formatted", "join texts with +: w.origin + w.dest")
    __iter__ = _forbidden("cannot be iterated", "name the columns one by one")
    __contains__ = _forbidden("cannot be searched with `in`", "use == or .starts_with(…)")
    __len__ = _forbidden("has no len()", "use .length()")
    __int__ = __index__ = _forbidden("is not a whole number yet", "use // or .floor()")
    __float__ = _forbidden("is not a number yet", "use .log1p(), .exp(), .sqrt() instead of math")

    def __invert__(self) -> Value:
        return self.derive(rules.denied)

    def __neg__(self) -> Value:
        return self.derive(rules.unary("neg", "-"))

    def __pos__(self) -> Value:
        return self.derive(lambda node: rules.numeric(node, "+"))

    def __abs__(self) -> Value:
        return self.derive(rules.unary("abs", "abs"))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in rules.CLOCK_PARTS or name in rules.DATE_PARTS:
            return self.derive(rules.part(name, self.zone))
        if name in rules.UNITS:
            return self.derive(rules.in_units(name))
        if name in METHODS:
            return lambda *args, **named: METHODS[name](self, *args, **named)
        words = [*rules.CLOCK_PARTS, *rules.DATE_PARTS, *rules.UNITS, *METHODS]
        near = difflib.get_close_matches(name, words, n=3) or words
        raise UntraceableError(
            f"a traced value has no {name!r}",
            hint=f"it has {', '.join(near)}",
            where=rules.caller(),
        )

    def __call__(self) -> Value:
        """``datetime.weekday()`` is a method in Python, so the traced ``weekday`` may be called too."""
        if isinstance(self.node, Call) and self.node.op == "weekday":
            return self
        raise UntraceableError("a traced value cannot be called", where=rules.caller())

    def derive(self, rule: Rule, *others: Any) -> Value:
        """The value that a rule makes of this one and others; plain ones become constants."""
        values = [other if isinstance(other, Value) else self._constant(other) for other in others]
        depth = 1 + max(value.depth for value in (self, *values))
        if depth > _DEEPEST:
            rules.refuse(
                f"a feature with operators nested more than {_DEEPEST} deep",
                "compute it in the dataset's loader",
            )
        return Value(rule(self.node, *(value.node for value in values)), self.zone, depth)

    def _constant(self, value: Any) -> Value:
        return Value(rules.literal(value, self.zone), self.zone)


def _windowed(op: WindowOp) -> Callable[[Value, Any], Value]:
    return lambda value, span: value.derive(lambda node: rules.window(op, node, span))


METHODS: dict[str, Callable[..., Value]] = {
    "is_null": lambda value: value.derive(rules.is_null),
    "fill_null": lambda value, other: value.derive(rules.fill_null, other),
    "then": lambda value, yes, no: value.derive(rules.then, yes, no),
    "clip": lambda value, low, high: value.derive(rules.clip, low, high),
    "isin": lambda value, choices: value.derive(rules.is_in, *choices),
    "log1p": lambda value: value.derive(rules.floating("log1p")),
    "exp": lambda value: value.derive(rules.floating("exp")),
    "sqrt": lambda value: value.derive(rules.floating("sqrt")),
    "floor": lambda value: value.derive(rules.floor),
    "lower": lambda value: value.derive(rules.textual("lower", "text")),
    "length": lambda value: value.derive(rules.textual("length", "integer")),
    "starts_with": lambda value, start: value.derive(
        rules.textual("starts_with", "boolean"), start
    ),
    "count": _windowed("count"),
    "sum": _windowed("sum"),
    "mean": _windowed("mean"),
}
"""The methods of a traced value, by name; parts of time are attributes."""
