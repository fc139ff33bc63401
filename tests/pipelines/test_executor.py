"""What a worker gives to every function it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from nenrin.pipelines.executor import WorkerContext
from nenrin.testing.stores import MemoryStore


def _context(loaded: list[Path]) -> WorkerContext:
    def load(folder: Path) -> Mapping[str, object]:
        loaded.append(folder)
        return {"folder": folder}

    return WorkerContext(MemoryStore(), load)


def test_a_project_is_imported_once() -> None:
    loaded: list[Path] = []
    context = _context(loaded)
    first = context.project("/a")
    assert context.project("/a") is first
    assert context.project("/b")["folder"] == Path("/b")
    assert loaded == [Path("/a"), Path("/b")]


def test_the_last_used_are_kept_of_each_kind() -> None:
    context = _context([])
    made: list[str] = []

    def value(kind: str, key: str) -> str:
        def make() -> str:
            made.append(key)
            return f"{kind}:{key}"

        return context.cached(kind, key, make, keep=2)

    for key in ("a", "b", "a", "c", "a", "b"):
        assert value("model", key) == f"model:{key}"
    assert made == ["a", "b", "c", "b"]
    assert value("table", "a") == "table:a"


def test_what_could_not_be_made_is_made_again() -> None:
    context = _context([])

    def fail() -> int:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        context.cached("number", "x", fail, keep=1)
    assert context.cached("number", "x", lambda: 7, keep=1) == 7


def test_announces_whose_code_runs_next() -> None:
    told: list[tuple[str, str]] = []
    context = WorkerContext(
        MemoryStore(), lambda folder: {}, announce=lambda where, hint: told.append((where, hint))
    )
    context.entering("project.py:3", "look there")
    context.entering("")
    assert told == [("project.py:3", "look there"), ("", "")]
    _context([]).entering("project.py:3")
