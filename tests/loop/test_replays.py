"""The loop replayed over a small world: looks, races, watches, roll-backs, and a head that is bit-equal."""

from __future__ import annotations

from datetime import date, time, timedelta

import numpy as np
import pytest

from nenrin.core.instants import (
    DAY,
    HOUR,
    NEVER,
    iso,
    local_date,
    local_instant,
    local_midnight,
)
from nenrin.loop.backtest import Backtest, Played
from nenrin.loop.comparators import comparators
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.faults import Injection
from nenrin.loop.report import Scored, differences, history_of, labels_came, tables
from nenrin.monitoring.alarms import Finding
from nenrin.testing.stores import MemoryUnits
from tests.loop.world import (
    BEGIN,
    USUAL,
    ZONE,
    FakeTrainer,
    ListJournal,
    deployed,
    row_table,
    table_of,
)

NULLS = Finding(kind="nulls", subject="rows", severity="page", text="half of x is null")
DAYS, A_DAY = 130, 100
LOOK = BEGIN + timedelta(days=60)


def play(
    *, drift: float = 0.0, options: Options = USUAL, look: date = LOOK, days: int = DAYS
) -> tuple[Deployed, ListJournal, Played]:
    table, x = row_table(days, A_DAY, drift)
    made = deployed(table, FakeTrainer(table, x), look=look, options=options)
    journal = ListJournal()
    until = local_midnight(BEGIN + timedelta(days=days), ZONE)
    return (
        made,
        journal,
        Backtest(made, journal, until, comparators(made, until, None)).play(lambda at: None),
    )


def kinds(journal: ListJournal, kind: str) -> list[tuple[int, dict]]:  # type: ignore[type-arg]
    return [(s.at, line.body) for s in journal.steps for line in s.lines if line.kind == kind]


def injected(text: str, **more: object) -> Options:
    return Options(injections=(Injection.parse(text),), **more)  # type: ignore[arg-type]


def test_looks_stand_on_a_grid_of_local_times_over_the_clock_change() -> None:
    _, journal, _ = play()
    looks = [at for at, body in kinds(journal, "look.taken") if body["trigger"] != "alarm"]
    expected = [
        local_instant(LOOK + timedelta(days=7 * n), _clock(), ZONE) for n in range(len(looks))
    ]
    assert looks == expected
    hours = {iso(at)[11:16] for at in looks}
    assert hours == {"09:00", "08:00"}  # 14 March 2021: clocks go forward


def test_a_healthy_year_is_promoted_weekly_and_never_rolled_back() -> None:
    made, journal, played = play()
    _, counts = history_of(played)
    assert counts["rollbacks"] == 0
    assert counts["looks"] == len(kinds(journal, "look.taken"))
    assert made.state.bad == []
    assert made.state.segments[0].start == local_instant(LOOK, _clock(), ZONE) + HOUR


def test_every_closed_day_is_scored_once_in_order() -> None:
    made, journal, _ = play()
    days = [line.subject for s in journal.steps for line in s.lines if line.kind == "day.closed"]
    assert days == [
        made.ground.day_name(made.ground.day_at(_noon(LOOK)) + n) for n in range(len(days))
    ]
    for at, _ in kinds(journal, "day.closed"):
        assert (at - made.state.settle) in {
            local_midnight(LOOK + timedelta(days=n), ZONE) for n in range(1, DAYS)
        }


def test_a_scrambled_fit_is_rolled_back_and_its_recipe_put_on_probation() -> None:
    made, journal, _ = play(options=injected("scrambled_fit:2021-04-05"))
    (at, body), *more = kinds(journal, "rollout.rolled_back")
    assert not more
    struck = kinds(journal, "fault.injected")[0]
    served = next(s for s in made.state.segments if s.variants[-1][0] in struck[1]["versions"])
    assert at - served.start <= 4 * DAY
    assert set(body["bad"]) <= set(struck[1]["versions"])
    assert made.state.segments[made.state.segments.index(served) + 1].variants == (
        (body["to"], 100),
    )
    refit = next(s for s in journal.steps if s.at == at and s.fits)
    assert [artefact.recipe for artefact, _ in refit.fits] == body["probation"]
    assert refit.fits[0][0].fault == ""


