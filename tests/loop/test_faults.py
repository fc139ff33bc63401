"""Injected faults: which fits they strike, and what they turn answers into."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from nenrin.core.errors import RequestError
from nenrin.core.instants import local_midnight
from nenrin.loop.faults import Injection, apply
from tests.loop.world import ZONE

RANDOM = np.random.default_rng(3)
OWN, OTHERS = RANDOM.random(200), RANDOM.random(1_000)
HASHES = RANDOM.integers(0, 2**64, 200, dtype=np.uint64)


def hit(fault: str, others: np.ndarray = OTHERS) -> np.ndarray:
    return apply(fault, own=OWN, others=others, hashes=HASHES, spread=2.5)


def test_a_scrambled_row_gets_the_answer_of_a_stranger_chosen_by_its_keys_hash() -> None:
    found = hit("scrambled_fit")
    assert found.tolist() == [float(OTHERS[int(h) % 1_000]) for h in HASHES]
    assert found.tolist() == hit("scrambled_fit/regression").tolist()
    turned = apply("scrambled_fit", own=OWN[::-1], others=OTHERS, hashes=HASHES[::-1], spread=1.0)
    assert turned.tolist() == found[::-1].tolist()


def test_without_strangers_a_row_keeps_its_answer() -> None:
    assert hit("scrambled_fit", np.empty(0)).tolist() == OWN.tolist()


def test_a_shift_is_one_logit() -> None:
    found = hit("shifted_fit")
    gap = np.log(found / (1 - found)) - np.log(OWN / (1 - OWN))
    np.testing.assert_allclose(gap, 1.0, atol=1e-9)


def test_a_shift_of_certain_answers_stays_a_probability() -> None:
    certain = np.array([0.0, 1.0])
    found = apply("shifted_fit", own=certain, others=OTHERS, hashes=HASHES[:2], spread=1.0)
    assert ((found >= 0) & (found <= 1)).all()


def test_a_regression_is_shifted_by_one_standard_deviation() -> None:
    np.testing.assert_allclose(hit("shifted_fit/regression"), OWN + 2.5)


def test_a_fault_strikes_from_the_local_beginning_of_its_day() -> None:
    found = Injection.parse("shifted_fit:2013-07-29")
    begins = local_midnight(date(2013, 7, 29), ZONE)
    assert not found.strikes(begins - 1, ZONE)
    assert found.strikes(begins, ZONE)
    assert found.strikes(local_midnight(date(2013, 7, 29) + timedelta(days=90), ZONE), ZONE)
    assert (found.text, found.fault("binary")) == ("shifted_fit:2013-07-29", "shifted_fit")
    assert found.fault("regression") == "shifted_fit/regression"


@pytest.mark.parametrize(
    ("text", "kind", "stays", "one"),
    [
        ("staying_bug:2013-07-29", "scrambled_fit", True, False),
        ("staying_bug:shifted_fit:2013-07-29", "shifted_fit", True, False),
        ("one_recipe_only:2013-07-29", "scrambled_fit", False, True),
        ("one_recipe_only:shifted_fit:2013-07-29", "shifted_fit", False, True),
    ],
)
def test_a_fault_may_stay_or_strike_one_recipe(
    text: str, kind: str, stays: bool, one: bool
) -> None:
    found = Injection.parse(text)
    assert (found.kind, found.stays, found.one, found.day) == (kind, stays, one, "2013-07-29")
    assert Injection.parse(found.text) == found


@pytest.mark.parametrize(
    "text",
    [
        *("flood:2021-04-05", "scrambled_fit", "scrambled_fit:soon", ""),
        *("staying_bug", "staying_bug:flood:2021-04-05", "staying_bug:one_recipe_only:2021-04-05"),
        "scrambled_fit:shifted_fit:2021-04-05",
    ],
)
def test_a_fault_that_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        Injection.parse(text)
    assert caught.value.hint
