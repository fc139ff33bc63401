"""Whether a name's value may change after its file was imported, read off the syntax.

What a step in a new process sees is the value after the import. A value that functions change, or that
goes where it cannot be followed, does not tell that.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Any

from nenrin.pipelines.syntax import Scope, Source
from nenrin.pipelines.values import flat, still

_READING = frozenset(
    {
        *("get", "items", "keys", "values", "index", "count", "copy", "join", "isdisjoint"),
        *("union", "intersection", "difference", "symmetric_difference", "issubset", "issuperset"),
        *("sum", "mean", "min", "max", "std", "tolist", "astype", "most_common", "elements"),
        *("shape", "dtype", "size", "ndim"),
    }
)
_PURE = frozenset(
    {
        *(
            "all",
            "any",
            "bool",
            "dict",
            "enumerate",
            "float",
            "frozenset",
            "int",
            "isinstance",
            "len",
        ),
        *(
            "list",
            "max",
            "min",
            "print",
            "range",
            "repr",
            "reversed",
            "set",
            "sorted",
            "str",
            "sum",
        ),
        *("tuple", "type", "zip", "map", "filter"),
    }
)
_KEEPING = frozenset(  # methods of others that change what they are given, or keep it
    {
        *("append", "extend", "insert", "add", "setdefault", "put", "put_nowait", "appendleft"),
        *("shuffle", "heapify", "heappush", "heappop", "heapreplace", "heappushpop"),
        *("insort", "insort_left", "insort_right", "copyto", "place", "fill_diagonal", "update"),
    }
)
_DISPLAYS = (
    *(ast.List, ast.Dict, ast.Set, ast.Tuple),
    *(ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp),
)
_MAKERS = frozenset(
    {"dict", "list", "set", "sorted", "defaultdict", "Counter", "OrderedDict", "deque"}
)


def moving(
    name: str, value: Any, sources: Sequence[Source], bindings: Sequence[ast.stmt] | None = None
) -> str:
    """Where the value of a variable or class attribute may be changed, as ``file:line``; empty if nowhere.

    Args:
        name: of the variable or attribute.
        value: what it is now.
        sources: the files in which it may be used.
        bindings: the statements that bind it; None: they make what no other name reaches.
    """
    where = rebound(name, sources)
    if where or still(value):
        return where
    inside = flat(value)
    where = changed(name, sources, inside=inside)
    if not where and bindings is not None and not (bindings and fresh(bindings, inside=inside)):
        return "any place that knows it by another name"
    return where


def rebound(name: str, sources: Iterable[Source]) -> str:
    """Where a function binds a module's name anew, as ``file:line``; empty if none does."""
    for source in sources:
        for node in source.named.get(name, []):
            stored = isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
            if isinstance(node, ast.Global) or (stored and within_function(source, node)):
                return f"{source.name}:{node.lineno}"
    return ""


def changed(name: str, sources: Iterable[Source], *, inside: bool) -> str:
    """Where a mutable value of that name may be changed, as ``file:line``; empty if it is only read.

    Args:
        name: of a variable or an attribute, anywhere.
        sources: the files in which it may be used.
        inside: whether nothing within the value can be changed.
    """
    everywhere = list(sources)
    defined = frozenset[str]().union(*(source.defined for source in everywhere))
    for source in everywhere:
        reader = _Reader(source, inside, defined)
        for node in source.named.get(name, []):
            if not isinstance(node, ast.Global) and not _harmless(source, node, reader):
                return f"{source.name}:{node.lineno}"
    return ""


def fresh(statements: Iterable[ast.stmt], *, inside: bool) -> bool:
    """Whether what the statements bind is made there, so that no other name can reach it.

    Args:
        statements: bind it.
        inside: whether nothing within the value can be changed; else it must not be made of what has names.
    """
    return all(
        isinstance(node, (ast.Assign, ast.AnnAssign))
        and node.value is not None
        and _made(node.value)
        and (inside or not any(isinstance(each, ast.Name) for each in ast.walk(node.value)))
        for node in statements
    )


def within_function(source: Source, node: ast.AST) -> bool:
    """Whether a node runs in a function, that is after the import."""
    while (outer := source.parents.get(node)) is not None:
        if isinstance(outer, Scope):
            return True
        node = outer
    return False


def _made(value: ast.expr) -> bool:
    if isinstance(value, _DISPLAYS):
        return True
    called = value.func if isinstance(value, ast.Call) else None
    said = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
    return said in _MAKERS


def _harmless(source: Source, node: ast.expr | ast.alias, reader: _Reader) -> bool:
    if isinstance(node, ast.alias):
        return node.asname in (None, node.name)
    if not isinstance(getattr(node, "ctx", None), ast.Load):
        return isinstance(node, ast.Name) or not within_function(source, node)
    if reader.reads(node):
        return True
    return not within_function(source, node) and _statement_on(source, node)


def _statement_on(source: Source, node: ast.expr) -> bool:
    """``X.append(1)`` and ``X["a"] = 1`` as statements: done when the import is."""
    outer = source.parents.get(node)
    if isinstance(outer, ast.Subscript) and not isinstance(outer.ctx, ast.Load):
        return True
    if not isinstance(outer, ast.Attribute):
        return False
    call = source.parents.get(outer)
    return isinstance(call, ast.Call) and isinstance(source.parents.get(call), ast.Expr)


class _Reader:
    """Decides whether an expression is only read where it stands.

    Args:
        source: its file.
        flat: whether nothing within the value can be changed.
        defined: names of the project's own functions and methods: what those do is not known here.
    """

    def __init__(self, source: Source, flat: bool, defined: frozenset[str]) -> None:
        self._parents = source.parents
        self._flat = flat
        self._defined = defined

    def reads(self, node: ast.AST) -> bool:
        outer = self._parents.get(node)
        match outer:
            case ast.Subscript(value=value, ctx=ast.Load()) if value is node:
                return self._flat or self.reads(outer)
            case ast.Subscript(slice=value):
                return value is node
            case ast.Attribute(attr=attr, ctx=ast.Load()):
                return self._flat and attr in _READING
            case (
                ast.If(test=test)
                | ast.IfExp(test=test)
                | ast.While(test=test)
                | ast.Assert(test=test)
            ):
                return test is node
            case ast.Compare() | ast.FormattedValue() | ast.UnaryOp():
                return True
            case ast.BoolOp():
                return self.reads(outer)
            case ast.BinOp() | ast.Starred() | ast.For() | ast.comprehension():
                return self._flat
            case ast.Dict(keys=keys, values=values) if node in values:
                return self._flat and keys[values.index(node)] is None  # {**X}
            case ast.keyword():
                return self._flat and (outer.arg is None or self._given(self._parents.get(outer)))
            case ast.Call():
                return self._flat and self._given(outer)
        return False

    def _given(self, call: ast.AST | None) -> bool:
        """Whether a call leaves what it is given as it is."""
        match call:
            case ast.Call(func=ast.Name(id=name)):
                return name in _PURE
            case ast.Call(func=ast.Attribute(attr=name)):
                return name not in _KEEPING and name not in self._defined
        return False
