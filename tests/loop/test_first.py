"""New code: judged by its twin, also against code that has seen every row; its refit is inspected."""

from __future__ import annotations

from datetime import date, time

import numpy as np

from nenrin.core.instants import local_instant
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.faults import Injection
from nenrin.loop.first import code_look, first_look
from nenrin.loop.ports import Step
from nenrin.loop.state import State
from tests.loop.world import USUAL, ZONE, Told, deployed, row_table, sound

LOOK = date(2021, 3, 25)
AT = local_instant(LOOK, time(4), ZONE)
TABLE, X = row_table(120)
GOOD, POOR, BROKEN = sound(X), sound(0.5 * X), np.full(len(X), np.nan)


def made(answers: list[np.ndarray], options: Options = USUAL) -> Deployed:
    """A deployment whose next fits answer so: the first recipe's twin, its refit, the other's fit."""
    told = {f"m{i}": p for i, p in enumerate(answers)}
    trainer = Told(told, {"history": ["m0", "m1"], "trailing 30d": ["m2"]})
    return deployed(TABLE, trainer, look=LOOK, options=options)


def look(at: int, fresh: Deployed, former: Deployed | None = None) -> Step:
    step = Step(at=at)
    code_look(fresh, former, at, step)
    return step


def first(answers: list[np.ndarray], options: Options = USUAL) -> tuple[Deployed, Step]:
    fresh, step = made(answers, options), Step(at=AT)
    first_look(fresh, AT, step)
    return fresh, step


def after(former: Deployed, answers: list[np.ndarray]) -> Deployed:
    """Other code in the place of what ``former`` serves."""
    fresh = made(answers)
    former.state.champion = former.state.anchor = former.state.pending.version
    fresh.state = State.loads(former.state.dumps())
    fresh.trainer.coming = {"history": ["n0", "n1"], "trailing 30d": ["n2"]}
    fresh.trainer.answers = {f"n{i}": p for i, p in enumerate(answers)}
    return fresh


def test_the_refit_ships_and_its_twin_stands_for_the_days_that_it_has_seen() -> None:
    made_first, step = first([GOOD, GOOD, GOOD])
    state = made_first.state
    assert state.pending is not None
    assert state.pending.version == step.verdicts[0].ships == "m1"
    assert state.fits["history"] == ["m0", "m1"]
    assert state.twin("history").version == "m1"
    seen = made_first.ground.day_start(made_first.ground.day_at(state.artefacts["m0"].cutoff))
    assert state.in_place("history", seen).version == "m0"


def test_better_code_is_admitted_without_new_data() -> None:
    former, _ = first([POOR, POOR, POOR])
    fresh = after(former, [GOOD, GOOD, GOOD])
    step = look(AT, fresh, former)
    (verdict,) = step.verdicts
    assert (verdict.admitted, verdict.outcome, verdict.compared) == (True, "better", "paired")
    assert fresh.state.pending.version == fresh.state.anchor == "n1"


def test_worse_code_is_refused_and_the_slots_are_left_alone() -> None:
    former, _ = first([GOOD, GOOD, GOOD])
    fresh = after(former, [POOR, POOR, POOR])
    step = look(AT, fresh, former)
    (verdict,) = step.verdicts
    assert (verdict.admitted, verdict.outcome) == (False, "worse")
    assert fresh.state.fits == former.state.fits
    assert fresh.state.champion == former.state.champion


def test_a_flawed_refit_of_sound_code_does_not_ship() -> None:
    former, _ = first([POOR, POOR, POOR])
    fresh = after(former, [GOOD, BROKEN, GOOD])
    step = look(AT, fresh, former)
    (verdict,) = step.verdicts
    assert not verdict.admitted
    assert "sane" in verdict.reason
    assert step.bad == ["n1"]
    assert fresh.state.fits == former.state.fits


def test_a_fault_of_an_early_date_strikes_the_first_version() -> None:
    options = Options(injections=(Injection.parse("scrambled_fit:2021-03-01"),))
    struck, step = first([GOOD, GOOD, GOOD], options)
    assert struck.state.artefacts["m0"].fault == ""  # the twin was judged as it is
    assert struck.state.artefacts["m1"].fault == "scrambled_fit"
    assert step.verdicts[0].admitted
