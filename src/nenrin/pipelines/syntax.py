"""Source files below a project's folder: their syntax, their lines without comments, what they import."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import Self

_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Scope = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Source:
    """One file.

    Attributes:
        name: its path below the folder, with ``/``.
        broken: why it is no Python; empty for most.
        tree: its syntax.
    """

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self.content = content
        self.broken = ""
        try:
            self.tree = ast.parse(content)
        except (SyntaxError, ValueError) as error:
            self.broken = str(error)
            self.tree = ast.Module(body=[], type_ignores=[])

    @classmethod
    def of(cls, name: str, *nodes: ast.AST) -> Self:
        """A file that holds parts of another's syntax alone."""
        found = cls(name, b"")
        body: list[ast.stmt] = []
        for node in nodes:
            inside = getattr(node, "body", [])
            body += inside if isinstance(inside, list) else [ast.Expr(inside)]
        found.tree = ast.Module(body=body, type_ignores=[])
        return found

    @property
    def package(self) -> tuple[str, ...]:
        """The packages that it lies in: ``("a", "b")`` for ``a/b/c.py`` and for ``a/b/__init__.py``."""
        return tuple(self.name.split("/")[:-1])

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The node around each node."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def named(self) -> dict[str, list[ast.Name | ast.Attribute | ast.alias | ast.Global]]:
        """Every place where a name is written: as a name, an attribute, an import or in ``global``."""
        found: dict[str, list[ast.Name | ast.Attribute | ast.alias | ast.Global]] = {}
        for node in ast.walk(self.tree):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                    found.setdefault(name, []).append(node)
                case ast.Global(names=names):
                    for name in names:
                        found.setdefault(name, []).append(node)
        return found

    @cached_property
    def lines(self) -> dict[int, str]:
        """Lines by number; comments and what is then empty are gone."""
        text = io.StringIO(_decoded(self.content), newline=None).read()
        found = text.split("\n")
        try:
            for token in tokenize.generate_tokens(io.StringIO(text).readline):
                if token.type == tokenize.COMMENT:
                    row, column = token.start
                    found[row - 1] = found[row - 1][:column]
        except (tokenize.TokenError, IndentationError):
            pass  # no Python: shown as it is
        return {number: line.rstrip() for number, line in enumerate(found, 1) if line.strip()}

    @cached_property
    def _functions(self) -> dict[tuple[str, int], list[Function]]:
        found: dict[tuple[str, int], list[Function]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, Scope):
                decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
                first = min([node.lineno, *(each.lineno for each in decorators)])
                name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
                found.setdefault((name, first), []).append(node)
        return found

    @cached_property
    def defined(self) -> frozenset[str]:
        """Names of its functions and methods."""
        return frozenset(name for name, _ in self._functions)

    @cached_property
    def _codes(self) -> dict[tuple[str, int], list[CodeType]]:
        found: dict[tuple[str, int], list[CodeType]] = {}
        waiting = [compile(self.content, self.name, "exec", dont_inherit=True)]
        while waiting:
            code = waiting.pop()
            found.setdefault((code.co_name, code.co_firstlineno), []).append(code)
            waiting.extend(each for each in code.co_consts if isinstance(each, CodeType))
        return found

    def functions(self, code: CodeType) -> list[Function]:
        """The nodes that a code object may have come from: one, or several lambdas of one line.

        Empty where the file holds other code than what was imported.
        """
        if self.broken:
            return []
        at = (code.co_name, code.co_firstlineno)
        if code not in self._codes.get(at, []):
            return []
        return self._functions.get(at, [])

    def classes(self, qualname: str) -> list[ast.ClassDef]:
        """The class statements of that qualified name, ``Outer.Inner`` or ``make.<locals>.Inner``."""
        steps = [step for step in qualname.split(".") if step != "<locals>"]
        level: list[ast.AST] = [self.tree]
        for step in steps:
            level = [node for each in level for node in _defined(each, step)]
        return [node for node in level if isinstance(node, ast.ClassDef)]

    def bindings(self, name: str) -> list[ast.stmt]:
        """The statements outside of functions and classes that bind a name, other than imports."""
        return [
            node
            for node in self.outside
            if any(isinstance(each, ast.Name) and each.id == name for each in _targets(node))
        ]

    @cached_property
    def outside(self) -> list[ast.stmt]:
        """Every statement that runs when the file is imported, those in blocks too; not class bodies."""
        return list(_statements(self.tree.body))

    def text(self, *nodes: ast.AST, without: tuple[ast.AST, ...] = ()) -> str:
        """The file's name, then the nodes' lines as ``number line``, without comments and empty lines."""
        kept = {number for node in nodes for number in _span(node)}
        kept -= {number for node in without for number in _span(node)}
        shown = [
            f"{number} {self.lines[number]}" for number in sorted(kept) if number in self.lines
        ]
        return "\n".join([self.name, *shown])

    def whole(self) -> str:
        """:meth:`text` of the file."""
        return "\n".join([self.name, *(f"{number} {line}" for number, line in self.lines.items())])


