"""Rollout: from a decided promotion to all requests, and back.

The fast lane gives a refresh of the same recipe everything at once, under a watch: time in a canary is
staleness. New code or another recipe gets the declared percentages first, the next one when a day ends.
Nothing is routed before the thaw of a freeze, whatever instant it was due at.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from nenrin.core.instants import NEVER, local_date, local_midnight
from nenrin.loop.deployed import Deployed
from nenrin.loop.mixture import fits_of, recipes_of, routed, seat
from nenrin.loop.ports import Step
from nenrin.loop.state import Promotion, State, Watch
from nenrin.loop.watching import close_watch, open_watch

NOTHING: Mapping[str, Any] = MappingProxyType({})


def decide(deployed: Deployed, version: str, at: int, *, canary: bool) -> None:
    """Promote ``version``; its first request is answered ``takes`` after the look at ``at``."""
    state = deployed.state
    stages = deployed.declared.canary if canary else (100,)
    begins = at + deployed.options.takes
    state.pending = Promotion(version=version, at=begins, stages=stages, ring=state.rings)


def begin(deployed: Deployed, at: int, step: Step) -> None:
    """Serve the pending promotion for the first time."""
    state = deployed.state
    promotion, state.pending = state.pending, None
    if promotion is None:
        return
    replaced = state.champion
    if state.stages_left:
        _settle_canary(deployed)
    served = _newly_served(deployed, promotion.version)
    state.probation = [name for name in state.probation if name not in served]
    if replaced:
        open_watch(deployed, promotion.version, replaced, at, step)
    elif not deployed.artefact(promotion.version).members:
        state.anchor = promotion.version
    _stage(deployed, promotion.version, promotion.stages, at, step, "fast lane")


def stage_up(deployed: Deployed, at: int, step: Step) -> None:
    """Give the canary its next percentage."""
    version = deployed.state.segments[-1].variants[-1][0]
    _stage(deployed, version, deployed.state.stages_left, at, step, "its canary was sound")


def roll_back(deployed: Deployed, at: int, step: Step) -> list[str]:
    """Serve what the watched version replaced, because its watch alarms (:func:`take_back`)."""
    watch = deployed.state.watch
    if watch is None:
        return []
    why = f"the watch found {watch.subject} worse than {watch.ref}"
    return take_back(deployed.state, watch, at, step, why=why, thawed=deployed.options.thawed)


def take_back(
    state: State,
    watch: Watch,
    at: int,
    step: Step,
    *,
    why: str,
    thawed: int,
    outcome: str = "alarm",
    evidence: Mapping[str, Any] = NOTHING,
) -> list[str]:
    """Serve what the watched version replaced, at once; the recipes that have to be fitted again.

    The subject and everything served between the two are marked bad, of mixtures the fits too that the one
    served again has not: their recipe's twin and record become those of the fit before. The recipes are on
    probation until they are served again. A mixture's shares stay as they are.

    Args:
        state: what the loop remembers.
        watch: the open watch.
        at: the instant.
        step: what is done, for the journal.
        why: the reason, for people.
        thawed: instant of the newest thaw: nothing is routed before it.
        outcome: how the watch ends.
        evidence: what the event says beside that.
    """
    recipes = recipes_of(state.artefacts[watch.subject])
    bad = _served_since(state, watch.ref)
    close_watch(state, outcome, step)
    state.bad = [*state.bad, *[version for version in bad if version not in state.bad]]
    state.probation = list(dict.fromkeys([*state.probation, *recipes]))
    state.champion, state.pending = watch.ref, None
    state.stages_left, state.stage_at = (), NEVER
    seat(state)
    _route(state, max(at, thawed), ((watch.ref, 100),), step)
    step.bad.extend(bad)
    step.why = why
    body = {"to": watch.ref, "bad": bad, "probation": recipes, "wealth": watch.wealth.mean}
    step.record("rollout.rolled_back", watch.subject, body | dict(evidence))
    return recipes


def _stage(
    deployed: Deployed, version: str, stages: tuple[int, ...], at: int, step: Step, why: str
) -> None:
    state = deployed.state
    weight, left = stages[0], stages[1:]
    if weight == 100:
        state.champion = version
        seat(state)
        variants: tuple[tuple[str, int], ...] = ((version, 100),)
    else:
        variants = ((state.champion, 100 - weight), (version, weight))
    state.stages_left = left
    state.stage_at = _next_midnight(deployed, at) if left else NEVER
    _route(state, max(at, deployed.options.thawed), variants, step)
    step.why = why if weight == 100 else f"canary at {weight} %"


def _settle_canary(deployed: Deployed) -> None:
    """A promotion that comes while a canary is on: the champion stays what it was."""
    deployed.state.stages_left, deployed.state.stage_at = (), NEVER


def _route(state: State, at: int, variants: tuple[tuple[str, int], ...], step: Step) -> None:
    segment = routed(state, at, variants)
    state.segments = [*state.segments, segment]
    step.route = segment


def reroute(deployed: Deployed, at: int, step: Step) -> None:
    """Answer by the shares and the recalibration of now, where they have moved."""
    state, thawed = deployed.state, deployed.options.thawed
    last = state.segments[-1]
    if routed(state, last.start, last.variants) != last:
        _route(state, max(at, thawed), last.variants, step)


def _newly_served(deployed: Deployed, version: str) -> list[str]:
    """The recipes whose fit in a version is not the one that its slot serves."""
    artefact = deployed.artefact(version)
    if not artefact.members:
        return [artefact.recipe]
    return [slot for slot, each in artefact.members if deployed.state.slots.get(slot) != each]


def _served_since(state: State, ref: str) -> list[str]:
    """Versions served after ``ref`` was last the only one, oldest first, each once, and the fits in them."""
    versions: list[str] = []
    for segment in reversed(state.segments):
        if segment.variants == ((ref, 100),):
            break
        versions += [version for version, _ in segment.variants if version != ref]
    served = list(dict.fromkeys(reversed(versions)))
    kept = {state.anchor, *fits_of(state.artefacts[ref])}
    members = [each for version in served for _, each in state.artefacts[version].members]
    return list(dict.fromkeys([*served, *(each for each in members if each not in kept)]))


def _next_midnight(deployed: Deployed, at: int) -> int:
    zone = deployed.ground.zone
    return local_midnight(local_date(at, zone) + timedelta(days=1), zone)
