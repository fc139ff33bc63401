"""A look: race, gate, fits, sanity, and what ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from nenrin.core.instants import DAY, NEVER
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.faults import Injection
from nenrin.loop.look import take_look
from nenrin.loop.ports import Step
from nenrin.loop.race import ANCHOR
from nenrin.monitoring.alarms import Finding
from tests.loop.world import BEGIN, Told, day_mean, lines, row_table, sound, stand

TABLE, X = row_table(95, 120)
WEEKS = [BEGIN + timedelta(days=30 + 7 * week) for week in range(6)]
LOOK = BEGIN + timedelta(days=72)
GOOD, FAIR, BAD = sound(X), sound(X, 0.25), sound(X, 0.9)
RECIPE = {"h": "history", "t": "trailing 30d"}


def made(
    answers: Mapping[str, np.ndarray],
    *,
    champion: str = "h-5",
    look: date = LOOK,
    coming: Mapping[str, Sequence[str]] | None = None,
    **more: Any,
) -> Deployed:
    """Six weekly looks lie behind; every version answers soundly but those in ``answers``."""
    fitted = [(f"{r}-{week}", RECIPE[r], WEEKS[week]) for week in range(6) for r in "ht"]
    known = {name: GOOD for name, _, _ in fitted} | {"h-6": GOOD, "t-6": GOOD} | dict(answers)
    trainer = Told(known, coming or {"history": ["h-6"], "trailing 30d": ["t-6"]})
    return stand(TABLE, trainer, fitted, look=look, champion=champion, **more)


def page(kind: str, text: str) -> Finding:
    return Finding(kind=kind, subject="rows", severity="page", text=text)


def look(deployed: Deployed) -> tuple[Step, dict[str, Any]]:
    at = deployed.state.next_look
    step = Step(at=at)
    take_look(deployed, at, step)
    told = lines(step, "look.taken")
    return step, told[0] if told else {}


def test_a_refresh_of_what_serves_ships_without_a_comparison() -> None:
    deployed = made({})
    step, told = look(deployed)
    assert (told["trigger"], told["best"], told["elected"]) == ("schedule", "history", "history")
    assert (told["chosen"], told["ships"]) == ("history", "h-6")
    assert told["standings"]["history"]["verdict"] == "none"
    (verdict,) = step.verdicts
    assert (verdict.judged, verdict.ships, verdict.compared) == ("h-5", "h-6", "none")
    assert verdict.admitted
    pending = deployed.state.pending
    assert (pending.version, pending.stages) == ("h-6", (100,))
    assert {artefact.version for artefact, _ in step.fits} == {"h-6", "t-6"}
    assert told["fits"] == {"history": "h-6", "trailing 30d": "t-6"}
    assert told["verdicts"] == [verdict.id]
    assert deployed.state.next_look == step.at + 7 * DAY
    assert deployed.state.last_look == step.at


def test_fits_read_closed_blocks_and_labels_known_at_the_look() -> None:
    deployed = made({})
    at = deployed.state.next_look
    look(deployed)
    for order, recipe in zip(deployed.trainer.orders, deployed.declared.recipes, strict=True):
        assert (order.recipe, order.at) == (recipe, at)
        assert order.cutoff == deployed.ground.cut.cutoff(at, deployed.state.settle)
        assert order.cutoff + deployed.state.settle <= at < order.cutoff + 2 * DAY


def test_a_recipe_with_a_significant_lead_is_elected_and_goes_out_as_a_canary() -> None:
    deployed = made({f"h-{week}": FAIR for week in range(6)})
    step, told = look(deployed)
    assert (told["best"], told["elected"], told["chosen"]) == ("trailing 30d",) * 3
    assert told["ships"] == "t-6"
    pending = deployed.state.pending
    assert (pending.version, pending.stages) == ("t-6", (20, 100))
    (verdict,) = step.verdicts
    assert (verdict.judged, verdict.outcome) == ("t-5", "better")
    assert verdict.numbers["change"] == "recipe"
    days = deployed.closed_days(28)
    mean = np.mean([day_mean(deployed, GOOD, day) for day in days])
    assert told["means"]["trailing 30d"] == pytest.approx(mean)


def test_a_recipe_without_a_significant_lead_is_not() -> None:
    slightly = sound(X, 0.02)
    deployed = made({f"h-{week}": slightly for week in range(6)})
    _, told = look(deployed)
    assert told["elected"] == "history"
    assert told["ships"] == "h-6"


def test_a_twin_that_is_worse_is_refused_and_the_next_recipe_asked() -> None:
    deployed = made({"h-5": BAD, "t-5": GOOD}, champion="h-4")
    step, told = look(deployed)
    standing = told["standings"]["history"]
    assert (standing["twin"], standing["ok"], standing["verdict"]) == ("h-5", False, "worse")
    assert (told["chosen"], told["ships"]) == ("trailing 30d", "t-6")
    assert deployed.state.pending.stages == (20, 100)
    assert [v.admitted for v in step.verdicts] == [True]


def test_another_recipe_that_may_be_worse_does_not_take_the_place_of_what_serves() -> None:
    """What is enough for a refresh of the recipe that serves: not to be shown worse."""
    even = (TABLE.asked // DAY) % 2 == 0
    served, other = np.where(even, GOOD, BAD), np.where(even, BAD, sound(X, 0.6))
    deployed = made({"h-0": BAD, "h-5": BAD, "h-4": served, "t-5": other}, champion="h-4")
    step, told = look(deployed)
    standing = told["standings"]["trailing 30d"]
    assert (standing["verdict"], standing["ok"]) == ("undecided", False)
    assert standing["mean"] > 0.005
    assert (told["chosen"], told["ships"]) == (None, None)
    assert [verdict.admitted for verdict in step.verdicts] == [False]

    mine = made({"h-0": BAD, "h-5": other, "h-4": served, "t-5": BAD}, champion="h-4")
    assert look(mine)[1]["ships"] == "h-6"


def test_the_evidence_is_that_of_days_that_count_for_both() -> None:
    deployed = made({"h-5": BAD}, champion="h-4")
    _, told = look(deployed)
    cutoff = deployed.state.artefacts["h-5"].cutoff
    days = [d for d in range(deployed.state.next_day) if deployed.ground.day_start(d) >= cutoff]
    gaps = [day_mean(deployed, BAD, d) - day_mean(deployed, GOOD, d) for d in days]
    standing = told["standings"]["history"]
    assert standing["days"] == len(days)
    assert standing["mean"] == pytest.approx(np.mean(gaps))
    assert standing["se"] == pytest.approx(np.std(gaps, ddof=1) / len(gaps) ** 0.5)


def test_where_all_are_worse_the_champion_stays() -> None:
    deployed = made({"h-0": BAD, "h-5": BAD, "t-5": BAD}, champion="h-4")
    step, told = look(deployed)
    assert (told["chosen"], told["ships"]) == (None, None)
    assert deployed.state.pending is None
    assert deployed.state.champion == "h-4"
    (verdict,) = step.verdicts
    assert (verdict.admitted, verdict.outcome) == (False, "worse")
    assert verdict.reason.startswith("refused")
    assert deployed.state.twin("history").version == "h-6"  # the new fits are twins all the same


@pytest.mark.parametrize(
    ("twin", "days", "ok"),
    [
        (GOOD, 7, True),
        (sound(X, 0.02), 7, True),  # worse than the champion by less than .005
        (sound(X, 0.6), 7, False),
        (GOOD, 2, False),  # on probation nothing goes out unseen
    ],
)
def test_probation(twin: np.ndarray, days: int, ok: bool) -> None:
    deployed = made({"h-5": twin, "t-5": BAD}, champion="h-4", look=WEEKS[5] + timedelta(days=days))
    deployed.state.probation = ["history"]
    step, told = look(deployed)
    assert told["standings"]["history"]["ok"] == ok
    if ok:
        assert told["ships"] == "h-6"
        assert step.verdicts[0].numbers["probation"] is True
    else:
        assert told["ships"] != "h-6"
    assert deployed.state.probation == ["history"]  # cleared when it is served


def test_without_three_days_a_twin_goes_out_uncompared() -> None:
    deployed = made({"h-5": BAD}, champion="h-4", look=WEEKS[5] + timedelta(days=3))
    step, told = look(deployed)
    assert told["standings"]["history"]["verdict"] == "none"
    assert told["ships"] == "h-6"
    assert step.verdicts[0].compared == "none"


def test_the_anchor_comes_back_only_if_it_is_better() -> None:
    worse = {f"{r}-{week}": FAIR for r in "ht" for week in range(1, 6)}
    deployed = made(worse)
    step, told = look(deployed)
    assert (told["best"], told["elected"], told["chosen"]) == (ANCHOR, ANCHOR, ANCHOR)
    assert told["ships"] == "h-0"
    assert deployed.state.pending.stages == (100,)
    assert step.verdicts[0].numbers["change"] == "anchor"
    deployed.state.champion = "h-0"
    assert deployed.current_recipe == ANCHOR


def test_an_anchor_that_is_no_worse_is_not_fallen_back_upon() -> None:
    deployed = made({"h-5": BAD, "t-5": BAD}, champion="h-4")
    step, told = look(deployed)
    assert told["elected"] == ANCHOR  # it beats the recipes' records, and equals the champion
    assert told["standings"][ANCHOR]["verdict"] == "undecided"
    assert (told["chosen"], told["ships"]) == (None, None)
    assert not step.verdicts[0].admitted


def test_an_anchor_that_is_not_elected_is_not_asked() -> None:
    deployed = made({"h-0": BAD, "h-5": BAD, "t-5": BAD}, champion="h-4")
    _, told = look(deployed)
    assert told["elected"] != ANCHOR
    assert ANCHOR not in told["standings"]


@pytest.mark.parametrize("broken", [np.full(len(X), np.nan), GOOD * 3, BAD])
def test_a_flawed_fit_is_marked_bad_and_twin_and_champion_stay(broken: np.ndarray) -> None:
    deployed = made({"h-6": broken})
    step, told = look(deployed)
    (body,) = lines(step, "fit.refused")
    assert body["recipe"] == "history"
    assert body["flaws"]
    assert (step.bad, deployed.state.bad) == (["h-6"], ["h-6"])
    assert step.why == f"the fit is flawed: {body['flaws'][0]}"  # as the registry keeps it
    assert deployed.state.twin("history").version == "h-5"
    assert deployed.state.twin("trailing 30d").version == "t-6"
    assert told["ships"] is None
    assert deployed.state.pending is None
    assert not step.verdicts[0].admitted
    assert "sane" in step.verdicts[0].reason


def test_a_flawed_fit_of_another_recipe_does_not_keep_the_chosen_back() -> None:
    deployed = made({"t-6": np.full(len(X), np.nan)})
    _, told = look(deployed)
    assert told["ships"] == "h-6"
    assert deployed.state.bad == ["t-6"]


@pytest.mark.parametrize(("ago", "tested"), [(3, 7), (7, 7), (28, 28)])
def test_no_day_between_two_looks_is_left_untested(ago: int, tested: int) -> None:
    deployed, asked = made({}), []
    deployed.checks = lambda start, end: asked.append((end - start) // DAY) or []
    deployed.state.last_look = deployed.state.next_look - ago * DAY
    look(deployed)
    assert asked == [tested]


def test_broken_data_blocks_a_look_and_the_next_one_is_a_week_later() -> None:
    deployed = made({})
    deployed.checks = lambda start, end: [
        page("volume", f"{(end - start) // DAY} days"),
        page("nulls", "x is null"),
        page("nulls", "y is null"),
        msgspec.structs.replace(page("nulls", "a few nulls"), severity="ticket"),
    ]
    at = deployed.state.next_look
    step, told = look(deployed)
    assert not told
    (blocked,) = lines(step, "look.blocked")
    assert blocked["trigger"] == "schedule"
    assert [check["text"] for check in blocked["checks"]] == ["7 days", "x is null", "y is null"]
    opened = [
        (line.subject, line.body["text"]) for line in step.lines if line.kind == "alarm.opened"
    ]
    assert opened == [("rows volume", "7 days"), ("rows nulls", "y is null")]  # one a cause
    assert not step.fits
    assert deployed.state.next_look == at + 7 * DAY
    again = Step(at=at + 7 * DAY)
    take_look(deployed, again.at, again)
    assert not lines(again, "alarm.opened")  # they are open already
    assert [body["seen"] for body in lines(again, "alarm.updated")] == [2, 2]
    deployed.checks = lambda start, end: []
    step, told = look(deployed)
    assert {body["kind"] for body in lines(step, "alarm.resolved")} == {"nulls", "volume"}
    assert deployed.state.alarms == []
    assert told["ships"] == "h-6"


def test_a_ticket_opens_an_alarm_and_keeps_nothing_out() -> None:
    deployed = made({})
    ticket = msgspec.structs.replace(page("new values", "a new carrier"), severity="ticket")
    deployed.checks = lambda start, end: [ticket]
    step, told = look(deployed)
    assert told["ships"] == "h-6"
    assert not lines(step, "look.blocked")
    assert [body["severity"] for body in lines(step, "alarm.opened")] == ["ticket"]


def test_a_look_that_an_alarm_pulled_leaves_the_grid_alone() -> None:
    deployed = made({})
    state = deployed.state
    grid = state.next_look
    state.pulled = grid - 2 * DAY
    step = Step(at=state.pulled)
    take_look(deployed, step.at, step)
    assert lines(step, "look.taken")[0]["trigger"] == "alarm"
    assert (state.next_look, state.pulled, state.last_look) == (grid, NEVER, step.at)


def test_a_fault_strikes_every_fit_of_one_look_after_the_sanity_check() -> None:
    options = Options(injections=(Injection.parse("shifted_fit:2021-03-01"),))
    coming = {"history": ["h-6", "h-7"], "trailing 30d": ["t-6", "t-7"]}
    deployed = made({"h-7": GOOD, "t-7": GOOD}, coming=coming, options=options)
    step, told = look(deployed)
    assert lines(step, "fault.injected") == [{"versions": ["h-6", "t-6"]}]
    assert not lines(step, "fit.refused")
    assert told["ships"] == "h-6"
    assert deployed.state.artefacts["h-6"].fault == "shifted_fit"
    deployed.state.champion, deployed.state.pending = "h-6", None
    step, _ = look(deployed)
    assert not lines(step, "fault.injected")
    assert deployed.state.artefacts["h-7"].fault == ""


def test_a_fault_does_not_strike_before_its_day() -> None:
    options = Options(injections=(Injection.parse("shifted_fit:2021-03-15"),))
    deployed = made({}, options=options)
    step, _ = look(deployed)
    assert not lines(step, "fault.injected")
