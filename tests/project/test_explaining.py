"""The answer of a mixture, taken apart: what adds up, and what is said where a member has no parts."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.project.explaining import blended, who_answered
from nenrin.serving.prediction import Prediction
from nenrin.serving.router import Member
from nenrin.stats.platt import Platt
from nenrin.training.explanations import Explanation

FOUND = Prediction(
    number=1,
    id="prediction-1",
    deployment="delay",
    version="version-m",
    variant=0,
    key="7",
    asked=0,
    at=0,
    answer=0.5,
    row={},
    features={"a": 3, "b": None},
)


def logged(
    answer: float, *members: Member, recalibration: tuple[float, float] | None = None
) -> Prediction:
    return msgspec.structs.replace(
        FOUND, answer=answer, members=members, recalibration=recalibration
    )


def explained(base: float, **contributions: float) -> Explanation:
    answer = base + sum(contributions.values())
    return Explanation(answer=answer, base=base, contributions=contributions, by="its own trees")


def total(told: dict) -> float:
    parts = sum(part["contribution"] for part in told["contributions"])
    return told["base"] + parts + told["unexplained"] + told["recalibration"]


MEMBERS = (
    Member("history", "version-1", 0.5),
    Member("trailing 90d", "version-2", 0.3),
    Member("anchor", "version-1", 0.2),
)
FIRST, SECOND = explained(0.3, a=0.2, b=-0.1), explained(0.2, a=-0.1, c=0.4)
BLEND = 0.7 * 0.4 + 0.3 * 0.5


def test_a_version_in_several_slots_comes_once() -> None:
    first, second = who_answered(logged(BLEND, *MEMBERS))
    assert (first.version, first.slots, first.share) == ("version-1", ("history", "anchor"), 0.7)
    assert (second.version, second.slots, second.share) == ("version-2", ("trailing 90d",), 0.3)
    [alone] = who_answered(FOUND)
    assert (alone.version, alone.slots, alone.share) == ("version-m", (), 1.0)


@pytest.mark.parametrize("recalibration", [None, (0.25, 1.5)])
def test_shares_add_the_members_up(recalibration: tuple[float, float] | None) -> None:
    answer = float(Platt(*recalibration).apply(np.array(BLEND))) if recalibration else BLEND
    found = logged(answer, *MEMBERS, recalibration=recalibration)
    first, second = who_answered(found)
    told = blended(found, [(first, FIRST), (second, SECOND)])
    assert [(p["feature"], p["value"]) for p in told["contributions"]] == [
        ("c", None),
        ("a", 3),
        ("b", None),
    ]
    assert [p["contribution"] for p in told["contributions"]] == pytest.approx([0.12, 0.11, -0.07])
    assert told["recalibration"] == pytest.approx(answer - BLEND, abs=1e-15)
    assert (told["unexplained"], told["says"]) == (0.0, "")
    assert total(told) == pytest.approx(answer, abs=1e-12)
    assert [each["share"] for each in told["members"]] == [0.7, 0.3]
    assert [part["feature"] for part in told["members"][1]["contributions"]] == ["c", "a"]


@pytest.mark.parametrize("recalibration", [None, (0.25, 1.5)])
def test_a_member_without_parts_says_why_and_the_rest_is_told(
    recalibration: tuple[float, float] | None,
) -> None:
    answer = float(Platt(*recalibration).apply(np.array(BLEND))) if recalibration else BLEND
    found = logged(answer, *MEMBERS, recalibration=recalibration)
    first, second = who_answered(found)
    told = blended(found, [(first, FIRST), (second, "its content is gone")])
    assert told["members"][1]["why"] == "its content is gone"
    assert told["unexplained"] == pytest.approx(0.3 * 0.5, abs=1e-12)
    assert told["base"] == pytest.approx(0.7 * 0.3)
    assert told["says"] == ""
    assert total(told) == pytest.approx(answer, abs=1e-12)


@given(
    shares=st.lists(st.floats(0.01, 1), min_size=1, max_size=5),
    bases=st.lists(st.floats(0.05, 0.95), min_size=5, max_size=5),
    moves=st.lists(st.floats(-0.01, 0.01), min_size=15, max_size=15),
    recalibration=st.none() | st.tuples(st.floats(-1, 1), st.floats(0.3, 2)),
    lost=st.booleans(),
)
def test_every_blend_adds_up(
    shares: list[float],
    bases: list[float],
    moves: list[float],
    recalibration: tuple[float, float] | None,
    lost: bool,
) -> None:
    whole = sum(shares)
    members = [Member(f"s{n}", f"v{n}", share / whole) for n, share in enumerate(shares)]
    parts = [
        explained(bases[n], **dict(zip("abc", moves[3 * n : 3 * n + 3], strict=True)))
        for n in range(len(members))
    ]
    blend = sum(m.share * part.answer for m, part in zip(members, parts, strict=True))
    answer = float(Platt(*recalibration).apply(np.array(blend))) if recalibration else blend
    found = logged(answer, *members, recalibration=recalibration)
    told_of: list = list(zip(who_answered(found), parts, strict=True))
    if lost:
        told_of[0] = (told_of[0][0], "gone")
    told = blended(found, told_of)
    assert abs(total(told) - answer) < 1e-9
    assert told["says"] == ""


def test_an_answer_that_is_not_given_again_is_said() -> None:
    found = logged(0.7)
    told = blended(found, [(who_answered(found)[0], FIRST)])
    assert "answer 0.4: this explains that answer" in told["says"]
