"""Kinds are found by entry point, and given."""

from __future__ import annotations

import pytest

from nenrin.core.errors import ConflictError, NotFoundError
from nenrin.registry.kinds import Kinds
from nenrin.registry.kinds.prompt import PromptKind


class Sung(PromptKind):
    name = "song"


def test_models_mixtures_and_prompts_are_installed() -> None:
    kinds = Kinds()
    assert kinds.names() == ["mixture", "model", "prompt"]
    assert [kinds.get(name).name for name in kinds.names()] == kinds.names()


def test_given_kinds_stand_beside_them() -> None:
    song = Sung()
    kinds = Kinds([song])
    assert kinds.names() == ["mixture", "model", "prompt", "song"]
    assert kinds.get("song") is song


def test_a_name_stands_for_one_kind() -> None:
    with pytest.raises(ConflictError, match="prompt"):
        Kinds([PromptKind()])


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(NotFoundError) as caught:
        Kinds().get("choir")
    assert "model, prompt" in caught.value.hint
