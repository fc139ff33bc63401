"""Installed distributions behind imported modules: locked versions, or digests of editable sources."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution, DistributionFinder, PackageNotFoundError
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec

from nenrin.core.digest import digest, digest_bytes

_OWN = "nenrin"
_PACKAGE = "__init__.py"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"\bextra\s*==")
_NOT_SOURCE = frozenset({".pyc", ".pyo"})


class Packages:
    """What was found installed, looked up once: make a new one for every look at what changed."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, str]] = {}
        self._bringing: dict[str, list[str]] = {}

    def parts(self, modules: Iterable[str]) -> dict[str, str]:
        """A part for every distribution that the top-level modules come from, and for what those need.

        The value is the locked version; of what is installed from a folder of somebody's, or lies on the
        path without being installed, a digest over its files. nenrin itself counts by its version alone.
        """
        parts: dict[str, str] = {}
        for module in sorted(set(modules) - sys.stdlib_module_names):
            if module not in self._found:
                self._found[module] = self._of(module)
            parts |= self._found[module]
        return dict(sorted(parts.items()))

    def _of(self, module: str) -> dict[str, str]:
        names = self._distributions(module)
        parts: dict[str, str] = {}
        for name in names:
            parts |= self._with_needs(name)
        if names and not _outside(module, names):
            return parts
        spec = _spec(module)
        if spec is None:
            return parts
        said = f"package {names[0]} (editable)" if names else f"package {module} (not installed)"
        parts[said] = digest(_files(spec))
        for needed in _imports(spec) - sys.stdlib_module_names - {module}:
            parts |= self._with_needs(*self._distributions(needed))
        return parts

    def _distributions(self, module: str) -> list[str]:
        """Names of the distributions that bring a top-level module."""
        if module not in self._bringing:
            try:
                self._bringing[module] = [_distribution(module).name]
            except PackageNotFoundError:
                self._bringing[module] = sorted(_bringing(module))
        return self._bringing[module]

    def _with_needs(self, *names: str) -> dict[str, str]:
        """Versions of distributions and of everything that they need."""
        parts: dict[str, str] = {}
        waiting = list(names)
        seen: set[str] = set()
        while waiting:
            name = _canonical(waiting.pop())
            if name in seen:
                continue
            seen.add(name)
            try:
                found = _distribution(name)
            except PackageNotFoundError:
                continue
            headers = _headers(found)
            version = "".join(headers.get("version", []))
            record = f" {_record(found)}" if _copied(found) else ""
            parts[f"package {name}"] = f"{version}{record}"
            if name != _OWN:
                waiting.extend(_needs(headers.get("requires-dist", [])))
        return parts


def installed() -> tuple[str, ...]:
    """``name==version`` of every installed distribution, sorted."""
    read = [_headers(found) for found in _discovered()]
    named = [(h["name"][0], h["version"][0]) for h in read if {"name", "version"} <= h.keys()]
    return tuple(
        sorted({f"{name.lower().replace('_', '-')}=={version}" for name, version in named})
    )


def from_folders() -> dict[str, str]:
    """The folder of each that was installed from one, by ``name==version``: no index has it as it is."""
    found = {f"{_canonical(each.name)}=={each.version}": _origin(each) for each in _discovered()}
    return {
        package: url2pathname(urlsplit(origin.url).path)
        for package, origin in sorted(found.items())
        if origin.dir_info is not None
    }


def _discovered(name: str | None = None) -> Iterable[Distribution]:
    """Those that are installed, or the ones of a name; copies within a package are a part of that package.

    Ray puts the folder of its copies on the path when it is imported, and others theirs: what is installed
    is the same before and after.
    """
    places = [
        place for place in sys.path if not Path(place).absolute().with_name(_PACKAGE).exists()
    ]
    return Distribution.discover(context=DistributionFinder.Context(name=name, path=places))


def _distribution(name: str) -> Distribution:
    for found in _discovered(name):
        return found
    raise PackageNotFoundError(name)


