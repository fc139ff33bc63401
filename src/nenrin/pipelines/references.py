"""What stands for code in the form of a value: a function's or class's name and file, or a library's name."""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Callable
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    GenericAlias,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

from nenrin.pipelines.places import Places
from nenrin.pipelines.values import Form, Forms

_CODE = (
    *(FunctionType, MethodType, BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType),
    *(type, ModuleType, staticmethod, classmethod, property, functools.cached_property),
    functools.partialmethod,
)
Inner = Callable[[Any], Form]


class References:
    """Names code, and keeps what of it is the project's own and has still to be walked.

    Attributes:
        waiting: labels and objects that were named and not walked yet.
        libraries: top-level modules of others that were named.
        escaped: modules of the project that are used as values.
    """

    def __init__(self, places: Places, root: str) -> None:
        self.waiting: deque[tuple[str, FunctionType | type]] = deque()
        self.libraries: set[str] = set()
        self.escaped: dict[str, ModuleType] = {}
        self._places = places
        self._root = root
        self._labels: dict[int, str] = {}
        self._taken: dict[str, int] = {}
        self._alive: list[Any] = []  # an id is one's own only while the value lives

    def form(self, value: Any) -> Form:
        """The form of any value.

        Raises:
            UnknownValueError: it has none.
        """
        return Forms(self._refer, self._root).form(value)

    def _refer(self, value: Any, inner: Inner) -> Form | None:
        """What stands for a value that is code; None for other values."""
        if type(value) is GenericAlias:
            return None  # it says that its class is type
        match value:
            case FunctionType() | type():
                return self._label(value, inner)
            case MethodType():
                return ["method", inner(value.__func__), inner(value.__self__)]
            case staticmethod() | classmethod():
                return [type(value).__name__, inner(value.__func__)]
            case property():
                return ["property", *map(inner, (value.fget, value.fset, value.fdel))]
            case functools.cached_property():
                return ["cached_property", inner(value.func)]
            case functools.partialmethod():
                return ["partialmethod", *map(inner, (value.func, value.args, value.keywords))]
            case ModuleType():
                return self._module(value)
            case BuiltinFunctionType() if not isinstance(value.__self__, (ModuleType, type(None))):
                return ["builtin", value.__name__, inner(value.__self__)]
            case MethodDescriptorType() | WrapperDescriptorType():
                return ["descriptor", value.__name__, inner(value.__objclass__)]
        if hasattr(value, "cache_parameters") and hasattr(value, "__wrapped__"):
            return ["cache", inner(value.cache_parameters()), inner(value.__wrapped__)]
        return self._by_name(value)

    def _label(self, value: FunctionType | type, inner: Inner) -> Form:
        """The name of what the project defines, which then waits to be walked; else what names it."""
        if id(value) in self._labels:
            return self._labels[id(value)]
        file = self._places.code(value)
        if file is None:
            named = self._by_name(value)
            if named is None and isinstance(value, FunctionType):
                return self._made(value, inner)
            return named or ["elsewhere", value.__module__, value.__qualname__]
        kind = "class" if isinstance(value, type) else "function"
        name = value.__qualname__ if isinstance(value, type) else value.__code__.co_qualname
        count = self._taken.get(f"{kind} {name} ({file})", 0) + 1
        self._taken[f"{kind} {name} ({file})"] = count
        label = f"{kind} {name}{f'#{count}' if count > 1 else ''} ({file})"
        self._keep(value, label)
        self.waiting.append((label, value))
        return label

    def _module(self, value: ModuleType) -> Form:
        file = self._places.module(value)
        if file is None:
            self.libraries.add(value.__name__.split(".")[0])
            return ["module", value.__name__]
        self.escaped.setdefault(file, value)
        return ["module", file]

    def _made(self, value: FunctionType, inner: Inner) -> Form:
        """A function that a library made: what it closes over may be the project's."""
        module = str(value.__globals__.get("__name__"))  # __module__ may be that of what it wraps
        label = f"{module}.{value.__code__.co_qualname}"
        self._keep(value, label)
        self.libraries.add(module.partition(".")[0])
        if hasattr(value, "registry") and hasattr(value, "dispatch"):  # functools.singledispatch
            return ["dispatch", inner(dict(value.registry))]
        held = [
            *(cell.cell_contents for cell in value.__closure__ or () if filled(cell)),
            *(value.__defaults__ or ()),
            *(value.__kwdefaults__ or {}).values(),
            dict(vars(value)),
        ]
        return ["made", label, bytecode(value.__code__), *map(inner, held)]

    def _keep(self, value: Any, label: str) -> None:
        self._labels[id(value)] = label
        self._alive.append(value)

    def _by_name(self, value: Any) -> Form | None:
        """The library's name for it, if it can be found there."""
        said = getattr(value, "__module__", None)
        module = said if isinstance(said, str) else type(value).__module__  # made in C, names none
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
        if not isinstance(name, str):
            return None
        found: Any = sys.modules.get(module)
        if found is not None and self._places.module(found) is not None:
            return None  # a library made it, under the name of what it wraps
        for step in name.split("."):
            found = getattr(found, step, None)
        if found is not value:
            return None
        self.libraries.add(module.partition(".")[0])
        return ["named", module, name]


def is_code(value: Any) -> bool:
    """Whether a value is code, and no state."""
    known = isinstance(value, _CODE) or hasattr(value, "cache_parameters")
    return known and type(value) is not GenericAlias


def filled(cell: CellType) -> bool:
    """Whether a closure's cell holds something yet."""
    try:
        cell.cell_contents  # noqa: B018 - an empty cell raises
    except ValueError:
        return False
    return True


def own_attributes(kind: type) -> dict[str, Any]:
    """What a class holds: methods and values, without what Python puts there."""
    found = {
        name: value
        for name, value in vars(kind).items()
        if name not in _MACHINERY
        and not name.startswith("__pydantic_")
        and not isinstance(value, (GetSetDescriptorType, MemberDescriptorType))
        and type(value).__name__ != "_tuplegetter"
    }
    members = getattr(kind, "__members__", None)
    if not isinstance(members, MappingProxyType):
        return found
    methods = {name: v for name, v in found.items() if name not in members and not _sunder(name)}
    return {**methods, **{name: member.value for name, member in members.items()}}


def names_in(code: CodeType) -> set[str]:
    """Every name that is no local one, in the code within it too."""
    inner = [names_in(each) for each in code.co_consts if isinstance(each, CodeType)]
    return {*code.co_names}.union(*inner)


def bytecode(code: CodeType) -> Form:
    """The form of code that no file holds."""
    consts = [
        bytecode(each) if isinstance(each, CodeType) else _constant(each) for each in code.co_consts
    ]
    counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
    names = [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
    raw = [code.co_code.hex(), code.co_exceptiontable.hex()]
    return ["bytecode", counts, [list(each) for each in names], raw, consts]


def _constant(value: object) -> str:
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(repr, value))}"
    return repr(value)


def _sunder(name: str) -> bool:
    return name.startswith("_") and name.endswith("_") and not name.startswith("__")


_MACHINERY = frozenset(
    {
        *("__dict__", "__weakref__", "__module__", "__qualname__", "__firstlineno__", "__doc__"),
        *("__static_attributes__", "__annotations__", "__annotate_func__", "__annotations_cache__"),
        *(
            "__abstractmethods__",
            "_abc_impl",
            "__dataclass_params__",
            "__match_args__",
            "__slots__",
        ),
        *("__parameters__", "__annotate__", "__classdictcell__", "__orig_bases__", "__members__"),
        *("__struct_config__", "__struct_encode_fields__", "__signature__"),
    }
)
