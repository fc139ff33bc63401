"""Which file below a project's folder a live function, class or module stands in."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from types import FunctionType, ModuleType
from typing import Any

from nenrin.pipelines.syntax import Source, Sources


class Places:
    """Finds files of live objects, and knows which were reached.

    Args:
        sources: the project's files.
        entry: the file that is imported first, whatever was reached; empty if none is.

    Attributes:
        scopes: the names of each file that is known, by its name below the folder.
        reached: the files that something stands in that was asked for.
        strangers: objects that bear a project module's name and come from elsewhere, one sentence each.
    """

    def __init__(self, sources: Sources, entry: str = "") -> None:
        self.scopes: dict[str, Mapping[str, Any]] = {}
        self.reached: set[str] = set()
        self.strangers: list[str] = []
        self._sources = sources
        self._entry = entry
        self._modules: dict[str, str] = {}

    def module(self, module: ModuleType) -> str | None:
        """The file of a module; None for one from elsewhere."""
        path = getattr(module, "__file__", None)
        file = self._sources.name_of(path) if isinstance(path, str) else None
        if file is None:
            self._meet_stranger(module.__name__, path)
        else:
            self._meet(module.__name__, file, vars(module))
            self.reached.add(file)
        return file

    def code(self, value: FunctionType | type) -> str | None:
        """The file of a function or class; None for one from elsewhere."""
        return self._function(value) if isinstance(value, FunctionType) else self._class(value)

    def scope(self, file: str) -> Mapping[str, Any] | None:
        """The names of a file as it was imported; None where it was not."""
        for scope in list(self.scopes.values()):
            for module in _near(scope):
                self._known(module)
        if file not in self.scopes:
            last = PurePath(file).name
            for loaded in sys.modules.copy().values():
                path = getattr(loaded, "__file__", None)
                if isinstance(path, str) and path.endswith(last):
                    self._known(vars(loaded))
        return self.scopes.get(file)

    def files(self) -> tuple[str, ...]:
        """The files that were reached, and those that they may import."""
        return self._closed(self.reached, first=False)

    def imported(self) -> tuple[str, ...]:
        """The files that are imported before what was reached runs."""
        return self._closed({*self.reached, *([self._entry] if self._entry else [])}, first=True)

    def around(self, file: str) -> list[Source]:
        """The files in which a name of a file may be used."""
        names = {*self.files(), *self.imported(), *self._sources.closure(file)}
        return [self._sources.source(each) for each in sorted(names)]

    def _closed(self, files: Iterable[str], *, first: bool) -> tuple[str, ...]:
        closures = [self._sources.closure(file, first=first) for file in files]
        return tuple(sorted(set().union(*closures)))

    def _known(self, scope: Mapping[str, Any]) -> None:
        path = scope.get("__file__")
        file = self._sources.name_of(path) if isinstance(path, str) else None
        if file is not None:
            self._meet(str(scope.get("__name__")), file, scope)

    def _function(self, value: FunctionType) -> str | None:
        path = value.__code__.co_filename
        if path.startswith("<"):  # made by exec: it belongs to whose names it reads
            path = str(value.__globals__.get("__file__") or "")
        file = self._sources.name_of(path) if path else None
        if file is None:  # a wrapper bears the name of what it wraps: its globals tell whose it is
            self._meet_stranger(value.__globals__.get("__name__"), path)
        else:
            self._meet(str(value.__globals__.get("__name__")), file, value.__globals__)
            self.reached.add(file)
        return file

    def _class(self, value: type) -> str | None:
        module = str(value.__module__)
        if module in self._modules:
            self.reached.add(self._modules[module])
            return self._modules[module]
        loaded = sys.modules.get(module)
        if loaded is not None:
            return self.module(loaded)
        return self._sources.module(module)

    def _meet(self, module: str, file: str, scope: Mapping[str, Any]) -> None:
        self._modules.setdefault(module, file)
        self.scopes.setdefault(file, scope)

    def _meet_stranger(self, module: str | None, path: object) -> None:
        other = self._sources.module(module) if module else None
        if other is not None and module not in sys.stdlib_module_names and isinstance(path, str):
            said = f"{module} was imported from {path}, not from the project's {other}"
            if said not in self.strangers:
                self.strangers.append(said)


def _near(scope: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The names of modules that a module knows, itself or by a function of theirs."""
    for value in list(scope.values()):
        if isinstance(value, ModuleType):
            yield vars(value)
        elif isinstance(value, FunctionType):
            yield value.__globals__
