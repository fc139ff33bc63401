"""The words of a project file: one table, loaded when used, the same for type checkers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nenrin


def test_the_words_are_sorted() -> None:
    assert dir(nenrin) == sorted(dir(nenrin))


@pytest.mark.parametrize("word", dir(nenrin))
def test_every_word_is_there(word: str) -> None:
    assert getattr(nenrin, word) is not None


def test_another_word_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'datasets'"):
        nenrin.datasets  # noqa: B018


def test_type_checkers_are_told_the_same() -> None:
    tree = ast.parse(Path(nenrin.__file__).with_suffix(".pyi").read_text())
    told = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(told) == dir(nenrin)
    for word, home in told.items():
        held = nenrin._HOMES[word]
        assert home in (held, f"{held}.{word}")


def test_importing_reads_no_library_and_no_room() -> None:
    code = "import sys; a = set(sys.modules); import nenrin; print(*(set(sys.modules) - a))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = said.stdout.split()
    assert [name for name in loaded if name.partition(".")[0] == "nenrin"] == ["nenrin"]
    assert {name.partition(".")[0] for name in loaded} <= {"nenrin", *sys.stdlib_module_names}