class Sources:
    """The files of one project's folder, read once."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._read: dict[str, Source] = {}
        self._names: dict[str, str | None] = {}
        self._closures: dict[tuple[str, bool], frozenset[str]] = {}
        self._imports: dict[tuple[str, bool], tuple[frozenset[str], frozenset[str]]] = {}

    def source(self, name: str) -> Source:
        """The file of that name below the folder."""
        if name not in self._read:
            self._read[name] = Source(name, (self.root / name).read_bytes())
        return self._read[name]

    def name_of(self, path: str) -> str | None:
        """A file's name below the folder; None for files elsewhere and for what is installed there."""
        if path not in self._names:
            self._names[path] = self._name_of(path)
        return self._names[path]

    def module(self, dotted: str) -> str | None:
        """The file of a module that lies below the folder."""
        path = dotted.replace(".", "/")
        for name in (f"{path}.py", f"{path}/__init__.py"):
            if dotted and (self.root / name).is_file():
                return name
        return None

    def imports(self, name: str, *, first: bool = False) -> tuple[frozenset[str], frozenset[str]]:
        """What a file imports: files below the folder, and other top-level modules.

        Args:
            name: the file.
            first: what it imports when it is imported itself; else what its functions import too.
        """
        if (name, first) not in self._imports:
            files: set[str] = set()
            others: set[str] = set()
            for dotted, star in _imported(self.source(name), first):
                found = self._files(dotted, star)
                files.update(found)
                top = dotted.partition(".")[0]
                if not found and not any((self.root / top).glob("*.py")):
                    others.add(top)
            self._imports[name, first] = frozenset(files), frozenset(others)
        return self._imports[name, first]

    def closure(self, name: str, *, first: bool = False) -> frozenset[str]:
        """The file and every file below the folder that it imports, directly or not."""
        if (name, first) not in self._closures:
            found: set[str] = set()
            waiting = [name]
            while waiting:
                each = waiting.pop()
                if each not in found:
                    found.add(each)
                    waiting.extend(self.imports(each, first=first)[0])
            self._closures[name, first] = frozenset(found)
        return self._closures[name, first]

    def own(self, source: Source, node: ast.Import | ast.ImportFrom) -> bool:
        """Whether an import is one of a file below the folder."""
        return any(
            self._files(dotted, star)
            for dotted, star in _imported(Source.of(source.name, ast.Module([node], [])))
        )

    def origin(self, name: str, variable: str) -> tuple[str, str]:
        """The file, and the name there, where a variable of a file is bound: imports are followed."""
        seen: set[tuple[str, str]] = set()
        at = (name, variable)
        while at not in seen:
            seen.add(at)
            at = self._imported_from(*at) or at
        return at

    def _imported_from(self, name: str, variable: str) -> tuple[str, str] | None:
        source = self.source(name)
        if source.bindings(variable):
            return None
        for node in source.outside:
            if not isinstance(node, ast.ImportFrom):
                continue
            file = self.module(_from(source, node))
            for alias in node.names:
                if file and alias.name == "*" and self.source(file).named.get(variable):
                    return file, variable
                if file and (alias.asname or alias.name) == variable:
                    return file, alias.name
        return None

    def _name_of(self, path: str) -> str | None:
        try:
            name = Path(path).resolve().relative_to(self.root)
        except (ValueError, OSError):
            return None
        hidden = any(part.startswith(".") or part in _SKIPPED for part in name.parts)
        return None if hidden or not (self.root / name).is_file() else name.as_posix()

    def _files(self, dotted: str, star: bool) -> set[str]:
        """The files that importing ``a.b.c`` runs: those of the packages around it too."""
        steps = dotted.split(".")
        found = {self.module(".".join(steps[: count + 1])) for count in range(len(steps))}
        inside = self.root / Path(*steps)
        if star and inside.is_dir():
            found |= {self.name_of(str(path)) for path in sorted(inside.glob("*.py"))}
        return {name for name in found if name}


def chain(source: Source, node: ast.Name) -> tuple[str, ...]:
    """The attributes that are read off a name, one after the other."""
    found: list[str] = []
    inner: ast.AST = node
    while isinstance(outer := source.parents.get(inner), ast.Attribute):
        found.append(outer.attr)
        inner = outer
    return tuple(found)


def _decoded(content: bytes) -> str:
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return content.decode(encoding, errors="replace")


def _span(node: ast.AST) -> range:
    first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", None)
    return range(first, (last or first) + 1)


def _defined(node: ast.AST, name: str) -> Iterator[ast.AST]:
    """Functions and classes of that name in a body, in the blocks of it too."""
    for each in _statements(getattr(node, "body", [])):
        if isinstance(each, _DEFINED) and each.name == name:
            yield each


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if not isinstance(node, _DEFINED):
            for block in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, block, []))
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body)


def _targets(node: ast.stmt) -> Iterator[ast.AST]:
    match node:
        case ast.Assign(targets=targets):
            for target in targets:
                yield from ast.walk(target)
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target) | ast.For(target=target):
            yield from ast.walk(target)
        case ast.With(items=items):
            for item in items:
                if item.optional_vars is not None:
                    yield from ast.walk(item.optional_vars)


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if not isinstance(node, Scope):
        for child in ast.iter_child_nodes(node):
            yield from _outside_functions(child)


def _from(source: Source, node: ast.ImportFrom) -> str:
    """The module of ``from … import``, its dots resolved."""
    around = source.package[: len(source.package) - node.level + 1] if node.level else ()
    return ".".join([*around, *([node.module] if node.module else [])])


def _imported(source: Source, first: bool = False) -> Iterator[tuple[str, bool]]:
    """Every module that may be imported, and whether all its names are."""
    for node in _outside_functions(source.tree) if first else ast.walk(source.tree):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, False) for alias in names)
            case ast.ImportFrom(names=names):
                module = _from(source, node)
                if module:
                    yield module, any(alias.name == "*" for alias in names)
                if module or node.level:
                    prefix = f"{module}." if module else ""
                    inner = (alias.name for alias in names if alias.name != "*")
                    yield from ((f"{prefix}{name}", False) for name in inner)
            case ast.Call(func=called, args=[ast.Constant(value=str(name)), *_]):
                said = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
                if said in ("import_module", "__import__"):
                    yield name, False
