"""Figures are written alike everywhere, and weeks are made of days without losing a row."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.api import figures


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("log_loss", 0.43781, "0.4378"),
        ("log_loss", None, "–"),
        ("log_loss", float("nan"), "–"),
        ("bias", -0.00801, "−0.0080"),
        ("bias", 0.00001, "0.0000"),
        ("bias", 0.01, "+0.0100"),
        ("rmse", 1234.56, "1,235"),
        ("rmse", 92.8952, "92.90"),
        ("bias", -75.7324, "−75.73"),
        ("r2", -0.25, "−0.2500"),
    ],
)
def test_spell(column: str, value: float | None, text: str) -> None:
    assert figures.spell(column, value) == text


@pytest.mark.parametrize(
    ("column", "values", "best"),
    [
        ("log_loss", {"loop": 0.4, "never": 0.5}, {"loop"}),
        ("roc_auc", {"loop": 0.7, "never": 0.8}, {"never"}),
        ("bias", {"loop": -0.01, "never": 0.02}, {"loop"}),
        ("log_loss", {"loop": 0.4, "hindsight": 0.3}, {"loop"}),
        ("log_loss", {"loop": 0.4, "never": 0.4}, {"loop", "never"}),
        ("log_loss", {"loop": None, "never": float("nan")}, set()),
    ],
)
def test_best(column: str, values: dict[str, float | None], best: set[str]) -> None:
    assert figures.best(column, values) == best


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (8.24, "8.2 s"), (148, "2 min 28 s"), (3_900, "1 h 5 min"), (59.99, "60.0 s")],
)
def test_took(seconds: float | None, text: str) -> None:
    assert figures.took(seconds) == text


@pytest.mark.parametrize(
    ("pays", "text"),
    [
        ([], "What the loop would have done with delay"),
        ([False, False], "The loop does not pay here"),
        ([True, False], "The loop pays against 1 of 2 alternatives"),
        ([True, True], "The loop pays against all 2 alternatives"),
    ],
)
def test_headline(pays: list[bool], text: str) -> None:
    gaps = [{"against": "never", "pays": each} for each in pays]
    gaps += [{"against": "hindsight", "pays": False}]
    report = {"project": {"deployment": "delay"}, "differences": gaps, "inject": [], "without": []}
    assert figures.headline(report) == text
    staged = {**report, "inject": ["shifted_fit:2013-05-01"], "without": ["watch"]}
    assert figures.headline(staged) == (
        f"{text}, with shifted_fit:2013-05-01, without watch played into history"
    )


def test_count() -> None:
    assert [figures.count(n, "look") for n in (0, 1, 1204)] == ["0 looks", "1 look", "1,204 looks"]


def test_sentences_of_the_table_are_not_said_twice() -> None:
    report = {"differences": [{"sentence": "a"}], "sentences": ["a", "b"]}
    assert figures.beyond(report) == ["b"]


@pytest.mark.parametrize(
    ("task", "metric", "loss"),
    [
        ("binary", "roc_auc", "log loss"),
        ("binary", "brier", "squared error"),
        ("regression", "mae", "absolute error"),
        ("regression", "rmse", "squared error"),
    ],
)
def test_loss_of(task: str, metric: str, loss: str) -> None:
    assert figures.loss_of({"task": task, "metric": metric}) == loss


def _days(losses: list[float | None]) -> dict[str, list[object]]:
    calendar = [str(date(2013, 4, 1) + timedelta(days=index)) for index in range(len(losses))]
    return {
        "day": calendar,
        "rows": [index % 5 + 1 for index in range(len(losses))],
        "loop": losses,
    }


@given(st.lists(st.none() | st.floats(-5, 5), min_size=71, max_size=120))
def test_weeks_are_means_over_rows(losses: list[float | None]) -> None:
    days = _days(losses)
    starts, means = figures.weekly(days, "loop")
    assert len(starts) == len(losses) // 7
    for week, mean in enumerate(means):
        pairs = [
            (loss, days["rows"][index])
            for index, loss in enumerate(losses)
            if index // 7 == week and loss is not None
        ]
        rows = sum(count for _, count in pairs)
        expected = sum(loss * count for loss, count in pairs) / rows if rows else None
        assert mean == pytest.approx(expected)


def test_few_days_stay_days() -> None:
    starts, means = figures.weekly(_days([0.1, None, 0.3]), "loop")
    assert starts == [date(2013, 4, day) for day in (1, 2, 3)]
    assert means == [0.1, None, 0.3]


def test_behind_is_a_mean_over_the_days_before() -> None:
    days = _days([1.0, 2.0, 3.0]) | {"never": [2.0, 4.0, None]}
    ends, gaps = figures.behind(days, "never", against="loop", span=2)
    assert ends == [date(2013, 4, 2), date(2013, 4, 3)]
    assert gaps == [pytest.approx((1 * 1 + 2 * 2) / 3), pytest.approx(2.0)]


def test_local_times_follow_the_zone() -> None:
    assert str(figures.local("2013-07-01T08:00:00Z", "America/New_York")) == "2013-07-01 04:00:00"
    assert figures.month_name("2013-04") == "Apr 2013"
    assert figures.day_name(date(2013, 4, 1)) == "1 April 2013"
