"""The report's numbers, against plain Python."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from nenrin.core.instants import DAY, HOUR, NEVER, local_date, local_midnight
from nenrin.loop.backtest import Played, PolicyAnswers
from nenrin.loop.ground import Ground
from nenrin.loop.ports import Step
from nenrin.loop.report import Scored, differences, history_of, labels_came, tables
from nenrin.loop.state import Segment
from nenrin.stats.metrics import ROW_LOSSES
from tests.loop.world import BEGIN, ZONE, row_table, sound, table_of

TABLE, X = row_table(70, 40)
BEFORE = 30 * 40
RANDOM = np.random.default_rng(11)
ANSWERS = {
    "loop": sound(X),
    "never": sound(X, 0.8),
    "monthly_all": np.where(np.arange(len(X)) % 7 < 3, sound(X, 1.2), sound(X)),
    "weekly_all": sound(X + RANDOM.normal(0, 0.05, len(X))),
}
TITLES = {"loop": "the loop", "never": "never retraining"}


def played(table: Any = TABLE, answers: dict[str, np.ndarray] | None = None) -> Played:
    told = answers or ANSWERS
    return Played(
        lo=BEFORE,
        hi=len(table.asked),
        answers=[
            PolicyAnswers(
                name=name,
                title=TITLES.get(name, name),
                p=p[BEFORE:],
                version=np.zeros(len(p) - BEFORE, np.int32),
                versions=(("v", 0),),
                fits=n,
            )
            for n, (name, p) in enumerate(told.items())
        ],
        artefacts={},
        segments={},
        steps=[],
    )


def scored(loss: str = "log_loss", **more: Any) -> Scored:
    table = more.get("table", TABLE)
    return Scored(Ground(table, ROW_LOSSES[loss]), played(**more), loss)


def rows_of(month: str | None) -> list[int]:
    """Labelled rows of the window, in a month of New York."""
    return [
        row
        for row in range(BEFORE, len(X))
        if not math.isnan(TABLE.y[row])
        and month in (None, local_date(int(TABLE.asked[row]), ZONE).isoformat()[:7])
    ]


def log_loss(p: np.ndarray, rows: list[int]) -> float:
    return sum(-math.log(p[r] if TABLE.y[r] else 1 - p[r]) for r in rows) / len(rows)


def auc(p: np.ndarray, rows: list[int]) -> float:
    ones = [p[r] for r in rows if TABLE.y[r]]
    zeros = [p[r] for r in rows if not TABLE.y[r]]
    won = sum((a > b) + (a == b) / 2 for a in ones for b in zeros)
    return won / (len(ones) * len(zeros))


def test_totals_and_months_are_those_of_the_rows() -> None:
    found = tables(scored(), "binary")
    months = ["2021-01", "2021-02", "2021-03"]
    assert [line["month"] for line in found["months"]] == months
    for name, p in ANSWERS.items():
        for month, line in [(None, found["total"]), *zip(months, found["months"], strict=True)]:
            rows = rows_of(month)
            assert line[name]["log_loss"] == pytest.approx(log_loss(p, rows))
            if month == months[0]:
                assert line[name]["roc_auc"] == pytest.approx(auc(p, rows))
            bias = sum(TABLE.y[r] - p[r] for r in rows) / len(rows)
            assert line[name]["bias"] == pytest.approx(bias)
            if month:
                assert line["rows"] == len(rows)
                assert line["base_rate"] == pytest.approx(sum(TABLE.y[rows]) / len(rows))
    assert [found["total"][name]["fits"] for name in ANSWERS] == [0, 1, 2, 3]
    assert found["total"]["hindsight"]["fits"] is None
    assert {line["rows"] for line in found["total"].values()} == {len(rows_of(None))}


def test_the_best_in_hindsight_is_chosen_month_by_month_among_the_others() -> None:
    p = {name: answers.copy() for name, answers in ANSWERS.items()}
    february = [r for r in range(len(X)) if local_date(int(TABLE.asked[r]), ZONE).month == 2]
    p["never"][february] = sound(X)[february]  # best there
    found = tables(scored(answers=p), "binary")
    for line in found["months"]:
        dumb = {name: line[name]["log_loss"] for name in p if name != "loop"}
        assert line["hindsight"]["log_loss"] == min(dumb.values())
    best = [
        min((n for n in p if n != "loop"), key=lambda n: m[n]["log_loss"]) for m in found["months"]
    ]
    assert len(set(best)) == 2


def test_days_have_their_rows_and_mean_losses() -> None:
    found = tables(scored(), "binary")["days"]
    for place, day in enumerate(found["day"]):
        rows = [
            r
            for r in rows_of(None)
            if local_date(int(TABLE.asked[r]), ZONE) == date.fromisoformat(day)
        ]
        assert found["rows"][place] == len(rows)
        assert found["loop"][place] == pytest.approx(log_loss(ANSWERS["loop"], rows))
    assert len(found["day"]) in (40, 41)


def test_a_policy_pays_exactly_where_the_interval_lies_below_nought() -> None:
    found = {line["against"]: line for line in differences(scored())}
    rows = rows_of(None)
    mine = log_loss(ANSWERS["loop"], rows)
    for name in ("never", "monthly_all", "weekly_all"):
        line = found[name]
        assert line["mean"] == pytest.approx(mine - log_loss(ANSWERS[name], rows))
        assert line["low"] < line["mean"] < line["high"]
        assert line["pays"] == (line["high"] < 0)
        assert ("does not pay" in line["sentence"]) == (not line["pays"])
    assert found["never"]["pays"]
    assert not found["weekly_all"]["pays"]
    assert list(found) == ["never", "monthly_all", "weekly_all", "hindsight"]


def test_intervals_take_days_together_not_rows() -> None:
    """Rows of a day that share its weather must widen the interval."""
    day = np.array([local_date(int(t), ZONE).toordinal() for t in TABLE.asked])
    daily = np.random.default_rng(2).normal(0, 0.3, day.max() + 1)[day]
    by_day = {"loop": sound(X), "never": sound(X, daily)}
    by_row = {"loop": sound(X), "never": sound(X, RANDOM.permutation(daily))}
    widths = [
        (line := differences(scored(answers=told))[0])["high"] - line["low"]
        for told in (by_day, by_row)
    ]
    assert widths[0] > 1.3 * widths[1]


def test_a_regression_shows_its_own_columns() -> None:
    y = X + RANDOM.normal(size=len(X))
    table = table_of(TABLE.asked, TABLE.answered, y)
    told = {"loop": X, "never": X + 0.5}
    found = tables(scored("squared", table=table, answers=told), "regression")
    assert found["columns"] == ["rmse", "mae", "bias"]
    assert found["reliability"] == {}
    rows = slice(BEFORE, None)
    total = found["total"]["never"]
    assert total["rmse"] == pytest.approx(math.sqrt(np.mean((y - X - 0.5)[rows] ** 2)))
    assert total["mae"] == pytest.approx(np.mean(np.abs(y - X - 0.5)[rows]))
    assert total["bias"] == pytest.approx(np.mean((y - X - 0.5)[rows]))


def test_labels_are_in_time_late_never_or_open() -> None:
    answered = TABLE.answered.copy()
    start = local_midnight(BEGIN + timedelta(days=30), ZONE)
    late = [BEFORE + n for n in (5, 50, 500)]
    answered[late] = TABLE.asked[late] + 3 * DAY
    never = [BEFORE + n for n in (7, 70)]
    open_ = [len(X) - 1, len(X) - 2]
    answered[never + open_] = NEVER
    y = np.where(answered == NEVER, np.nan, TABLE.y)
    table = table_of(TABLE.asked, answered, y)
    ground = Ground(table, ROW_LOSSES["log_loss"])
    end = ground.day_start(ground.days)
    assert TABLE.asked[BEFORE] >= start - DAY
    found = labels_came(ground, scored(table=table), 6 * HOUR, end)
    window = len(X) - BEFORE
    assert found == {"closed": window - 7, "late": 3, "never": 2, "open": 2}


def test_what_happened_is_counted_and_told() -> None:
    def step(at: int, **more: Any) -> Step:
        made = Step(at=at)
        for name, value in more.items():
            setattr(made, name, value)
        return made

    canary = step(2, route=Segment(2, (("a", 80), ("b", 20))), why="canary at 20 %")
    whole = step(3, route=Segment(3, (("b", 100),)), why="its canary was sound")
    back = step(4, route=Segment(4, (("a", 100),)), why="the watch found b worse than a")
    told = {"to": "a", "bad": ["b"], "probation": ["history"], "wealth": 23.4}
    back.record("rollout.rolled_back", "b", told)
    alarm = step(5)
    alarm.record("alarm.opened", "calibration", {"text": "off by +0.0310"})
    lines, counts = history_of(
        Played(
            lo=0,
            hi=0,
            answers=[],
            artefacts={},
            segments={},
            steps=[canary, whole, back, alarm],
        )
    )
    assert counts == {
        "looks": 0,
        "trainings": 0,
        "promotions": 1,
        "refusals": 0,
        "rollbacks": 1,
        "alarms": 1,
    }
    assert [(line["kind"], line["version"]) for line in lines] == [
        ("canary", "b"),
        ("promotion", "b"),
        ("rollback", "b"),
        ("alarm", "calibration"),
    ]
    assert lines[0]["text"] == "20 % of the requests"
    assert lines[1]["text"] == "its canary was sound"
    assert "reached 23: a serves again" in lines[2]["text"]
    assert "+0.0310" in lines[3]["text"]