def _bringing(module: str) -> set[str]:
    """Distributions among whose files a module is; importlib's own answer reads all files of all of them."""
    if _spec(module) is None:
        return set()
    within = re.compile(rf"^{re.escape(module)}(/|\.)", re.MULTILINE)
    return {
        found.name
        for found in _discovered()
        if module in (found.read_text("top_level.txt") or "").split()
        or within.search(found.read_text("RECORD") or "")
    }


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _headers(found: Distribution) -> dict[str, list[str]]:
    """A distribution's metadata: reading it as an e-mail, as importlib does, takes ten times as long."""
    text = found.read_text("METADATA") or found.read_text("PKG-INFO") or ""
    headers: dict[str, list[str]] = {}
    for line in text.partition("\n\n")[0].splitlines():
        name, said, value = line.partition(":")
        if said and not line[0].isspace():
            headers.setdefault(name.lower(), []).append(value.strip())
    return headers


def _needs(requirements: Iterable[str]) -> Iterator[str]:
    """Names of what is needed without an extra."""
    for requirement in requirements:
        name = _NAME.match(requirement)
        if name and not _EXTRA.search(requirement):
            yield name[0]


class _Folder(msgspec.Struct):
    editable: bool = False


class _Origin(msgspec.Struct):
    """PEP 610: where a distribution was installed from."""

    url: str = ""
    dir_info: _Folder | None = None


def _origin(found: Distribution) -> _Origin:
    said = found.read_text("direct_url.json")
    try:
        return msgspec.json.decode(said, type=_Origin) if said else _Origin()
    except msgspec.DecodeError:
        return _Origin()


def _copied(found: Distribution) -> bool:
    """Whether it is a copy of somebody's folder, which may change without its version."""
    folder = _origin(found).dir_info
    return folder is not None and not folder.editable


def _record(found: Distribution) -> str:
    """Digest over the digests of its files."""
    return digest_bytes((found.read_text("RECORD") or "").encode())


def _outside(module: str, names: list[str]) -> bool:
    """Whether a module's files are not those that were installed: an editable install."""
    if names[0] == _OWN:
        return False
    folders = []
    for name in names:
        found = _distribution(name)
        folder = _origin(found).dir_info
        if folder is not None and folder.editable:
            return True
        folders.append(Path(str(found.locate_file(""))).resolve())
    spec = _spec(module)
    return spec is not None and not any(
        path.resolve().is_relative_to(folder) for path in _places(spec) for folder in folders
    )


def _spec(module: str) -> ModuleSpec | None:
    """Where a module lies, without importing it."""
    loaded = sys.modules.get(module)
    spec = getattr(loaded, "__spec__", None)
    if isinstance(spec, ModuleSpec):
        return spec
    for finder in (PathFinder, *sys.meta_path):
        find = getattr(finder, "find_spec", None)
        found = find(module, None) if find else None
        if isinstance(found, ModuleSpec):
            return found
    return None


def _places(spec: ModuleSpec) -> list[Path]:
    """The folders of a package, or the file of a module."""
    if spec.submodule_search_locations:
        return [Path(place) for place in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.has_location and spec.origin else []


def _below(spec: ModuleSpec) -> Iterator[tuple[str, Path]]:
    """Its files with their names, in an order of their own."""
    for place in _places(spec):
        if place.is_file():
            yield place.name, place
            continue
        for path in sorted(place.rglob("*")):
            name = path.relative_to(place)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in name.parts)
            if path.is_file() and not hidden and path.suffix not in _NOT_SOURCE:
                yield name.as_posix(), path


def _files(spec: ModuleSpec) -> list[list[str]]:
    return [[name, _content(path)] for name, path in _below(spec)]


def _content(path: Path) -> str:
    """Digest of a file; of Python, of its syntax without comments."""
    content = path.read_bytes()
    if path.suffix == ".py":
        try:
            return digest(ast.dump(ast.parse(content)))
        except (SyntaxError, ValueError):
            pass
    return digest_bytes(content)


def _imports(spec: ModuleSpec) -> set[str]:
    """Top-level modules that its files import."""
    found: set[str] = set()
    for _, path in _below(spec):
        if path.suffix != ".py":
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            match node:
                case ast.Import(names=names):
                    found.update(alias.name.split(".")[0] for alias in names)
                case ast.ImportFrom(module=str(module), level=0):
                    found.add(module.split(".")[0])
    return found
