"""What decides a function's behaviour, read without running it: its code, its values, its packages.

The parts are narrowed to the functions, classes and values that a walk from the function reaches, where
that walk is complete; else every file of the project that its file imports decides, whole.
"""

from __future__ import annotations

import ast
import platform
import sys
from collections.abc import Callable, Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Protocol

import msgspec

from nenrin.core.digest import digest, digest_bytes
from nenrin.pipelines.packages import Packages
from nenrin.pipelines.reach import Walk
from nenrin.pipelines.syntax import Source, Sources

_NAMES = "what names stand for"


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What decides what a function does.

    Attributes:
        parts: digest, or version, by the part's name: ``function scale (helpers.py)``, ``constant RATE
            (project.py)``, ``closure of report: k (project.py)``, ``module helpers.py``, ``package polars``.
        texts: by part, its source: the file's name, then ``number line``, without comments and empty lines.
        doubts: what decides it too and cannot be told, a sentence each; with any there is no key.
        coarse: why whole files are among the parts, a sentence each; empty where they are not.
    """

    parts: dict[str, str]
    texts: dict[str, str] = {}
    doubts: tuple[str, ...] = ()
    coarse: tuple[str, ...] = ()


class Told(Protocol):
    """What :func:`explain` compares: a :class:`Code`, or what was kept of one."""

    @property
    def parts(self) -> Mapping[str, str]:
        """Digest by the part's name."""
        ...

    @property
    def texts(self) -> Mapping[str, str]:
        """Source by the part's name."""
        ...


class SourceReader:
    """Reads the code of several functions of one project; files and packages are looked at once.

    Args:
        root: the project's folder, from which the functions were imported.
        entry: the file in it that is imported first, whatever file a function stands in.
    """

    def __init__(self, root: Path, entry: str = "") -> None:
        self._sources = Sources(root)
        self._entry = entry
        self._packages = Packages()

    def code_of(self, function: Callable[..., Any]) -> Code:
        """What decides what a function or class does.

        Nothing of the project's is run. Neither where the folder lies decides, nor comments, empty lines,
        line ends, and where in its file a function stands.
        """
        walk = Walk(self._sources, self._entry)
        walk.run(function)
        parts = {
            name: found[0] if len(found) == 1 else digest(found)
            for name, found in walk.found.items()
        }
        texts = walk.texts
        files = walk.places.files()
        if walk.whole:
            kept = {name for name in parts if name not in walk.code}
            stands = digest([[name, parts[name]] for name in sorted(walk.code)])
            whole = [self._sources.source(file) for file in files]
            parts = {name: parts[name] for name in kept} | {_part(s): _whole(s) for s in whole}
            parts[_NAMES] = (
                stands  # what files alone do not tell: which function a name got, and why
            )
            texts = {name: texts[name] for name in kept if name in texts}
            texts |= {_part(source): source.whole() for source in whole}
        modules = walk.references.libraries.union(
            *(self._sources.imports(file)[1] for file in files)
        )
        return Code(
            parts=dict(sorted({**parts, **_python(), **self._packages.parts(modules)}.items())),
            texts=dict(sorted(texts.items())),
            doubts=tuple(dict.fromkeys(walk.doubts)),
            coarse=tuple(dict.fromkeys(walk.whole.values())),
        )


def code_of(function: Callable[..., Any], root: Path, entry: str = "") -> Code:
    """:meth:`SourceReader.code_of` of one function."""
    return SourceReader(root, entry).code_of(function)


def explain(before: Told, now: Told) -> list[str]:
    """Each part that differs, one sentence each; of code with the first line that does.

    Examples: ``function scale, helpers.py:12: rate = 0.2 -> rate = 0.3``, ``package polars: 2.1.0 -> 2.2.0``.
    """
    names = sorted({*before.parts, *now.parts}, key=_rank)
    differing = [name for name in names if before.parts.get(name) != now.parts.get(name)]
    if any(name.startswith("module ") for name in differing):
        differing = [name for name in differing if name != _NAMES]
    return [_difference(name, before, now) for name in differing]


def _rank(name: str) -> tuple[int, str]:
    """Code first, then values, then packages."""
    kinds = ("function", "class", "module", "top", "constant", "closure", "default")
    kind = name.split(" ", maxsplit=1)[0]
    return (kinds.index(kind) if kind in kinds else len(kinds), name)


def _difference(name: str, before: Told, now: Told) -> str:
    if name.split(" ", maxsplit=1)[0] in ("package", "python"):
        return f"{name}: {_version(before.parts.get(name))} -> {_version(now.parts.get(name))}"
    if name not in before.parts:
        return f"{name} is new"
    if name not in now.parts:
        return f"{name} is gone"
    line = _first_line(before.texts.get(name, ""), now.texts.get(name, ""))
    if line:
        return f"{name.rpartition(' (')[0] or name}, {line}"
    if name.startswith(("function", "class", "top")):
        return f"{name}: what its names stand for"
    return f"{name} has another value"


def _version(said: str | None) -> str:
    """A version; of what has none, the digest's beginning."""
    if said is None:
        return "not used"
    return said if len(said) < 64 else said[-64:][:12]


def _first_line(before: str, now: str) -> str:
    """``file:line: old -> new`` of the first line that differs; empty if none does."""
    old, new = _numbered(before), _numbered(now)
    matcher = SequenceMatcher(
        None, [line for _, line in old], [line for _, line in new], autojunk=False
    )
    for tag, first, last, begin, end in matcher.get_opcodes():
        if tag == "equal":
            continue
        gone = old[first][1].strip() if first < last else "(nothing)"
        came = new[begin][1].strip() if begin < end else "(nothing)"
        number = new[begin][0] if begin < end else old[first][0]
        file = (now or before).split("\n")[0]
        return f"{file}:{number}: {gone} -> {came}"
    return ""


def _numbered(text: str) -> list[tuple[str, str]]:
    lines = [line.partition(" ") for line in text.split("\n")[1:]]
    return [(number, line) for number, _, line in lines]


def _part(source: Source) -> str:
    return f"module {source.name}"


def _whole(source: Source) -> str:
    return digest_bytes(source.content) if source.broken else digest(ast.dump(source.tree))


def _python() -> dict[str, str]:
    optimized = f" -{'O' * sys.flags.optimize}" if sys.flags.optimize else ""
    return {"python": f"{platform.python_version()}{optimized}"}
