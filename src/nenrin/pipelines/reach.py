"""The walk from a function to all code and all values that decide what it does.

It follows live objects (what a name stands for now), and reads their code from the files. Where it cannot
follow, it says for which file and why: then whole files decide.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

from nenrin.core.digest import digest
from nenrin.pipelines.changing import changed, moving, rebound
from nenrin.pipelines.effects import effects
from nenrin.pipelines.places import Places
from nenrin.pipelines.references import (
    References,
    bytecode,
    filled,
    is_code,
    names_in,
    own_attributes,
)
from nenrin.pipelines.syntax import Function, Source, Sources, chain
from nenrin.pipelines.values import Form, UnknownValueError, flat, still

_WHOLE = {  # what reaches names that are nowhere written
    id(each): name
    for name, each in {
        **{name: getattr(builtins, name) for name in ("exec", "eval", "globals", "__import__")},
        "importlib.import_module": importlib.import_module,
        "importlib.reload": importlib.reload,
        "sys.modules": sys.modules,
        "sys._getframe": getattr(sys, "_getframe", None),
        "inspect.currentframe": inspect.currentframe,
        "inspect.stack": inspect.stack,
    }.items()
}
_IMPORTERS = ("import_module", "__import__")
_INSIDES = frozenset(
    {
        *("__globals__", "__code__", "__defaults__", "__kwdefaults__", "__closure__"),
        *("__subclasses__", "__builtins__", "f_globals", "f_back"),
    }
)


class Walk:
    """One walk, used once.

    Attributes:
        found: digests by part's name, in the order in which they were found.
        texts: the source behind parts.
        code: names of the parts that are code of a file, with the file.
        whole: by file, why whole files must decide; empty where the walk is complete.
        doubts: what decides the result and cannot be told.
    """

    def __init__(self, sources: Sources) -> None:
        self.found: dict[str, list[str]] = {}
        self.texts: dict[str, str] = {}
        self.code: dict[str, str] = {}
        self.whole: dict[str, str] = {}
        self.doubts: list[str] = []
        self.places = Places(sources)
        self.references = References(self.places, str(sources.root))
        self._sources = sources
        self._constants: set[str] = set()
        self._opened: set[str] = set()

    def run(self, value: Any) -> None:
        """Walk from a function or class to the end."""
        form = self._form("it", value)
        if not isinstance(value, (FunctionType, type)) and form is not None:
            self.found["what is called"] = [
                digest(form)
            ]  # a partial function, a method of an object
        while self._more():
            if self.references.waiting:
                label, reached = self.references.waiting.popleft()
                if isinstance(reached, type):
                    self._class(label, reached)
                else:
                    self._function(label, reached)
            for file, module in list(self.references.escaped.items()):
                self._escaped(file, module)
        self.doubts += self.places.strangers

    @property
    def files(self) -> tuple[str, ...]:
        """The files that were reached, and those that they import."""
        reached = list(self.places.scopes)
        return tuple(sorted({each for file in reached for each in self._sources.closure(file)}))

    def _more(self) -> bool:
        """Whether anything waits; what files do when they are imported is the last of it."""
        while not self.references.waiting:
            new = [file for file in self.files if file not in self._opened]
            if not new:
                return False
            self._opened.add(new[0])
            self._effects(new[0])
        return True

    # what names stand for

    def _uses(
        self, file: str, scope: Mapping[str, Any], nodes: Sequence[ast.AST], names: set[str]
    ) -> Form:
        """What the global names in some code stand for."""
        found: dict[str, Form] = {}
        for name, attributes in _written(self._sources.source(file), nodes, names):
            said = ".".join([name, *attributes])
            if said not in found:
                found[said] = self._use(file, scope, name, attributes)
        return [[said, form] for said, form in found.items() if form is not None]

    def _use(
        self, file: str, scope: Mapping[str, Any], name: str, attributes: tuple[str, ...]
    ) -> Form | None:
        if name not in scope:
            self._watch(file, getattr(builtins, name, None))
            return None
        value, rest = scope[name], list(attributes)
        where, module = file, None
        while isinstance(value, ModuleType):
            module, at = self.places.module(value), rest[0] if rest else ""
            if module is None or not at:
                self._watch(file, getattr(value, at, None) if at else None)
                return self._form(name, value)
            if at not in vars(value):
                self.whole.setdefault(file, f"{module} has no {at} yet")
                return None
            where, scope, name, rest = module, vars(value), at, rest[1:]
            value = scope[name]
        return self._global(where, name, value)

    def _global(self, file: str, name: str, value: Any) -> Form | None:
        """A variable of a file: code is walked, other values become parts."""
        self._watch(file, value)
        if name.startswith("__") and name.endswith("__"):
            return None  # such as __name__ and __file__: where it lies decides nothing
        origin, named = self._sources.origin(file, name)
        everywhere = self._everywhere(origin)
        if is_code(value):
            if where := rebound(named, everywhere):
                self.whole.setdefault(origin, f"{named} may be changed at {where}")
            return self._form(f"{file}: {name}", value)
        part = f"constant {named} ({origin})"
        if part not in self._constants:
            self._constants.add(part)
            bindings = self._sources.source(origin).bindings(named)
            self._value(part, value, origin, bindings)
            if where := moving(named, value, everywhere, bindings):
                self.whole.setdefault(origin, f"{named} may be changed at {where}")
        return part

    def _value(self, part: str, value: Any, file: str, nodes: Sequence[ast.AST]) -> None:
        """A value that is no code."""
        line = f":{getattr(nodes[0], 'lineno', '')}" if nodes else ""
        form = self._form(f"{file}{line}: {part.rpartition(' (')[0]}", value)
        if form is not None:
            self.found.setdefault(part, []).append(digest(form))
        if nodes:
            self.texts.setdefault(part, self._sources.source(file).text(*nodes))

    def _form(self, said: str, value: Any) -> Form | None:
        """The form of a value; a doubt where it has none."""
        try:
            return self.references.form(value)
        except UnknownValueError as error:
            inside = f"{error.path} in it " if error.path else ""
            self.doubts.append(f"{said} {inside}is a {error.kind}, whose value cannot be told")
        except RecursionError:
            self.doubts.append(f"{said} is nested too deeply to tell its value")
        return None

    def _everywhere(self, file: str) -> list[Source]:
        names = {*self.files, *self._sources.closure(file)}
        return [self._sources.source(each) for each in sorted(names)]

    # code

    def _keep(self, label: str, file: str, form: Form) -> None:
        self.found.setdefault(label, []).append(digest(form))
        self.code[label] = file

    def _function(self, label: str, value: FunctionType) -> None:
        file = self.places.code(value)
        if file is None:
            return
        source, code = self._sources.source(file), value.__code__
        nodes = source.functions(code)
        dumped = [_dumped(node) for node in nodes] if nodes else bytecode(code)
        if nodes:
            self.texts[label] = source.text(*nodes, without=_decorators(nodes))
        elif not code.co_filename.startswith("<"):
            self.doubts.append(
                f"{file}:{code.co_firstlineno}: {code.co_qualname} is not what was imported:"
                " the file has changed since"
            )
        for node in nodes:
            self._suspects(source, node)
        uses = self._uses(file, value.__globals__, nodes, names_in(code))
        own = self._form(label, dict(vars(value))) if vars(value) else []
        self._keep(label, file, [dumped, uses, own])
        name = label.removeprefix("function ").rpartition(" (")[0]
        self._closed_over(file, name, value)
        self._defaults(file, name, value, nodes)

    def _closed_over(self, file: str, name: str, value: FunctionType) -> None:
        for free, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            if not filled(cell):
                continue
            inner = cell.cell_contents
            self._value(f"closure of {name}: {free} ({file})", inner, file, ())
            if not is_code(inner) and not still(inner):
                self.whole.setdefault(file, f"{free}, which {name} closes over, may be changed")

    def _defaults(
        self, file: str, name: str, value: FunctionType, nodes: Sequence[Function]
    ) -> None:
        for parameter, default in _given(value):
            written = [each for node in nodes if (each := _default(node, parameter)) is not None]
            self._value(f"default of {name}: {parameter} ({file})", default, file, written)
            if is_code(default) or still(default):
                continue
            literal = all(isinstance(each, (ast.List, ast.Dict, ast.Set)) for each in written)
            inside = [Source.of(file, node) for node in nodes]
            if not literal or changed(parameter, inside, inside=flat(default)):
                self.whole.setdefault(file, f"{parameter}, a default of {name}, may be changed")

    def _suspects(self, source: Source, node: ast.AST) -> None:
        """What in a function's syntax the walk does not follow."""
        for each in ast.walk(node):
            why = ""
            match each:
                case ast.Nonlocal(names=names):
                    why = f"binds {names[0]} anew"
                case ast.Import() | ast.ImportFrom() if self._sources.own(source, each):
                    why = "imports when it runs"
                case ast.Attribute(attr=attr) if attr in _INSIDES:
                    why = f"reads {attr}"
            if why:
                self.whole.setdefault(source.name, f"{source.name}:{each.lineno} {why}")  # type: ignore[attr-defined]

    def _class(self, label: str, value: type) -> None:
        file = self.places.code(value)
        if file is None:
            return
        source = self._sources.source(file)
        nodes = source.classes(value.__qualname__)
        if nodes:
            methods = [each for node in nodes for each in node.body if isinstance(each, _METHOD)]
            left_out = (*methods, *_decorators(nodes), *_decorators(methods))
            self.texts[label] = source.text(*nodes, without=left_out)
        bases = [self._form(label, base) for base in (*value.__mro__[1:], type(value))]
        held = []
        for name, each in own_attributes(value).items():
            held.append([name, self._form(f"{label}: {name}", each)])
            where = "" if _magic(name) else self._class_moves(file, name, each)
            if where:
                self.whole.setdefault(
                    file, f"{value.__qualname__}.{name} may be changed at {where}"
                )
        self._keep(label, file, [[_skeleton(node) for node in nodes], bases, held])

    def _class_moves(self, file: str, name: str, value: Any) -> str:
        if is_code(value) or hasattr(value, "__get__"):
            return rebound(name, self._everywhere(file))
        return moving(name, value, self._everywhere(file))

    # files

    def _effects(self, file: str) -> None:
        """What a file does when it is imported, beside binding names."""
        source = self._sources.source(file)
        if source.broken:
            self.whole.setdefault(file, f"{file} is no Python: {source.broken}")
        done = effects(source)
        if not done:
            return
        scope = self.places.scope(file)
        if scope is None:
            self.whole.setdefault(file, f"{file} was not imported")
            return
        part = f"top level of {file}"
        self.texts[part] = source.text(*done)
        before = len(self.doubts)
        names = {each.id for node in done for each in ast.walk(node) if isinstance(each, ast.Name)}
        uses = self._uses(file, scope, done, names)
        del self.doubts[before:]  # what they work on is told by the statements that made it
        self._keep(part, file, [[ast.dump(node) for node in done], uses])

    def _escaped(self, file: str, module: ModuleType) -> None:
        """All of a module that goes where it cannot be followed."""
        self.whole.setdefault(file, f"{file} is used as a value")
        if f"module {file}" in self._constants:
            return
        self._constants.add(f"module {file}")
        for name, value in list(vars(module).items()):
            if not isinstance(value, ModuleType):
                self._global(file, name, value)

    def _watch(self, file: str, value: Any) -> None:
        """Let whole files decide where names may be reached that are nowhere written."""
        name = _WHOLE.get(id(value))
        if name is None or value is None:
            return
        self.whole.setdefault(file, f"{file} uses {name}")
        if name.endswith(_IMPORTERS) and (line := _computed(self._sources.source(file))):
            self.doubts.append(f"{file}:{line}: which module is imported is computed")
        scope = self.places.scope(file)
        if name in ("globals", "exec", "eval") and scope is not None:
            self._everything(file, scope)

    def _everything(self, file: str, scope: Mapping[str, Any]) -> None:
        """Every value of a file that may be reached by a name that is not written."""
        if f"all of {file}" not in self._constants:
            self._constants.add(f"all of {file}")
            for name, value in list(scope.items()):
                if not isinstance(value, ModuleType):
                    self._global(file, name, value)


