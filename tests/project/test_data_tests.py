"""The data tests of a look: tickets and pages of every dataset, of the days that are over."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import chain

import numpy as np
import polars as pl
import pytest

from nenrin.core.instants import DAY, HOUR, MINUTE, local_midnight
from nenrin.project.data_tests import DataTests

DAYS = 40


def frame(last: str = "a", nulls: int = 0) -> pl.DataFrame:
    """Twenty rows a day; those of the last day with other texts, or with nulls."""
    day = np.repeat(np.arange(DAYS), 20)
    known = day * DAY + np.tile(np.arange(20), DAYS) * HOUR
    text = np.where(day == DAYS - 1, last, "a")
    number = [None if at >= len(day) - nulls else 1.0 for at in range(len(day))]
    columns = {"text": text, "number": pl.Series(number, dtype=pl.Float64)}
    return pl.DataFrame({**columns, "__event__": known, "__known__": known})


def of(zone: str = "UTC", **frames: pl.DataFrame) -> DataTests:
    return DataTests(frames, dict.fromkeys(frames, zone))


def found(tests: DataTests, end: int = DAYS) -> list[tuple[str, str, str]]:
    findings = tests.findings((end - 7) * DAY, end * DAY)
    return [(each.subject, each.kind, each.severity) for each in findings]


def test_tickets_and_pages_are_found() -> None:
    tests = of(bookings=frame("b"), weather=frame(nulls=15), sound=frame())
    assert found(tests) == [
        ("bookings", "new values", "ticket"),
        ("weather", "nulls", "page"),
    ]
    assert found(tests, DAYS - 1) == []  # that day is not over


def test_days_without_rows_are_volume_and_freshness_once() -> None:
    rows = frame()
    tests = of(bookings=rows.head(20 * 30))
    kinds = [kind for _, kind, _ in found(tests, 34)]
    assert kinds == ["volume", "freshness"]


@pytest.mark.parametrize(("nulls", "told"), [((2, 8), 0.4), ((15, 8), 0.75), ((15, 16), 0.8)])
def test_of_a_cause_the_newest_page_is_told_else_the_newest_ticket(
    nulls: tuple[int, int], told: float
) -> None:
    at = np.arange(20 * DAYS)
    few = sum((at // 20 == DAYS - 2 + day) & (at % 20 < count) for day, count in enumerate(nulls))
    rows = frame().with_columns(number=pl.when(pl.Series(few > 0)).then(None).otherwise("number"))
    [finding] = of(weather=rows).findings((DAYS - 7) * DAY, DAYS * DAY)
    assert finding.numbers == {"number": told}


def burst(begins: int, lasts: int, days: int = 90) -> DataTests:
    """Five rows an hour; ``x`` is null from ``begins`` for ``lasts``."""
    known = np.arange(0, days * DAY, HOUR // 5)
    x = np.where((known >= begins) & (known < begins + lasts), np.nan, 1.0)
    return of(rows=pl.DataFrame({"x": x, "__event__": known, "__known__": known}))


def looks(tests: DataTests, first: int, number: int = 6, apart: int = 7) -> list[list[str]]:
    """The pages that looks find, the first at ``first``, each over the days since the one before it."""
    times = [first + apart * DAY * look for look in range(number)]
    found = [tests.findings(at - apart * DAY, at) for at in times]
    return [[each.kind for each in look if each.severity == "page"] for look in found]


@pytest.mark.parametrize("day", range(36, 44))
@pytest.mark.parametrize("hour", [0, 8, 23])
def test_every_day_is_tested_at_one_look(day: int, hour: int) -> None:
    told = looks(burst(day * DAY, DAY), 40 * DAY + hour * HOUR)
    assert list(chain(*told)) == ["nulls"]


def test_looks_at_a_local_hour_test_each_day_once_over_clock_changes() -> None:
    zone, days = "America/New_York", [date(2013, 1, 1) + timedelta(days=at) for at in range(365)]
    starts = np.array([local_midnight(day, zone) for day in days])
    known = np.repeat(starts, 10) + np.tile(np.arange(10), 365) * HOUR
    broken = (np.arange(365) % 8 == 5) & (np.arange(365) >= 35)
    x = np.where(np.repeat(broken, 10), np.nan, 1.0)
    tests = of(zone, rows=pl.DataFrame({"x": x, "__event__": known, "__known__": known}))
    weeks = range(42, 365, 7)
    times = [int(starts[at]) + 4 * HOUR for at in weeks]
    told = [len(tests.findings(at - 7 * DAY, at)) for at in times]
    assert told == [int(broken[at - 7 : at].sum()) for at in weeks]


@pytest.mark.parametrize("late", [0, 15 * MINUTE, 3 * HOUR, -6 * HOUR])
def test_a_burst_that_begins_within_a_day_does_not_become_usual_by_it(late: int) -> None:
    noon = 40 * DAY + 12 * HOUR
    tests = burst(noon + late, 7 * DAY)
    assert looks(tests, noon, 2) == [[], ["nulls"]]
    whole = [looks(tests, day * DAY, 1, apart=1) for day in range(42, 48)]
    assert whole == [[["nulls"]]] * 6


def test_what_stays_for_three_weeks_is_usual_from_then_on() -> None:
    stays = burst(40 * DAY, 50 * DAY)
    assert looks(stays, 40 * DAY) == [[], *[["nulls"]] * 4, []]
    assert sum(map(len, looks(stays, 40 * DAY, 50, apart=1))) == 22


def test_while_a_fault_becomes_usual_others_are_found() -> None:
    known = np.arange(0, 90 * DAY, HOUR // 5)
    day = known // DAY
    columns = {"x": np.where(day >= 40, np.nan, 1.0), "y": np.where(day == 65, np.nan, 1.0)}
    tests = of(rows=pl.DataFrame({**columns, "__event__": known, "__known__": known}))
    [finding] = tests.findings(63 * DAY, 70 * DAY)
    assert finding.columns == ("y",)


def test_an_empty_local_day_is_a_page() -> None:
    known = np.arange(0, 60 * DAY, HOUR // 5)
    begins = local_midnight(date(1970, 2, 10), "Pacific/Auckland")
    known = known[(known < begins) | (known >= begins + DAY)]
    rows = pl.DataFrame({"x": np.ones(len(known)), "__event__": known, "__known__": known})
    told = {
        zone: list(chain(*looks(of(zone, rows=rows), 45 * DAY + 3 * HOUR, 2)))
        for zone in ("Pacific/Auckland", "UTC")
    }
    assert told == {"Pacific/Auckland": ["volume"], "UTC": []}
