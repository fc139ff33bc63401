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
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

from nenrin.core.digest import digest
from nenrin.pipelines.changing import changed, moving, rebound
from nenrin.pipelines.definitions import (
    IMPORTERS,
    METHOD,
    annotated,
    computed,
    decorators,
    default_of,
    dumped,
    names_of,
    repeated,
    skeleton,
    written,
)
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
from nenrin.pipelines.syntax import Function, Source, Sources
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
_INSIDES = frozenset(
    {
        *("__globals__", "__code__", "__defaults__", "__kwdefaults__", "__closure__"),
        *("__subclasses__", "__builtins__", "f_globals", "f_back"),
    }
)


class Walk:
    """One walk, used once.

    Args:
        sources: the project's files.
        entry: the file that is imported first, whatever file the function stands in; empty if none is.

    Attributes:
        found: digests by part's name, in the order in which they were found.
        texts: the source behind parts.
        code: names of the parts that are code of a file, with the file.
        whole: by file, why whole files must decide; empty where the walk is complete.
        doubts: what decides the result and cannot be told.
    """

    def __init__(self, sources: Sources, entry: str = "") -> None:
        self.found: dict[str, list[str]] = {}
        self.texts: dict[str, str] = {}
        self.code: dict[str, str] = {}
        self.whole: dict[str, str] = {}
        self.doubts: list[str] = []
        self.places = Places(sources, entry)
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
                self.whole.setdefault(file, f"{file} is used as a value")
                self._everything(file, vars(module))
        self.doubts += self.places.strangers

    def _more(self) -> bool:
        """Whether anything waits; what files do when they are imported is the last of it."""
        while not self.references.waiting:
            new = [file for file in self.places.imported() if file not in self._opened]
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
        for name, attributes in written(self._sources.source(file), nodes, names):
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
        origin, named = self._origin(file, name, value)
        everywhere = self.places.around(origin)
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

    def _origin(self, file: str, name: str, value: Any) -> tuple[str, str]:
        """Where a variable that holds a value is bound, by its name there."""
        origin, named = self._sources.origin(file, name)
        scope = self.places.scope(origin) if origin != file else None
        same = scope is not None and scope.get(named) is value
        return (origin, named) if same else (file, name)

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
        shape = [dumped(node) for node in nodes] if nodes else bytecode(code)
        if nodes:
            self.texts[label] = source.text(*nodes, without=decorators(nodes))
        elif not code.co_filename.startswith("<"):
            self.doubts.append(
                f"{file}:{code.co_firstlineno}: {code.co_qualname} is not what was imported:"
                " the file has changed since"
            )
        for node in nodes:
            self._suspects(source, node)
        names = names_in(code) | names_of(annotated(nodes))
        uses = self._uses(file, value.__globals__, nodes, names)
        own = self._form(label, dict(vars(value))) if vars(value) else []
        self._keep(label, file, [shape, uses, own])
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
            places = [each for node in nodes if (each := default_of(node, parameter)) is not None]
            self._value(f"default of {name}: {parameter} ({file})", default, file, places)
            if is_code(default) or still(default):
                continue
            literal = all(isinstance(each, (ast.List, ast.Dict, ast.Set)) for each in places)
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
            methods = [each for node in nodes for each in node.body if isinstance(each, METHOD)]
            left_out = (*methods, *decorators(nodes), *decorators(methods))
            self.texts[label] = source.text(*nodes, without=left_out)
        bases = [self._form(label, base) for base in (*value.__mro__[1:], type(value))]
        held = []
        for name, each in own_attributes(value).items():
            held.append([name, self._form(f"{label}: {name}", each)])
            where = "" if _magic(name) else _attribute_moves(name, each, self.places.around(file))
            if where:
                self.whole.setdefault(
                    file, f"{value.__qualname__}.{name} may be changed at {where}"
                )
        inside = [each for node in nodes for each in skeleton(node)]
        scope = self.places.scope(file) or {}
        uses = self._uses(file, scope, inside, names_of(inside)) if inside else []
        self._keep(label, file, [[ast.dump(each) for each in inside], uses, bases, held])

    # files

    def _effects(self, file: str) -> None:
        """What a file does when it is imported, beside binding names."""
        source = self._sources.source(file)
        if source.broken:
            self.whole.setdefault(file, f"{file} is no Python: {source.broken}")
        done = effects(source)
        scope = self.places.scope(file) if done else None
        if scope is None:
            if done:
                self.whole.setdefault(file, f"{file} was not imported")
            return
        for name in repeated(source, done):
            self.whole.setdefault(file, f"{file} defines {name} more than once")
        part = f"top level of {file}"
        self.texts[part] = source.text(*done)
        before = len(self.doubts)
        uses = self._uses(file, scope, done, names_of(done))
        del self.doubts[before:]  # what they work on is told by the statements that made it
        self._keep(part, file, [[ast.dump(node) for node in done], uses])

    def _watch(self, file: str, value: Any) -> None:
        """Let whole files decide where names may be reached that are nowhere written."""
        name = _WHOLE.get(id(value))
        if name is None or value is None:
            return
        self.whole.setdefault(file, f"{file} uses {name}")
        if name.endswith(IMPORTERS) and (line := computed(self._sources.source(file))):
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


def _attribute_moves(name: str, value: Any, sources: Sequence[Source]) -> str:
    """Where a class's attribute may be changed; empty if nowhere."""
    if is_code(value) or hasattr(value, "__get__"):
        return rebound(name, sources)
    return moving(name, value, sources)


def _given(value: FunctionType) -> Iterator[tuple[str, Any]]:
    """Parameters that have a default, with it."""
    code, given = value.__code__, value.__defaults__ or ()
    yield from zip(
        code.co_varnames[code.co_argcount - len(given) : code.co_argcount], given, strict=True
    )
    yield from (value.__kwdefaults__ or {}).items()


def _magic(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
