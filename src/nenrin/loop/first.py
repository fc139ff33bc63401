"""The first look: parameters are tuned, a twin is judged on rows it has not seen, its refit ships.

The twin is trained on what was closed h before the look and judged on the h that followed: h is 28 days, at
most a third of the history. Tuning validates on the h before that. What ships is the refit on all rows.
"""

from __future__ import annotations

from nenrin.core.instants import DAY
from nenrin.gates.judge import judge
from nenrin.gates.verdict import Verdict
from nenrin.loop.deployed import Deployed
from nenrin.loop.evidence import gather
from nenrin.loop.look import refit
from nenrin.loop.ports import Order, Step
from nenrin.loop.rollout import decide
from nenrin.loop.schedule import grid_look
from nenrin.loop.state import Artefact

HOLD_OUT = 28 * DAY


def first_look(deployed: Deployed, at: int, step: Step) -> None:
    """Tune, judge the twin against the baseline, fit every recipe, deploy the first if admitted."""
    state = deployed.state
    state.rings += 1
    state.last_look = at
    state.next_look = grid_look(deployed, state.next_look)
    tuned_from, judged_from = hold_out(deployed, at)
    state.params = deployed.trainer.tune(at, tuned_from, judged_from)
    twin = _twin(deployed, judged_from, at, step)
    names = [recipe.name for recipe in deployed.declared.recipes]
    ships = refit(deployed, names, at, step)[names[0]].version
    verdict = _judged(deployed, twin, ships, at)
    step.verdicts.append(verdict)
    step.record(
        "look.taken",
        deployed.name,
        {
            "ring": state.rings,
            "trigger": "first",
            "params": state.params,
            "chosen": names[0],
            "ships": ships if verdict.admitted else None,
        },
    )
    if verdict.admitted:
        decide(deployed, ships, at, canary=False)


def hold_out(deployed: Deployed, at: int) -> tuple[int, int]:
    """Where tuning stops training, and where the twin does: beginnings of days."""
    ground = deployed.ground
    end = ground.closed_end(at, deployed.state.settle)
    length = min(HOLD_OUT, (end - ground.start) // 3)
    judged_from = ground.day_start(max(0, ground.day_at(end - length)))
    tuned_from = ground.day_start(max(0, ground.day_at(judged_from - length)))
    return tuned_from, judged_from


def _twin(deployed: Deployed, cutoff: int, at: int, step: Step) -> Artefact:
    """The first recipe's fit without the rows that it is judged on."""
    order = Order(
        recipe=deployed.declared.recipes[0], at=at, cutoff=cutoff, params=deployed.state.params
    )
    fit = deployed.trainer.fit([order])[0]
    twin = fit.artefact(order)
    step.fits.append((twin, fit))
    return twin


def _judged(deployed: Deployed, twin: Artefact, ships: str, at: int) -> Verdict:
    ground = deployed.ground
    first = ground.day_at(twin.cutoff)
    last = ground.closed_days(at, deployed.state.settle)
    return judge(
        deployment=deployed.name,
        judged=twin.version,
        ships=ships,
        against={"baseline": "prior"},
        evidence=gather(deployed, twin, range(first, last), change="first"),
        policy=deployed.policy,
        at=at,
    )
