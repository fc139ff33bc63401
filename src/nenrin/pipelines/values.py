"""Canonical forms of Python values: equal values have equal forms in every process, and nothing is pickled.

A form is built of lists and strings, so that :func:`nenrin.core.digest.digest` knows it. Values that are
code (functions, classes, modules) are given to a callback, which says what stands for them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import logging
import re
import sys
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID  # noqa: TID251 - known as a value, never drawn
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from nenrin.core.digest import digest_arrays

Form = Any  # lists and strings
Referred = Callable[[Any, Callable[[Any], Form]], Form | None]

CELLS = 1_000_000  # of a frame, above which its values are not read one by one

_PLAIN = (bool, int, str, float, complex, bytes, type(None), type(...), type(NotImplemented))
_PRINTED = (
    *(dt.datetime, dt.date, dt.time, dt.timedelta, dt.timezone, ZoneInfo),
    *(Decimal, Fraction, UUID, range, slice),
)
_WITHOUT_IDENTITY = frozenset(
    {tuple, frozenset, *_PRINTED}
)  # one or two equal ones: nobody can tell
_MAPPINGS = (dict, types.MappingProxyType)
_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that was made while running
_PLACE = frozenset(
    {"where", "folder"}
)  # of nenrin's declarations: where they stand, not what they say


class UnknownValueError(Exception):
    """A value has no canonical form.

    Args:
        path: how it is reached, such as ``.encoder[3]``.
        kind: its class.
    """

    def __init__(self, path: str, kind: type) -> None:
        super().__init__(path)
        self.path = path
        self.kind = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


class Forms:
    """Makes the form of one value.

    Args:
        referred: what stands for a value that is code, None for other values; it is given how to make the
            form of what that holds.
        root: the project's folder: paths below it are written relative to it.
    """

    def __init__(self, referred: Referred, root: str) -> None:
        self._referred = referred
        self._root = root
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []  # an id is one's own only while the value lives

    def form(self, value: Any, path: str = "") -> Form:
        """The form of a value.

        Raises:
            UnknownValueError: it, or something within it, has none.
        """
        if isinstance(value, Enum):
            return ["enum", self._class(value, path), value.name]
        if type(value) in _PLAIN:
            return self._plain(value)
        if (referred := self._referred(value, self.form)) is not None:
            return ["code", referred]
        if type(value) not in _WITHOUT_IDENTITY:
            if id(value) in self._seen:
                return ["again", self._seen[id(value)]]
            self._seen[id(value)] = len(self._seen)
            self._alive.append(value)
        for known in (self._simple, self._array, self._container, self._frame, self._instance):
            if (found := known(value, path)) is not None:
                return found
        raise UnknownValueError(path, type(value))

    def _plain(self, value: Any) -> Form:
        if isinstance(value, str):
            return ["str", value.replace(self._root, "<project>")]
        if isinstance(value, bytes):
            return ["bytes", value.hex()]
        return [type(value).__name__, repr(value)]

    def _simple(self, value: Any, path: str) -> Form | None:
        """Values that their text or few attributes tell."""
        if isinstance(value, PurePath):
            return ["path", str(value).replace(self._root, "<project>")]
        if type(value) in _PRINTED:
            return [type(value).__name__, repr(value)]
        if isinstance(value, re.Pattern):
            return ["pattern", self.form(value.pattern), value.flags]
        if isinstance(value, logging.Logger):
            return ["logger"]
        if type(value).__module__ in ("typing", "typing_extensions", "types"):
            return self._annotation(value, path)
        if type(value).__module__.split(".")[0] == "msgspec" and hasattr(value, "factory"):
            return ["factory", self.form(value.factory, path)]
        if _is_lock(value):
            return ["lock", type(value).__name__]
        if isinstance(value, functools.partial):
            inner = (value.func, value.args, value.keywords)
            return ["partial", *(self.form(each, path) for each in inner)]
        return self._generator(value, path)

    def _annotation(self, value: Any, path: str) -> Form | None:
        """``list[int]``, ``int | None``, ``Optional[Point]``, a type variable."""
        args = getattr(value, "__args__", None)
        if args is not None:
            origin = getattr(value, "__origin__", None) or type(value)
            return ["generic", self.form(origin, path), self._items(args, path)]
        if type(value).__module__ == "types":
            return None
        return ["typing", getattr(value, "__name__", None) or repr(value)]

    def _generator(self, value: Any, path: str) -> Form | None:
        """The state of a random generator."""
        if isinstance(value, np.random.Generator):
            return ["generator", self.form(value.bit_generator.state, path)]
        if isinstance(value, np.random.RandomState):
            return ["generator", self.form(value.get_state(legacy=False), path)]
        random = sys.modules.get("random")
        if random is not None and type(value) is random.Random:
            return ["generator", self.form(value.getstate(), path)]
        return None

    def _array(self, value: Any, path: str) -> Form | None:
        if isinstance(value, np.dtype):
            return ["dtype", repr(value.descr) if value.fields else value.str]
        if isinstance(value, np.generic):
            return ["scalar", value.dtype.str, self.form(value.item(), path)]
        if type(value) is not np.ndarray:
            return None
        if value.dtype.hasobject:
            shape = repr(value.shape)
            return ["array", shape, self._items(value.ravel().tolist(), path)]
        return ["array", digest_arrays(value)]

    def _container(self, value: Any, path: str) -> Form | None:
        kind = type(value)
        if isinstance(value, _MAPPINGS):
            pairs = [
                [self.form(key, f"{path} key"), self.form(each, f"{path}[{key!r:.40}]")]
                for key, each in value.items()
            ]
            return self._typed("dict", value, (dict, OrderedDict, types.MappingProxyType), pairs)
        if isinstance(value, (set, frozenset)):
            # in an order of the forms: that of a set differs from process to process
            items = sorted(
                (Forms(self._referred, self._root).form(each, path) for each in value), key=repr
            )
            return self._typed(kind.__name__, value, (set, frozenset), items)
        if isinstance(value, (list, tuple, deque)):
            items = self._items(value, path)
            return self._typed(kind.__name__, value, (list, tuple, deque), items)
        if isinstance(value, bytearray):
            return ["bytearray", value.hex()]
        return None

    def _typed(self, name: str, value: Any, known: tuple[type, ...], items: Form) -> Form:
        """A container's items; of a subclass, with the class and the attributes."""
        if isinstance(value, deque):
            items = [items, repr(value.maxlen)]
        if isinstance(value, defaultdict):
            items = [items, self.form(value.default_factory)]
        if type(value) in known:
            return [name, type(value).__name__, items]
        return [name, self._class(value, ""), items, self._attributes(value, "")]

    def _frame(self, value: Any, path: str) -> Form | None:
        polars = sys.modules.get("polars")
        if polars is None or not isinstance(value, (polars.DataFrame, polars.Series)):
            return None
        frame = value.to_frame() if isinstance(value, polars.Series) else value
        if frame.height * frame.width > CELLS:
            return None
        columns = [
            [n, str(frame[n].dtype), self.form(frame[n].to_list(), path)] for n in frame.columns
        ]
        return ["frame", type(value).__name__, columns]

    def _instance(self, value: Any, path: str) -> Form | None:
        """Its class and its attributes, where those are all that it is."""
        kind = type(value)
        if kind is object:
            return ["object"]
        if kind is types.SimpleNamespace:
            return ["namespace", self._attributes(value, path)]
        if kind.__module__.split(".")[0] == "nenrin" and hasattr(value, "declared"):
            return self._declared(value, path)
        for base in (int, str, float, complex, bytes):
            if isinstance(value, base):
                plain = getattr(base, "__getnewargs__", base.__repr__)(value)
                said = [self._class(value, path), repr(plain).replace(self._root, "<project>")]
                return ["derived", *said, self._attributes(value, path)]
        if not _python_made(kind):
            return None
        return ["instance", self._class(value, path), self._attributes(value, path)]

    def _declared(self, value: Any, path: str) -> Form:
        """A declaration of nenrin: who calls it calls its function, whatever else it declares."""
        function = getattr(value, "function", None)
        if function is not None:
            return ["declared", type(value).__name__, self.form(function, path)]
        said = msgspec.to_builtins(value.declared, enc_hook=repr)
        kept = {name: each for name, each in said.items() if name not in _PLACE}
        return ["declared", type(value).__name__, self.form(kept, path)]

    def _class(self, value: Any, path: str) -> Form:
        return self.form(type(value), path)

    def _attributes(self, value: Any, path: str) -> Form:
        return [
            [name, self.form(each, f"{path}.{name}")]
            for name, each in sorted(attributes(value).items())
        ]

    def _items(self, values: Any, path: str) -> Form:
        return [self.form(each, f"{path}[{index}]") for index, each in enumerate(values)]


