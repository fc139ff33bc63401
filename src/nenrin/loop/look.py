"""A look: the data are tested, every recipe is judged and fitted anew, and what the gate admits goes out."""

from __future__ import annotations

from typing import Any

from nenrin.core.instants import DAY, NEVER
from nenrin.loop.alarming import watch_data
from nenrin.loop.deployed import Deployed
from nenrin.loop.electing import elect
from nenrin.loop.fitting import refit
from nenrin.loop.ports import Step
from nenrin.loop.rollout import decide
from nenrin.loop.schedule import grid_look
from nenrin.loop.slots import fill
from nenrin.loop.standing import Outcome
from nenrin.loop.state import State


def take_look(deployed: Deployed, at: int, step: Step) -> None:
    """Decide a refresh at ``at``, on schedule or pulled forward by an alarm."""
    state = deployed.state
    before = state.last_look
    trigger = _trigger(deployed, at)
    broken = _broken_data(deployed, min(at - 7 * DAY, max(before, 0)), at, step)
    if broken:
        step.record("look.blocked", deployed.name, {"trigger": trigger, "checks": broken})
        return
    state.rings += 1
    champion = state.champion
    if _in_canary(state):
        found = _fitted_only(deployed, at, step)
    else:
        found = (fill if deployed.mixes else elect)(deployed, at, step)
    told = {"ring": state.rings, "trigger": trigger, "champion": champion, **found.told}
    step.record_look(deployed.name, {**told, "ships": found.ships})
    if found.ships and found.ships != champion:
        decide(deployed, found.ships, at, canary=found.canary)


def _in_canary(state: State) -> bool:
    """Whether something goes out stage by stage, or is about to: nothing else then goes out beside it."""
    return bool(state.stages_left) or (state.pending is not None and state.pending.stages[0] < 100)


def _fitted_only(deployed: Deployed, at: int, step: Step) -> Outcome:
    """Twins for the next look; nothing goes out."""
    refit(deployed, [recipe.name for recipe in deployed.declared.recipes], at, step)
    told = {"chosen": None, "waits": "a canary is on its way"}
    return Outcome(ships=None, canary=False, told=told)


def _trigger(deployed: Deployed, at: int) -> str:
    """Why this look is taken; moves the schedule on."""
    state = deployed.state
    trigger = "schedule" if state.next_look <= at else "alarm"
    state.last_look, state.pulled = at, NEVER
    if state.next_look <= at:
        state.next_look = grid_look(deployed, state.next_look)
    while state.next_look <= deployed.options.thawed:  # of the looks that were held, one is taken
        state.next_look = grid_look(deployed, state.next_look)
    return trigger


def _broken_data(deployed: Deployed, since: int, at: int, step: Step) -> list[dict[str, Any]]:
    """Data tests that found a page in what became known since then; they block the refresh."""
    found = deployed.checks(since, at)
    watch_data(deployed, found, at, step)
    return [
        {"cause": finding.kind, "subject": finding.subject, "text": finding.text}
        for finding in found
        if finding.severity == "page"
    ]
