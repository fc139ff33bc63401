"""Breakers: when a version is left out, and when it is tried again."""

from __future__ import annotations

import pytest

from nenrin.serving.observed import Standing
from nenrin.serving.plane.breaker import IN_A_ROW, PAUSE_SECONDS, WINDOW, Breaker


class Clock:
    """A timer that a test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def wall(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock, Standing(deployment="delay", version="v1"))  # type: ignore[arg-type]


def test_failures_in_a_row_open_it_and_an_answer_between_does_not(breaker: Breaker) -> None:
    for _ in range(3):
        for _ in range(IN_A_ROW - 1):
            breaker.failed()
        for _ in range(IN_A_ROW + 1):
            breaker.answered()
    assert breaker.allows
    for _ in range(IN_A_ROW):
        breaker.failed()
    assert not breaker.allows
    assert (breaker.standing.open, breaker.standing.opened) == (True, 1)


def test_half_of_a_window_opens_it(breaker: Breaker) -> None:
    for number in range(WINDOW - 1):
        (breaker.failed if number % 2 else breaker.answered)()
    assert breaker.allows
    breaker.failed()
    assert not breaker.allows


def test_one_trial_after_a_pause_and_the_others_wait(breaker: Breaker, clock: Clock) -> None:
    for _ in range(IN_A_ROW):
        breaker.failed()
    clock.at += PAUSE_SECONDS
    assert breaker.allows
    breaker.begin()
    assert not breaker.allows  # one tries
    breaker.failed()
    assert not breaker.allows
    clock.at += PAUSE_SECONDS
    breaker.begin()
    breaker.answered()
    assert breaker.allows
    assert (breaker.standing.open, breaker.standing.opened) == (False, 1)


def test_a_trial_that_never_ends_is_followed_by_another(breaker: Breaker, clock: Clock) -> None:
    for _ in range(IN_A_ROW):
        breaker.failed()
    clock.at += PAUSE_SECONDS
    breaker.begin()  # its client goes away
    clock.at += PAUSE_SECONDS
    assert breaker.allows
