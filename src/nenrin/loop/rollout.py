"""Rollout: from a decided promotion to all requests, and back.

The fast lane gives a refresh of the same recipe everything at once, under a watch: time in a canary is
staleness. New code or another recipe gets the declared percentages first, the next one when a day ends.
"""

from __future__ import annotations

from datetime import timedelta

from nenrin.core.instants import NEVER, local_date, local_midnight
from nenrin.loop.deployed import Deployed
from nenrin.loop.mixture import fits_of, recipes_of, routed, seat
from nenrin.loop.ports import Step
from nenrin.loop.state import Promotion
from nenrin.loop.watching import close_watch, open_watch


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
    """Serve what the watched version replaced, at once; the recipes that have to be fitted again.

    The subject and everything served between the two are marked bad, of mixtures the fits too that the one
    served again has not: their recipe's twin and record become those of the fit before. The recipes are on
    probation until they are served again. A mixture's shares stay as they are.
    """
    state = deployed.state
    watch = state.watch
    if watch is None:
        return []
    recipes = recipes_of(deployed.artefact(watch.subject))
    bad = _served_since(deployed, watch.ref)
    close_watch(deployed, "alarm", step)
    state.bad = [*state.bad, *[version for version in bad if version not in state.bad]]
    state.probation = list(dict.fromkeys([*state.probation, *recipes]))
    state.champion, state.pending = watch.ref, None
    state.stages_left, state.stage_at = (), NEVER
    seat(state)
    _route(deployed, at, ((watch.ref, 100),), step)
    step.bad.extend(bad)
    step.why = f"the watch found {watch.subject} worse than {watch.ref}"
    body = {"to": watch.ref, "bad": bad, "probation": recipes, "wealth": watch.wealth.mean}
    step.record("rollout.rolled_back", watch.subject, body)
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
    _route(deployed, at, variants, step)
    step.why = why if weight == 100 else f"canary at {weight} %"


def _settle_canary(deployed: Deployed) -> None:
    """A promotion that comes while a canary is on: the champion stays what it was."""
    deployed.state.stages_left, deployed.state.stage_at = (), NEVER


def _route(deployed: Deployed, at: int, variants: tuple[tuple[str, int], ...], step: Step) -> None:
    """Nothing is routed before the thaw of a freeze, whatever instant it was due at."""
    segment = routed(deployed.state, max(at, deployed.options.thawed), variants)
    deployed.state.segments = [*deployed.state.segments, segment]
    step.route = segment


def reroute(deployed: Deployed, at: int, step: Step) -> None:
    """Answer by the shares and the recalibration of now, where they have moved."""
    last = deployed.state.segments[-1]
    if routed(deployed.state, last.start, last.variants) != last:
        _route(deployed, at, last.variants, step)


def _newly_served(deployed: Deployed, version: str) -> list[str]:
    """The recipes whose fit in a version is not the one that its slot serves."""
    artefact = deployed.artefact(version)
    if not artefact.members:
        return [artefact.recipe]
    return [slot for slot, each in artefact.members if deployed.state.slots.get(slot) != each]


def _served_since(deployed: Deployed, ref: str) -> list[str]:
    """Versions served after ``ref`` was last the only one, oldest first, each once, and the fits in them."""
    versions: list[str] = []
    for segment in reversed(deployed.state.segments):
        if segment.variants == ((ref, 100),):
            break
        versions += [version for version, _ in segment.variants if version != ref]
    served = list(dict.fromkeys(reversed(versions)))
    kept = {deployed.state.anchor, *fits_of(deployed.artefact(ref))}
    members = [each for version in served for _, each in deployed.artefact(version).members]
    return list(dict.fromkeys([*served, *(each for each in members if each not in kept)]))


def _next_midnight(deployed: Deployed, at: int) -> int:
    zone = deployed.ground.zone
    return local_midnight(local_date(at, zone) + timedelta(days=1), zone)
