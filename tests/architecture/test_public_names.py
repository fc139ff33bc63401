"""The words of a project file: pinned, sorted, typed, loadable, and none the name of a room."""

from __future__ import annotations

import ast

import nenrin
from tests.architecture import sources

WORDS = [
    "NenrinError", "choice", "container", "cron", "dataset", "deployment", "every", "feature_view", "file",
    "floats", "history", "import_model", "integers", "map", "model", "predictor", "remote", "resources",
    "samples", "score", "step", "trailing", "value",
]  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert nenrin.__all__ == WORDS
    assert sorted(WORDS) == WORDS
    assert dir(nenrin) == WORDS


def test_every_word_can_be_loaded_and_says_what_it_is() -> None:
    for word in WORDS:
        assert (getattr(nenrin, word).__doc__ or "").strip(), word


def test_type_checkers_are_told_the_same_names_from_the_same_homes() -> None:
    stub = ast.parse((sources.SOURCE / "__init__.pyi").read_text(encoding="utf-8"))
    told = {
        alias.asname: node.module if node.module != "nenrin.data" else "nenrin.data.samples"
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == nenrin._HOMES


def test_no_word_is_a_rooms_name() -> None:
    assert set(WORDS) & set(sources.rooms()) == set()
