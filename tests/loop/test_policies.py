"""What people write after ``--policy``, and when it fits."""

from __future__ import annotations

from datetime import date, time, timedelta

import pytest

from nenrin.core.errors import RequestError
from nenrin.core.instants import DAY, local_instant, local_midnight
from nenrin.loop.declare import every
from nenrin.loop.policies import (
    Calendar,
    by_calendar,
    check_policies,
    is_rival,
    name_of,
    rival_of,
)

ZONE = "America/New_York"
START = date(2013, 4, 1)


def at(day: date) -> int:
    return local_instant(day, time(4), ZONE)


def calendar(until: date = date(2013, 7, 1)) -> Calendar:
    return Calendar(at(START), local_midnight(until, ZONE), every("7d", at="04:00"), ZONE)


def test_every_so_many_days_at_the_looks_hour_over_a_change_of_clocks() -> None:
    (found,) = by_calendar(["every 28d"], calendar(date(2013, 12, 31)))
    assert found.times == tuple(at(START + timedelta(days=28 * n)) for n in range(10))
    assert (found.name, found.title) == ("every_28d", "every 28 days, all history")
    assert (found.recipe.since, found.recipe.half_life) == (None, None)


def test_on_a_part_of_history_or_with_weights() -> None:
    short, light, frozen = by_calendar(
        ["every 2w, trailing 90d", "every 7d, half-life 60d", "frozen"], calendar()
    )
    assert short.recipe.since == 90 * DAY
    assert short.times[1] == at(START + timedelta(days=14))
    assert light.recipe.half_life == 60 * DAY
    assert (short.name, light.name) == ("every_2w_trailing_90d", "every_7d_half_life_60d")
    assert (frozen.name, frozen.times) == ("never", (at(START),))


def test_another_deployment() -> None:
    assert is_rival("other.py:service")
    assert not is_rival("every 28d")
    assert rival_of("other.py:service") == ("other.py", "service")
    assert name_of("other.py:service") == "other_service"
    assert by_calendar(["other.py:service", "frozen"], calendar())[0].name == "never"


@pytest.mark.parametrize(
    "text",
    ["", "weekly", "every", "every 12h", "every 0d", "every 7d, trailing", "every 7d, trailing x"],
)
def test_what_is_no_policy_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_policies([text])
    assert "every 28d" in caught.value.hint


def test_twice_the_same_is_refused() -> None:
    with pytest.raises(RequestError, match="twice"):
        check_policies(["frozen", "every 28d", "frozen"])
    check_policies(["frozen", "every 28d", "a.py:b"])