_METHOD = (ast.FunctionDef, ast.AsyncFunctionDef)


def _written(
    source: Source, nodes: Sequence[ast.AST], names: set[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Names that are no local ones, with the attributes read off them; of code without a file all names."""
    if not nodes:
        yield from ((name, ()) for name in sorted(names))
    for node in nodes:
        left_out = {each for top in _decorators([node]) for each in ast.walk(top)}
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and each.id in names and each not in left_out:
                yield each.id, chain(source, each)


def _decorators(nodes: Iterable[ast.AST]) -> tuple[ast.AST, ...]:
    return tuple(each for node in nodes for each in getattr(node, "decorator_list", ()))


def _dumped(node: Function) -> str:
    """A function's syntax; decorators and defaults are told by what they made."""
    bare = ast.arguments(
        **{
            **{name: getattr(node.args, name) for name in ast.arguments._fields},
            "defaults": [ast.Constant(...) for _ in node.args.defaults],
            "kw_defaults": [each and ast.Constant(...) for each in node.args.kw_defaults],
        }
    )
    body = node.body if isinstance(node.body, list) else [node.body]
    returns = getattr(node, "returns", None)
    return "\n".join(
        [
            *(type(node).__name__, getattr(node, "name", "")),
            *(ast.dump(each) for each in (bare, *([returns] if returns else []), *body)),
        ]
    )


def _skeleton(node: ast.ClassDef) -> str:
    """A class's syntax without its methods."""
    rest = [each for each in node.body if not isinstance(each, _METHOD)]
    return "\n".join(
        [node.name, *(ast.dump(each) for each in (*node.bases, *node.keywords, *rest))]
    )


def _given(value: FunctionType) -> Iterator[tuple[str, Any]]:
    """Parameters that have a default, with it."""
    code, given = value.__code__, value.__defaults__ or ()
    yield from zip(
        code.co_varnames[code.co_argcount - len(given) : code.co_argcount], given, strict=True
    )
    yield from (value.__kwdefaults__ or {}).items()


def _default(node: Function, parameter: str) -> ast.expr | None:
    """Where a parameter's default is written."""
    positional = [*node.args.posonlyargs, *node.args.args]
    count = len(positional) - len(node.args.defaults)
    pairs = [
        *zip(positional[count:], node.args.defaults, strict=True),
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
    ]
    return next((default for argument, default in pairs if argument.arg == parameter), None)


def _magic(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _computed(source: Source) -> int:
    """The line on which a module is imported whose name is not written there; 0: none."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        said = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if said in _IMPORTERS and not (node.args and isinstance(node.args[0], ast.Constant)):
            return node.lineno
    return 0
