"""The kind *mixture*: its content, and how it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.core.errors import NotFoundError, RequestError
from nenrin.registry.kinds import Kinds, OpenContext, RowAnswerer
from nenrin.registry.kinds.mixture import MemberContent, Mixture, MixtureAnswerer, MixtureKind

ROWS = [{"x": 1.0}, {"x": 2.0}]


class Times:
    """A model that multiplies."""

    def __init__(self, by: float) -> None:
        self._by = by

    def answer(self, frame: pl.DataFrame) -> np.ndarray:
        return frame["x"].to_numpy() * self._by


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenContext:
    store = LocalStore(tmp_path)
    monkeypatch.setattr(
        "nenrin.registry.kinds.mixture.ModelKind.open",
        lambda self, content, context: Times(float(content)),
    )
    return OpenContext(store=store)


def mixture(context: OpenContext, **slots: float) -> bytes:
    return Mixture(
        members=tuple(
            MemberContent(slot=slot, version=f"v{by}", content=context.store.put(str(by).encode()))
            for slot, by in slots.items()
        )
    ).dumps()


def answers(content: bytes, context: OpenContext, **shares: float) -> list[float]:
    given = OpenContext(store=context.store, shares=tuple(shares.items()))
    opened = MixtureKind().open(content, given)
    found = np.asarray(RowAnswerer(opened).answer_rows(ROWS)).tolist()
    assert np.asarray(opened.answer(pl.DataFrame(ROWS))).tolist() == found
    return found


def test_it_knows_the_texts_of_every_member() -> None:
    def member(**texts: str) -> Any:
        found: Any = Times(1.0)
        found.vocabularies = {name: frozenset(each) for name, each in texts.items()}
        return found

    both = MixtureAnswerer([member(s="ab", t="x"), member(s="bc"), member()], [0.5, 0.25, 0.25])
    assert both.vocabularies == {"s": frozenset("abc"), "t": frozenset("x")}
    every: Any = Times(1.0)
    every.vocabularies = {"s": None, "u": None}
    with_every = MixtureAnswerer([every, member(s="ab", t="x"), every], [0.5, 0.25, 0.25])
    assert with_every.vocabularies == {"s": None, "t": frozenset("x"), "u": None}


def test_members_answer_by_their_shares(context: OpenContext) -> None:
    content = mixture(context, new=1.0, old=3.0)
    assert answers(content, context, new=0.75, old=0.25) == [1.5, 3.0]


def test_without_a_word_of_it_they_share_alike(context: OpenContext) -> None:
    assert answers(mixture(context, new=1.0, old=3.0), context) == [2.0, 4.0]


def test_a_member_that_has_left_is_not_opened(context: OpenContext) -> None:
    gone = MemberContent(slot="gone", version="v9", content="0" * 64)
    whole = Mixture.loads(mixture(context, new=1.0, old=3.0))
    content = Mixture(members=(*whole.members, gone)).dumps()
    assert answers(content, context, new=1.0) == [1.0, 2.0]
    with pytest.raises(NotFoundError):
        answers(content, context, new=0.5, gone=0.5)


def test_one_fit_in_two_slots_has_both_shares(context: OpenContext) -> None:
    content = mixture(context, first=2.0, anchor=2.0, other=4.0)
    assert answers(content, context, first=0.25, anchor=0.25, other=0.5) == [3.0, 6.0]


def test_its_facts_name_the_member_of_each_slot(context: OpenContext) -> None:
    content = mixture(context, new=1.0, old=3.0)
    assert MixtureKind().describe(content) == {"members": {"new": "v1.0", "old": "v3.0"}}
    assert Mixture.loads(content).parents == ("v1.0", "v3.0")


@pytest.mark.parametrize("content", [b"{}", b"nothing", b'{"members": []}', b'{"members": [{}]}'])
def test_what_is_no_mixture_is_refused(content: bytes) -> None:
    with pytest.raises(RequestError):
        MixtureKind().describe(content)


def test_it_is_installed() -> None:
    assert isinstance(Kinds().get("mixture"), MixtureKind)