def test_without_the_watch_a_bad_fit_serves_on() -> None:
    _, journal, _ = play(options=injected("scrambled_fit:2021-04-05", watching=False))
    assert kinds(journal, "fault.injected")
    assert not kinds(journal, "rollout.rolled_back")
    assert not kinds(journal, "watch.opened")


def test_a_shifted_fit_is_found_too() -> None:
    _, journal, _ = play(options=injected("shifted_fit:2021-04-05"))
    assert kinds(journal, "rollout.rolled_back")


def test_drift_opens_an_alarm_that_pulls_a_look_forward_but_not_within_three_days() -> None:
    _, journal, _ = play(drift=0.012)
    alarms = [at for at, _ in kinds(journal, "alarm.opened")]
    looks = [(at, body["trigger"]) for at, body in kinds(journal, "look.taken")]
    pulled = [at for at, trigger in looks if trigger == "alarm"]
    assert alarms
    assert pulled
    every = [at for at, _ in looks]
    for at in pulled:
        before = max(other for other in every if other < at)
        assert at - before >= 3 * DAY


def test_data_that_is_broken_blocks_the_look_and_says_so() -> None:
    table, x = row_table(90, A_DAY)
    made = deployed(table, FakeTrainer(table, x), look=LOOK)
    broken = local_instant(LOOK + timedelta(days=7), _clock(), ZONE)
    made.checks = lambda start, end: [NULLS] if end == broken else []
    journal = ListJournal()
    until = local_midnight(BEGIN + timedelta(days=90), ZONE)
    Backtest(made, journal, until, comparators(made, until, None)).play(lambda at: None)
    assert [at for at, _ in kinds(journal, "look.blocked")] == [broken]
    assert kinds(journal, "alarm.opened")[0][0] == broken
    assert kinds(journal, "alarm.resolved")[0][0] > broken


def test_two_runs_have_the_same_events_to_the_bit() -> None:
    heads = []
    for _ in range(2):
        _, journal, _ = play(options=injected("scrambled_fit:2021-04-05"), drift=0.004)
        units = MemoryUnits()
        for step in journal.steps:
            with units.write("backtest/demo", step.at) as unit:
                for line in step.lines:
                    unit.record(line.kind, line.subject, line.body)
        heads.append(units.head("backtest/demo"))
    assert heads[0] == heads[1]
    assert heads[0][0] > 60


def test_no_artefact_is_scored_on_days_that_it_has_seen() -> None:
    made, _, _ = play()
    for artefact in made.state.artefacts.values():
        day = made.ground.day_at(artefact.cutoff - 1)
        assert np.isnan(made.loss(artefact, day))


def test_the_report_adds_up() -> None:
    made, _, played = play(drift=0.006)
    scored = Scored(made.ground, played, "log_loss")
    made_tables = tables(scored, "binary")
    total = made_tables["total"]
    months = made_tables["months"]
    for name in total:
        weighted = sum(m["rows"] * m[name]["log_loss"] for m in months) / total[name]["rows"]
        assert weighted == pytest.approx(total[name]["log_loss"])
    best = min(total[n]["log_loss"] for n in total if n not in ("loop", "hindsight"))
    assert total["hindsight"]["log_loss"] <= best + 1e-12
    for gap in differences(scored):
        expected = total["loop"]["log_loss"] - total[gap["against"]]["log_loss"]
        assert gap["mean"] == pytest.approx(expected)
    came = labels_came(made.ground, scored, made.state.settle, NEVER)
    assert sum(came.values()) == played.hi - played.lo