def _is_lock(value: Any) -> bool:
    return type(value).__module__ in ("_thread", "threading") and "ock" in type(value).__name__


def attributes(value: Any) -> dict[str, Any]:
    """What an object holds in its dictionary and its slots."""
    found = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        for name in _slots(kind):
            if hasattr(value, name) and name not in ("__dict__", "__weakref__"):
                found[name] = getattr(value, name)
    return found


def still(value: Any) -> bool:
    """Whether nothing can change a value, nor anything within it."""
    kind = type(value)
    if kind is types.GenericAlias:
        return True  # it says that its class is type
    if isinstance(
        value, (*_PLAIN, *_PRINTED, Enum, PurePath, re.Pattern, logging.Logger, np.generic)
    ):
        return True
    if _is_lock(value) or isinstance(value, (np.ufunc, np.dtype)):
        return True
    if isinstance(value, (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)):
        return True
    if isinstance(value, (tuple, frozenset)):
        return all(map(still, value))
    if isinstance(value, functools.partial):
        return still(value.func) and still(value.args) and all(map(still, value.keywords.values()))
    if isinstance(value, types.MethodType):
        return still(value.__self__)
    return _frozen(kind) and all(map(still, attributes(value).values()))


def flat(value: Any) -> bool:
    """Whether nothing within a container can be changed."""
    if isinstance(value, Mapping):
        return all(map(still, value)) and all(map(still, value.values()))
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return all(map(still, value))
    return isinstance(value, (bytearray, np.ndarray)) and not _of_objects(value)


