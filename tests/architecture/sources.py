"""The source tree as these tests read it: files, their rooms, their syntax."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "nenrin"
FOLDERS = ("src", "tests", "tools", "benchmarks", "examples", "docs", ".ci")
_EXAMPLES = SOURCE / "project" / "examples"  # written as users write them
_MADE = {"__pycache__", ".venv", ".nenrin"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    """Every module of the package, the packaged examples left out."""
    return sorted(path for path in SOURCE.rglob("*.py") if _EXAMPLES not in path.parents)


def texts() -> Iterator[Path]:
    """Every file of the repository that people wrote."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.name != "LICENSE")
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and not _MADE & set(path.parts) and path.suffix != ".pyc":
                yield path


def name(path: Path) -> str:
    """A path as failures show it."""
    return str(path.relative_to(ROOT))


def rooms() -> list[str]:
    """The folders of the package."""
    return sorted(path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists())


@cache
def tree(path: Path) -> ast.Module:
    """The syntax of a module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions(path: Path) -> Iterator[Function]:
    """Every function of a module, methods and inner ones too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, Function):
            yield node


def classes(path: Path) -> Iterator[ast.ClassDef]:
    """Every class of a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef):
            yield node


def imported(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is imported under ``node``."""
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            yield from ((each.lineno, alias.name) for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            yield each.lineno, each.module or "."