def test_comparators_answer_only_after_the_time_a_fit_takes() -> None:
    made, _, played = play()
    start = local_instant(LOOK, _clock(), ZONE) + made.options.takes
    assert made.ground.table.asked[played.lo] >= start
    assert made.ground.table.asked[played.lo - 1] < start
    for answers in played.answers:
        assert np.isfinite(answers.p).all()


def replay(made: Deployed, days: int) -> tuple[ListJournal, Played]:
    journal = ListJournal()
    until = local_midnight(BEGIN + timedelta(days=days), ZONE)
    return journal, Backtest(made, journal, until, comparators(made, until, None)).play(
        lambda at: None
    )


@pytest.mark.parametrize(
    ("scale", "fault"),
    [
        (5_000.0, ""),
        (0.01, "scrambled_fit:2021-04-05"),
        (0.01, "shifted_fit:2021-04-05"),
        (5_000.0, "shifted_fit:2021-04-05"),
    ],
)
def test_a_regression_of_any_scale(scale: float, fault: str) -> None:
    table, x = row_table(DAYS, A_DAY)
    random = np.random.default_rng(4)
    y = scale * (x + random.normal(0, 0.5, len(x)))
    table = table_of(table.asked, table.answered, y)
    made = deployed(
        table,
        FakeTrainer(table, scale * x, "regression"),
        look=LOOK,
        options=injected(fault) if fault else USUAL,
        task="regression",
        row_loss="squared",
    )
    journal, played = replay(made, DAYS)
    back = kinds(journal, "rollout.rolled_back")
    assert len(back) == (1 if fault else 0)
    if fault:
        served = next(s for s in made.state.segments if s.variants[-1][0] == back[0][1]["bad"][0])
        assert back[0][0] - served.start <= 4 * DAY
    total = tables(Scored(made.ground, played, "squared"), "regression")["total"]
    assert total["never"]["rmse"] == pytest.approx(0.5 * scale, rel=0.05)


def test_rows_may_stop_at_weekends_and_be_few() -> None:
    table, x = row_table(DAYS, 30)
    weekday = np.array([local_date(int(at), ZONE).weekday() for at in table.asked])
    kept = np.flatnonzero(weekday < 5)
    table, x = table_of(table.asked[kept], table.answered[kept], table.y[kept]), x[kept]
    made = deployed(
        table, FakeTrainer(table, x), look=LOOK, options=injected("shifted_fit:2021-04-05")
    )
    journal, _ = replay(made, DAYS)
    days = kinds(journal, "day.closed")
    idle = [body for _, body in days if body["rows"] == 0]
    assert len(idle) >= len(days) // 7
    assert all(body["loss"] is None for body in idle)
    assert len(kinds(journal, "look.taken")) >= 10
    assert all(body["blocks"] <= 14 * 8 // 3 for _, body in kinds(journal, "watch.closed"))


def _clock() -> time:
    return time(4)


def _noon(day: date) -> int:
    return local_midnight(day, ZONE) + 12 * HOUR


def test_drift_lets_the_shorter_history_win_through_a_canary() -> None:
    made, journal, played = play(drift=0.02)
    canaries = [s for s in journal.steps if s.route and len(s.route.variants) > 1]
    assert canaries
    first = canaries[0]
    (old, most), (new, least) = first.route.variants
    assert (most, least) == (80, 20)
    recipes = [made.state.artefacts[version].recipe for version in (old, new)]
    assert recipes == ["history", "trailing 30d"]
    later = [s for s in journal.steps if s.route and s.at > first.at]
    after = next(s for s in later if s.route.variants != first.route.variants)
    assert after.route.variants == ((new, 100),)
    assert after.at == local_midnight(local_date(first.at, ZONE) + timedelta(days=1), ZONE)
    assert any(line["kind"] == "canary" for line in history_of(played)[0])
    looks = [body for at, body in kinds(journal, "look.taken") if at < first.at]
    assert looks[-1]["elected"] == "trailing 30d"
    assert looks[-1]["standings"]["trailing 30d"]["ok"]
