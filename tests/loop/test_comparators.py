"""The dumb policies: when they fit, on what, and from when on they answer."""

from __future__ import annotations

from datetime import date, time, timedelta

import numpy as np
import pytest

from nenrin.core.instants import HOUR, NEVER, local_instant, local_midnight
from nenrin.loop.comparators import Comparator
from nenrin.loop.declare import every
from nenrin.loop.faults import Injection
from nenrin.loop.policies import Calendar, Policy, usual
from tests.loop.world import BEGIN, SETTLE, ZONE, FakeTrainer, Told, deployed, row_table, sound

TABLE, X = row_table(95, 60)


def at(day: date) -> int:
    return local_instant(day, time(4), ZONE)


def listed(start: date, until: date) -> dict[str, Policy]:
    found = usual(Calendar(at(start), local_midnight(until, ZONE), every("7d", at="04:00"), ZONE))
    return {policy.name: policy for policy in found}


def test_a_year_of_them() -> None:
    found = listed(date(2013, 4, 1), date(2014, 1, 1))
    assert list(found) == ["never", "monthly_trailing", "monthly_all", "weekly_all"]
    assert found["never"].times == (at(date(2013, 4, 1)),)
    months = tuple(at(date(2013, month, 1)) for month in range(4, 13))
    assert found["monthly_all"].times == found["monthly_trailing"].times == months
    weeks = tuple(at(date(2013, 4, 1) + timedelta(days=7 * n)) for n in range(40))
    assert found["weekly_all"].times == weeks  # over both clock changes at four in the morning
    assert found["monthly_trailing"].recipe.since == 90 * 24 * HOUR
    assert found["monthly_all"].recipe.since is None


def test_months_begin_on_the_first_after_the_first_look() -> None:
    found = listed(date(2013, 4, 17), date(2013, 7, 1))
    days = (date(2013, 4, 17), date(2013, 5, 1), date(2013, 6, 1))
    assert found["monthly_all"].times == tuple(at(day) for day in days)
    found = listed(date(2013, 12, 31), date(2014, 2, 2))
    days = (date(2013, 12, 31), date(2014, 1, 1), date(2014, 2, 1))
    assert found["monthly_all"].times == tuple(at(day) for day in days)


def comparator(name: str, trainer: object, **more: object) -> Comparator:
    made = deployed(TABLE, trainer, look=BEGIN + timedelta(days=40))
    until = local_midnight(BEGIN + timedelta(days=95), ZONE)
    found = usual(Calendar(made.state.next_look, until, every("7d", at="04:00"), ZONE))
    return Comparator(
        next(policy for policy in found if policy.name == name),
        ground=made.ground,
        trainer=trainer,
        counter=made.counter,
        settle=SETTLE,
        takes=HOUR,
        task="binary",
        **more,
    )


def test_it_trains_on_closed_blocks_and_answers_when_the_fit_is_done() -> None:
    trainer = FakeTrainer(TABLE, X)
    found = comparator("weekly_all", trainer)
    times = list(found.policy.times)
    while found.due() != NEVER:
        found.fit({"leaves": 7})
    assert found.due() == NEVER
    assert [order.at for order in trainer.orders] == times
    assert all(order.params == {"leaves": 7} for order in trainer.orders)
    for order in trainer.orders:
        assert order.cutoff + SETTLE <= order.at < order.cutoff + SETTLE + 3 * HOUR
    answers = found.answer(0, len(X))
    for row in range(0, len(X), 97):
        done = [n for n, fitted in enumerate(times) if fitted + HOUR <= TABLE.asked[row]]
        if not done:
            assert np.isnan(answers.p[row])
            continue
        version = list(found.artefacts)[done[-1]]
        assert answers.versions[answers.version[row]] == version
        model = found.artefacts[version].model
        assert answers.p[row] == trainer.scores(model, [(row, row + 1)])[0][0]


@pytest.mark.parametrize(
    ("name", "day", "struck"),
    [
        ("weekly_all", "2021-02-24", "v-2"),
        ("weekly_all", "2021-02-25", "v-3"),
        ("weekly_all", "2021-02-10", "v-0"),
        ("monthly_all", "2021-02-24", "v-1"),
        ("never", "2021-02-24", None),
    ],
)
def test_a_fault_hits_the_first_fit_on_or_after_its_day(
    name: str, day: str, struck: str | None
) -> None:
    versions = [f"v-{n}" for n in range(9)]
    trainer = Told(dict.fromkeys(versions, sound(X)), {"history": versions})
    injections = [Injection.parse(f"scrambled_fit:{day}")]
    found = comparator(name, trainer, injections=injections)
    while found.due() != NEVER:
        found.fit({})
    faulty = [artefact.version for artefact in found.artefacts.values() if artefact.fault]
    assert faulty == ([struck] if struck else [])