def _of_objects(value: Any) -> bool:
    return isinstance(value, np.ndarray) and bool(value.dtype.hasobject)


def _frozen(kind: type) -> bool:
    if kind.__module__ in ("typing", "typing_extensions", "types") or kind is object:
        return kind is not types.SimpleNamespace and kind is not types.MappingProxyType
    if kind.__module__.split(".")[0] == "nenrin":
        return True  # what is declared is not changed afterwards
    if dataclasses.is_dataclass(kind):
        return bool(getattr(kind, "__dataclass_params__").frozen)  # noqa: B009 - typed nowhere
    return issubclass(kind, msgspec.Struct) and bool(kind.__struct_config__.frozen)


def _python_made(kind: type) -> bool:
    """Whether its attributes are all that it is: no class behind it keeps data of its own in C."""
    if issubclass(kind, msgspec.Struct):
        return True
    slots = sum(len(_slots(base)) for base in kind.__mro__)
    plain = object.__basicsize__ + 8 * (2 + slots)  # pointers: a dictionary, weak references, slots
    return kind.__basicsize__ <= plain and all(
        base is object
        or (base.__flags__ & _HEAP and (base.__dictoffset__ or "__slots__" in vars(base)))
        for base in kind.__mro__
    )


def _slots(kind: type) -> tuple[str, ...]:
    if issubclass(kind, msgspec.Struct):
        return tuple(vars(kind).get("__struct_fields__", ()))
    said = vars(kind).get("__slots__", ())
    names = (said,) if isinstance(said, str) else tuple(said)
    hidden = kind.__name__.lstrip("_")
    return tuple(
        f"_{hidden}{name}" if name.startswith("__") and not name.endswith("__") else name
        for name in names
    )
