"""The data tests of a look: tickets and pages of every dataset, of the days that are over."""

from __future__ import annotations

import numpy as np
import polars as pl

from nenrin.core.instants import DAY, HOUR
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


def found(tests: DataTests, end: int = DAYS) -> list[tuple[str, str, str]]:
    findings = tests.findings((end - 7) * DAY, end * DAY)
    return [(each.subject, each.kind, each.severity) for each in findings]


def test_tickets_and_pages_are_found() -> None:
    tests = DataTests({"bookings": frame("b"), "weather": frame(nulls=15), "sound": frame()})
    assert found(tests) == [
        ("bookings", "new values", "ticket"),
        ("weather", "nulls", "page"),
    ]
    assert found(tests, DAYS - 1) == []  # that day is not over


def test_days_without_rows_are_volume_each_and_freshness_once() -> None:
    rows = frame()
    tests = DataTests({"bookings": rows.head(20 * 30)})
    kinds = [kind for _, kind, _ in found(tests, 34)]
    assert kinds == ["volume"] * 4 + ["freshness"]
