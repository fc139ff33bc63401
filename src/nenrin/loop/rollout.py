"""Rollout: from a decided promotion to all requests, and back.

The fast lane gives a refresh of the same recipe everything at once, under a watch: time in a canary is
staleness. New code or another recipe gets the declared percentages first, the next one when a day ends.
"""

from __future__ import annotations

from datetime import timedelta

from nenrin.core.instants import NEVER, local_date, local_midnight
from nenrin.loop.deployed import Deployed
from nenrin.loop.ports import Step
from nenrin.loop.state import Promotion, Segment
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
    recipe = deployed.artefact(promotion.version).recipe
    state.probation = [name for name in state.probation if name != recipe]
    if replaced:
        open_watch(deployed, promotion.version, replaced, at, step)
    else:
        state.anchor = promotion.version
    _stage(deployed, promotion.version, promotion.stages, at, step, "fast lane")


def stage_up(deployed: Deployed, at: int, step: Step) -> None:
    """Give the canary its next percentage."""
    version = deployed.state.segments[-1].variants[-1][0]
    _stage(deployed, version, deployed.state.stages_left, at, step, "its canary was sound")


def roll_back(deployed: Deployed, at: int, step: Step) -> str:
    """Serve what the watched version replaced, at once; the recipe that has to be fitted again.

    The subject and everything served between the two are marked bad: their recipe's twin and record become
    those of the fit before. The recipe is on probation until it is served again.
    """
    state = deployed.state
    watch = state.watch
    if watch is None:
        return ""
    recipe = deployed.artefact(watch.subject).recipe
    bad = _served_since(deployed, watch.ref)
    close_watch(deployed, "alarm", step)
    state.bad = [*state.bad, *[version for version in bad if version not in state.bad]]
    state.probation = [*state.probation, *([recipe] if recipe not in state.probation else [])]
    state.champion, state.pending = watch.ref, None
    state.stages_left, state.stage_at = (), NEVER
    _route(deployed, Segment(at, ((watch.ref, 100),)), step)
    step.bad.extend(bad)
    step.why = f"the watch found {watch.subject} worse than {watch.ref}"
    body = {"to": watch.ref, "bad": bad, "probation": recipe, "wealth": watch.wealth.mean}
    step.record("rollout.rolled_back", watch.subject, body)
    return recipe


def _stage(
    deployed: Deployed, version: str, stages: tuple[int, ...], at: int, step: Step, why: str
) -> None:
    state = deployed.state
    weight, left = stages[0], stages[1:]
    if weight == 100:
        state.champion = version
        variants: tuple[tuple[str, int], ...] = ((version, 100),)
    else:
        variants = ((state.champion, 100 - weight), (version, weight))
    state.stages_left = left
    state.stage_at = _next_midnight(deployed, at) if left else NEVER
    _route(deployed, Segment(at, variants), step)
    step.why = why if weight == 100 else f"canary at {weight} %"


def _settle_canary(deployed: Deployed) -> None:
    """A promotion that comes while a canary is on: the champion stays what it was."""
    deployed.state.stages_left, deployed.state.stage_at = (), NEVER


def _route(deployed: Deployed, segment: Segment, step: Step) -> None:
    """Nothing is routed before the thaw of a freeze, whatever instant it was due at."""
    segment = Segment(max(segment.start, deployed.options.thawed), segment.variants)
    deployed.state.segments = [*deployed.state.segments, segment]
    step.route = segment


def _served_since(deployed: Deployed, ref: str) -> list[str]:
    """Versions served after ``ref`` was last the only one, oldest first, each once."""
    versions: list[str] = []
    for segment in reversed(deployed.state.segments):
        if segment.variants == ((ref, 100),):
            break
        versions += [version for version, _ in segment.variants if version != ref]
    return list(dict.fromkeys(reversed(versions)))


def _next_midnight(deployed: Deployed, at: int) -> int:
    zone = deployed.ground.zone
    return local_midnight(local_date(at, zone) + timedelta(days=1), zone)
