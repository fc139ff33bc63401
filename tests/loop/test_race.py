"""The race elects by day-paired evidence and sticks to the current recipe without it."""

from __future__ import annotations

import numpy as np

from nenrin.loop.race import race


def noisy(seed: int, level: float, days: int = 28) -> np.ndarray:
    return level + np.random.default_rng(seed).normal(0, 0.01, days)


def test_a_clear_lead_elects() -> None:
    base = noisy(1, 0.5)
    found = race({"a": base, "b": base - 0.02 + noisy(2, 0) / 10}, "a")
    assert (found.best, found.elected) == ("b", "b")
    assert found.lead.verdict == "better"


def test_a_lead_within_noise_keeps_the_current_one() -> None:
    found = race({"a": noisy(1, 0.5), "b": noisy(2, 0.4999)}, "a")
    assert found.elected == "a"


def test_fewer_than_seven_days_elect_nobody() -> None:
    found = race({"a": noisy(1, 0.5, 6), "b": noisy(2, 0.1, 6)}, "a")
    assert (found.best, found.elected, found.means) == ("a", "a", {})


def test_only_days_that_count_for_all_are_compared() -> None:
    a, b = noisy(1, 0.5), noisy(2, 0.4)
    b[:24] = np.nan
    assert race({"a": a, "b": b}, "a").means == {}
    b = noisy(2, 0.4)
    b[:10] = np.nan
    found = race({"a": a, "b": b}, "a")
    assert found.means["a"] == float(np.mean(a[10:]))


def test_only_the_last_28_days_count() -> None:
    old = np.concatenate([np.full(40, 0.1), noisy(1, 0.5)])
    new = np.concatenate([np.full(40, 0.9), noisy(1, 0.4)])
    assert race({"a": old, "b": new}, "a").elected == "b"
