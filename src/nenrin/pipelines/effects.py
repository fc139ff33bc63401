"""Statements of a file that do something when it is imported, beside binding names.

``random.seed(3)`` decides what functions give that never name it. Statements that only bind names are told
by the values of those names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from nenrin.pipelines.syntax import Source

_QUIET_MODULES = frozenset(
    {
        *(
            "nenrin",
            "re",
            "datetime",
            "decimal",
            "fractions",
            "pathlib",
            "collections",
            "functools",
        ),
        *("itertools", "operator", "math", "cmath", "enum", "typing", "dataclasses", "zoneinfo"),
        *(
            "string",
            "statistics",
            "abc",
            "contextlib",
            "types",
            "json",
            "copy",
            "textwrap",
            "struct",
        ),
    }
)
_QUIET_CALLS = frozenset({"os.environ.get", "os.getenv", "logging.getLogger", "decimal.Decimal"})
_LOUD_METHODS = frozenset(
    {"register", "write_text", "write_bytes", "mkdir", "unlink", "touch", "rmdir", "symlink_to"}
)
_QUIET_BUILTINS = frozenset(
    {
        *(
            "abs",
            "all",
            "any",
            "bool",
            "bytes",
            "callable",
            "chr",
            "classmethod",
            "complex",
            "dict",
        ),
        *(
            "divmod",
            "enumerate",
            "filter",
            "float",
            "frozenset",
            "hasattr",
            "hash",
            "int",
            "isinstance",
        ),
        *("issubclass", "iter", "len", "list", "map", "max", "min", "next", "object", "ord", "pow"),
        *(
            "property",
            "range",
            "repr",
            "reversed",
            "round",
            "set",
            "slice",
            "sorted",
            "staticmethod",
        ),
        *("str", "sum", "super", "tuple", "type", "zip"),
    }
)
_IMPORTS = (ast.Import, ast.ImportFrom)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def effects(source: Source) -> list[ast.AST]:
    """The statements, and of functions and classes the decorators and defaults, that do something.

    With a decorator comes the name of what it decorates: it may have been put where others find it.
    """
    return list(_Finder(source).within(source.tree.body))


class _Finder:
    """Reads one file.

    Names that stand for quiet modules, and names that imports did not bind, are known by the file.
    """

    def __init__(self, source: Source) -> None:
        self._modules: dict[str, str] = {}
        self._source = source
        self._defined: dict[str, list[ast.AST]] = {}
        self._quiet: dict[str, bool] = {}
        self._bound: dict[str, bool] = {}
        for node in source.outside:
            match node:
                case ast.Import(names=names):
                    for alias in names:
                        name = alias.asname or alias.name.split(".")[0]
                        self._modules[name] = alias.name if alias.asname else name
                case ast.ImportFrom(module=module, names=names):
                    for alias in names:
                        self._modules[alias.asname or alias.name] = f"{module}.{alias.name}"
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    self._defined.setdefault(node.name, []).append(node)

    def within(self, body: list[ast.stmt], owner: str = "") -> Iterator[ast.AST]:
        """What does something in a block, in the body of the class ``owner``."""
        for node in body:
            if isinstance(node, _DEFINITIONS):
                yield from self._definition(node, owner or node.name)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                continue
            elif isinstance(node, ast.If) and _never(node.test):
                yield from self.within(node.orelse, owner)
            elif self._loud(node):
                yield node

    def _definition(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, owner: str
    ) -> Iterator[ast.AST]:
        for decorator in node.decorator_list:
            if not self._quiet_callee(
                decorator.func if isinstance(decorator, ast.Call) else decorator
            ):
                yield decorator
                yield ast.copy_location(ast.Name(owner, ast.Load()), decorator)
        if isinstance(node, ast.ClassDef):
            yield from self.within(node.body, owner)
            return
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None and self._loud(default):
                yield default

    def _loud(self, node: ast.AST) -> bool:
        return any(self._acts(each) for each in _run(node))

    def _acts(self, node: ast.AST) -> bool:
        """Whether a node changes something else than the names of this file."""
        match node:
            case ast.Raise() | ast.Await() | ast.Yield() | ast.YieldFrom():
                return True
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                return True
            case ast.Subscript(ctx=ast.Store() | ast.Del(), value=value):
                return not isinstance(value, ast.Name) or value.id in self._modules
            case ast.Call(func=callee):
                return not self._quiet_callee(callee)
        return False

    def _quiet_callee(self, callee: ast.expr) -> bool:
        """Whether calling it does nothing but give a value, or change one of this file."""
        names = _dotted(callee)
        if isinstance(callee, ast.Attribute) and callee.attr in _LOUD_METHODS:
            return False
        if not names:  # a method of a value that was made here: "a b".split()
            return isinstance(callee, ast.Attribute)
        root, *rest = names.split(".")
        if root in self._modules:
            full = ".".join([self._modules[root], *rest])
            return full.split(".")[0] in _QUIET_MODULES or full in _QUIET_CALLS
        if root in self._defined:
            if rest:
                return rest[-1] in ("setter", "getter", "deleter")
            return self._quietly_called(root)
        return self._quietly_bound(root) if rest else root in _QUIET_BUILTINS

    def _quietly_called(self, name: str) -> bool:
        """Whether every function of that name only gives a value: one that makes closures, or decorates."""
        if name not in self._quiet:
            self._quiet[name] = False  # one that calls itself is not looked into
            defined = self._defined[name]
            self._quiet[name] = not any(map(self._does_something, defined))
        return self._quiet[name]

    def _does_something(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.FunctionDef) or node.decorator_list:
            return True
        inside = list(ast.walk(node))
        if any(isinstance(each, (ast.Global, ast.Nonlocal, *_IMPORTS)) for each in inside):
            return True
        if any(self._known(name) for name in _bound_in(inside)):
            return True  # a name that means something else in there
        return any(self._loud(each) for each in node.body)

    def _known(self, name: str) -> bool:
        """Whether a name stands for something outside of functions."""
        outside = name in self._modules or name in self._defined or name in _QUIET_BUILTINS
        return outside or bool(self._source.bindings(name))

    def _quietly_bound(self, name: str) -> bool:
        """Whether a name stands for a value that was made without doing anything."""
        if name not in self._bound:
            self._bound[name] = False  # while it is looked at: what needs itself is not quiet
            bindings = self._source.bindings(name)
            self._bound[name] = bool(bindings) and not any(map(self._loud, bindings))
        return self._bound[name]


def _bound_in(inside: list[ast.AST]) -> Iterator[str]:
    """Names of a function's arguments and variables, those of functions within it too."""
    for node in inside:
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """A node and what runs with it: bodies of functions do not."""
    yield node
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        inner: Iterator[ast.AST] = iter([*node.decorator_list, node.args])
    elif isinstance(node, ast.Lambda):
        inner = iter([node.args])
    else:
        inner = ast.iter_child_nodes(node)
    for child in inner:
        yield from _run(child)


def _never(test: ast.expr) -> bool:
    """``if __name__ == "__main__"`` and ``if TYPE_CHECKING``."""
    match test:
        case ast.Compare(left=ast.Name(id="__name__")):
            return True
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
    return False


def _dotted(node: ast.expr) -> str:
    """``a.b.c`` of names alone; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (inner := _dotted(node.value)):
        return f"{inner}.{node.attr}"
    return ""
