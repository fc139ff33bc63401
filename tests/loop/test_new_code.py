"""New code and changed declarations: canaries, recipes that come and go, a policy of one's own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from nenrin.core.instants import DAY, HOUR
from nenrin.gates.evidence import read_policy
from nenrin.loop.closing import close_block
from nenrin.loop.declare import trailing
from nenrin.loop.first import code_look
from nenrin.loop.look import take_look
from nenrin.loop.ports import Step
from nenrin.loop.rollout import begin
from nenrin.loop.state import State
from nenrin.loop.unchanged import fits_the_same
from tests.loop.test_mixture import look as mix_look
from tests.loop.test_mixture import made as mixture
from tests.loop.world import BEGIN, RECIPES, Told, deployed, lines, row_table, sound, stand

TABLE, X = row_table(95, 120)
WEEKS = [BEGIN + timedelta(days=30 + 7 * week) for week in range(6)]
LOOK = BEGIN + timedelta(days=72)
GOOD, FAIR, BAD = sound(X), sound(X, 0.25), sound(X, 0.9)
RECIPE = {"h": "history", "t": "trailing 30d"}


def old(p: np.ndarray = GOOD, **more: Any):
    fitted = [(f"{r}-{week}", RECIPE[r], WEEKS[week]) for week in range(6) for r in "ht"]
    known = {name: p for name, _, _ in fitted} | {"h-6": p, "t-6": p}
    trainer = Told(known, {"history": ["h-6"], "trailing 30d": ["t-6"]})
    return stand(TABLE, trainer, fitted, look=LOOK, champion="h-5", **more)


def new_code(former, p: np.ndarray, recipes=RECIPES, serve="champion"):
    """The same deployment by other code, whose every fit answers ``p``."""
    names = {f"n{i}": p for i in range(12)}
    coming = {r.name: [f"n{3 * i + k}" for k in range(3)] for i, r in enumerate(recipes)}
    fresh = deployed(
        TABLE, Told(former.trainer.answers | names, coming), look=LOOK, recipes=recipes, serve=serve
    )
    fresh.state = State.loads(former.state.dumps())
    return fresh


@pytest.mark.parametrize("serve", ["champion", "mixture"])
def test_a_scheduled_look_does_not_shorten_the_canary_of_new_code(serve: str) -> None:
    fair = {f"{r}-{week}": FAIR for r in "ht" for week in range(8)}
    former = mixture(fair) if serve == "mixture" else old(FAIR)
    look = former.state.next_look
    while former.ground.closing(former.state.next_block, former.state.settle) < look - HOUR:
        at = former.ground.closing(former.state.next_block, former.state.settle)
        close_block(former, at, Step(at=at))
    fresh = new_code(former, GOOD, serve=serve)
    fresh.declared = msgspec.structs.replace(fresh.declared, canary=(5, 20, 50, 100))
    step = Step(at=look - HOUR)
    code_look(fresh, former, step.at, step)
    assert fresh.state.pending.stages == (5, 20, 50, 100)
    begin(fresh, look, Step(at=look))
    assert fresh.state.segments[-1].variants[-1][1] == 5
    take_look(fresh, look, Step(at=look))
    pending = fresh.state.pending
    assert pending is None or pending.stages[0] < 100, pending


def test_a_recipe_that_is_added_to_a_mixture_gets_a_share() -> None:
    found = mixture()
    found.declared = msgspec.structs.replace(found.declared, recipes=(*RECIPES, trailing("60d")))
    found.trainer.coming["trailing 60d"] = ["s-6", "s-7"]
    found.trainer.answers |= {"s-6": GOOD, "s-7": GOOD, "h-7": GOOD, "t-7": GOOD}
    trainer = Told(found.trainer.answers, {"history": ["h-5", "h-0"], "trailing 30d": ["t-5"]})
    assert fits_the_same(trainer, found.declared, found.state, {}, len(X))  # so no slots begin anew
    for _ in range(2):
        mix_look(found)
        at = found.state.pending.at
        begin(found, at, Step(at=at))


def test_a_recipe_that_serves_may_be_taken_out_of_the_declaration() -> None:
    former = old()
    fresh = new_code(former, BAD, recipes=(trailing("30d"), trailing("60d")))
    step = Step(at=fresh.state.next_look - DAY)
    code_look(fresh, former, step.at, step)
    assert not step.verdicts[0].admitted
    take_look(fresh, fresh.state.next_look, Step(at=fresh.state.next_look))


def test_code_that_changes_one_recipe_only_is_new_code() -> None:
    found = mixture()
    trainer = Told(
        found.trainer.answers | {"other": FAIR},
        {"history": ["h-5", "h-0"], "trailing 30d": ["other"]},
    )
    assert not fits_the_same(trainer, found.declared, found.state, {}, len(X))


def test_a_policy_of_ones_own_decides() -> None:
    found = old()
    found.trainer.answers |= {"h-5": BAD, "t-5": BAD}
    found.state.champion = "h-4"
    found.policy = read_policy([{"name": "all", "require": "true"}])
    step = Step(at=found.state.next_look)
    take_look(found, step.at, step)
    (told,) = lines(step, "look.taken")
    assert step.verdicts[0].admitted == (told["ships"] is not None)
