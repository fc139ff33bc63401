"""Data tests: quiet on streams whose days differ and have seasons, loud on broken ones."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from nenrin.core.instants import DAY, HOUR
from nenrin.monitoring.alarms import Finding
from nenrin.monitoring.data_tests import check_day, check_freshness, no_rows, reference_of
from nenrin.monitoring.day_profile import DayProfile, profile_days

CARRIERS = np.array(["UA", "DL", "AA", "B6", "WN", "F9", "YV", "HA"])


def stream(seed: int, days: int, rows: int) -> tuple[pl.DataFrame, np.ndarray]:
    """A stream without a fault: weekends are thin, storms bring nulls, temperature has a season."""
    random = np.random.default_rng(seed)
    counts = [random.poisson(rows * (0.6 if day % 7 in (5, 6) else 1.0) + 1) for day in range(days)]
    day = np.repeat(np.arange(days), counts)
    storm = random.beta(1, 30, size=days)[day]
    season = 10 * np.sin(2 * np.pi * day / 365) + random.normal(scale=3, size=days)[day]
    n = len(day)
    frame = pl.DataFrame(
        {
            "temp": season + random.normal(size=n),
            "rain": np.where(random.random(n) < storm, random.exponential(size=n), 0.0),
            "gust": np.where(random.random(n) < 0.02 + storm, np.nan, random.normal(size=n)),
            "carrier": random.choice(
                CARRIERS, p=[0.3, 0.3, 0.2, 0.15, 0.03, 0.01, 0.009, 0.001], size=n
            ),
            "id": [f"row {at}" for at in range(n)],
        }
    )
    return frame, day


def profiles(frame: pl.DataFrame, day: np.ndarray) -> list[DayProfile]:
    return profile_days(frame, day, day * DAY + HOUR)


def broken(fault, rows: int = 400) -> list[Finding]:
    """What is found on day 40 after ``fault`` has changed it."""
    frame, day = stream(3, 41, rows)
    today = frame.filter(pl.Series(day == 40))
    before = profiles(frame.filter(pl.Series(day < 40)), day[day < 40])
    changed = fault(today)
    (profile,) = profiles(changed, np.full(len(changed), 40))
    return check_day("weather", before, profile)


@pytest.mark.parametrize("rows", [5, 30, 400])
def test_a_healthy_year_is_quiet(rows):
    found, looks = [], 0
    for seed in range(3):
        days = profiles(*stream(seed, 365, rows))
        for at in range(28, len(days)):
            found += check_day("weather", days[:at], days[at])
            looks += 1
    assert len(found) <= 0.01 * looks, found


@pytest.mark.parametrize(
    ("fault", "kind", "columns"),
    [
        (lambda day: day, None, ()),
        (lambda day: day.head(40), "volume", ()),
        (lambda day: pl.concat([day] * 4), "volume", ()),
        (lambda day: day.with_columns(temp=pl.lit(None, pl.Float64)), "nulls", ("temp",)),
        (lambda day: day.with_columns(temp=pl.col("temp") * 1.8 + 132), "range", ("temp",)),
        (lambda day: day.with_columns(carrier=pl.lit("XX")), "new values", ("carrier",)),
        (
            lambda day: day.with_columns(carrier=pl.col("carrier").str.to_lowercase()),
            "new values",
            ("carrier",),
        ),
    ],
)
def test_a_broken_day_is_one_finding_that_names_it(fault, kind, columns):
    found = broken(fault)
    assert [(finding.kind, finding.columns) for finding in found] == (
        [(kind, columns)] if kind else []
    )


def test_one_cause_is_one_finding_however_many_columns_it_hits():
    lost = {"temp": pl.lit(None, pl.Float64), "carrier": pl.lit(None, pl.String)}
    (finding,) = broken(lambda day: day.with_columns(**lost))
    assert finding.columns == ("carrier", "temp")
    assert finding.severity == "page"
    assert "carrier and 1 more: 100.0% nulls" in finding.text


def test_a_tenth_of_nulls_where_there_were_none_is_a_ticket():
    tenth = pl.when(pl.int_range(pl.len()) % 10 == 0).then(None).otherwise("temp").alias("temp")
    (finding,) = broken(lambda day: day.with_columns(tenth))
    assert (finding.kind, finding.severity) == ("nulls", "ticket")
    assert finding.numbers["temp"] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("nulls", [400, 494, 495, 499, 600])
def test_a_ticket_of_nulls_does_not_explain_a_day_of_nothing_else(nulls):
    def day(at, nulls):
        x = np.where(np.arange(1000) < nulls, np.nan, 1.0)
        [profile] = profile_days(pl.DataFrame({"x": x}), np.full(1000, at), np.full(1000, at * DAY))
        return profile

    before = [day(at, 0) for at in range(28)]
    [part] = check_day("weather", before, day(28, nulls))
    assert part.severity == ("page" if nulls >= 495 else "ticket")
    known = reference_of([*before, day(28, nulls)], {28} if part.severity == "page" else ())
    [whole] = check_day("weather", known, day(29, 1000))
    assert whole.severity == "page"


def test_a_day_without_rows_is_a_page():
    days = profiles(*stream(0, 40, 400))
    (finding,) = check_day("weather", days, no_rows(40, days[-1].newest))
    assert (finding.kind, finding.severity) == ("volume", "page")


def test_a_short_past_says_nothing():
    days = profiles(*stream(0, 40, 400))
    assert check_day("weather", days[:6], no_rows(6, 0)) == []
    assert check_freshness("weather", days[:6], 99 * DAY) == []


def test_rows_that_stop_coming_are_found_after_twice_the_longest_silence():
    days = profiles(*stream(0, 40, 400))
    last = days[-1].newest
    assert check_freshness("weather", days, last + 2 * DAY) == []
    (finding,) = check_freshness("weather", days, last + 2 * DAY + 2 * HOUR)
    assert (finding.kind, finding.severity) == ("freshness", "page")
    assert finding.text == "weather: no new row for 2d 2h; the longest silence so far was 1d"
