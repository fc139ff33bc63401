"""What a log has beside what the data says: which features differ, and how."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nenrin.features.entities import Lookup
from nenrin.features.replaying import Read, differences, differing, offline
from tests.features.streams import START, questions, state_of, stream
from tests.features.test_entities import state_of as people_of

NOTHING = Lookup(columns=(), missing={})


def reads(seed: int) -> tuple[Any, list[Read]]:
    """The rows of a random stream, as a log would have them."""
    state = state_of(stream(seed))
    rows, asked = questions(seed, START)
    seen = state.seen(rows, asked)
    return state, [
        Read(row=row, asked=at, features=features, ages=ages)
        for row, at, features, ages in zip(rows, asked, seen.features, seen.ages, strict=True)
    ]


@pytest.mark.parametrize("seed", range(6))
def test_what_was_answered_is_what_columns_say(seed: int) -> None:
    state, found = reads(seed)
    truths = offline(state, found, NOTHING)
    assert [differing(*each) for each in zip(found, truths, strict=True)] == [[] for _ in found]
    assert differences(state, found[0], truths[0], NOTHING) == []


def changed(read: Read, features: dict[str, Any], **ages: float | None) -> Read:
    return Read(
        row=read.row,
        asked=read.asked,
        features={**read.features, **features},
        ages={**read.ages, **ages},
    )


def one() -> tuple[Any, Read, dict[str, Any]]:
    """A row that both views find something for."""
    for seed in range(50):
        state, found = reads(seed)
        for read, truth in zip(found, offline(state, found, NOTHING), strict=True):
            if isinstance(truth["value"], float) and math.isfinite(truth["value"]) and truth["n"]:
                return state, read, truth
    raise AssertionError("no stream has such a row")


def test_each_kind_is_told_apart() -> None:
    state, read, truth = one()

    def kinds(other: Read) -> dict[str, str]:
        return {each.feature: each.kind for each in differences(state, other, truth, NOTHING)}

    assert kinds(changed(read, {"value": truth["value"] + 1})) == {"value": "mismatch"}
    assert kinds(changed(read, {"value": None})) == {"value": "missing"}
    assert kinds(changed(read, {"value": None, "n": 0}, newest=None, sums=None)) == {
        "value": "missing",
        "n": "missing",
    }
    older = (read.ages["newest"] or 0.0) + 60
    assert kinds(changed(read, {"value": None}, newest=older)) == {"value": "stale"}
    [told] = differences(state, changed(read, {"value": 0.0}, newest=older), truth, NOTHING)
    assert (told.behind, told.by) == (60, abs(truth["value"]))
    without = Read(row=read.row, asked=read.asked, features={**read.features, "n": -1}, ages={})
    assert kinds(without) == {"n": "mismatch"}  # a log of before ages were told
    assert differing(changed(read, {"n": -1}), truth, passed_over=["n"]) == []


def test_a_log_may_have_null_for_what_is_not_finite_and_nothing_else() -> None:
    _, read, truth = one()
    assert differing(changed(read, {"value": None}), {**truth, "value": float("nan")}) == []
    assert differing(changed(read, {"value": None}), {**truth, "value": float("inf")}) == []
    assert differing(changed(read, {"value": None}), {**truth, "value": 0.0}) == ["value"]
    odd = changed(read, {"value": float("inf")})
    assert differing(odd, {**truth, "value": float("inf")}) == []
    for other in (float("-inf"), float("nan"), None, 0.0):
        assert differing(odd, {**truth, "value": other}) == ["value"]


def test_rows_that_sent_their_key_alone_are_looked_up_again() -> None:
    state = people_of(2)
    entities, index = state.by_key or (None, None)
    assert entities is not None
    keys = index.keys.keys.to_dicts()
    lookup = Lookup(columns=(), time="seen")
    asked = [START + 10**12] * len(keys)
    seen = state.seen(keys, asked, lookup)
    found = [
        Read(row=key, asked=at, features=features, ages=ages)
        for key, at, features, ages in zip(keys, seen.asked, seen.features, seen.ages, strict=True)
    ]
    truths = offline(state, found, NOTHING)
    assert [differing(*each) for each in zip(found, truths, strict=True)] == [[] for _ in found]
    unheard = Read(row={"shop": "z", "id": 0}, asked=START, features={"age": 1.0}, ages={})
    [truth] = offline(state, [unheard], NOTHING)
    assert differing(unheard, truth) == ["age"]
