"""What a frozen deployment would do: said once, and left undone until the thaw.

A freeze stops every change that the loop makes by itself: looks, promotions, stages of a canary, roll-backs,
new code. Blocks close and days are scored all the same, so that the evidence is there when it ends.
"""

from __future__ import annotations

import msgspec

from nenrin.core.errors import RefusedError
from nenrin.core.instants import NEVER, iso
from nenrin.loop.ports import Step
from nenrin.loop.state import State
from nenrin.serving.deployments import Deployment


class Held(msgspec.Struct, frozen=True):
    """A change that a freeze holds.

    Attributes:
        change: its kind: ``look``, ``promotion``, ``stage``, ``rollback``, ``unsafe``, ``code`` or
            ``refresh``.
        of: what tells it from the next of its kind.
        text: what would happen, for people.
    """

    change: str
    of: str
    text: str


def held(state: State, now: int) -> list[Held]:
    """What would have been done by ``now``."""
    found = []
    watch, pending = state.watch, state.pending
    if watch is not None and watch.wealth.alarms:
        text = f"roll back to {watch.ref}: the watch found {watch.subject} worse"
        found.append(Held("rollback", watch.subject, text))
    if pending is not None and pending.at <= now:
        text = f"promote {pending.version}, decided for {iso(pending.at)}"
        found.append(Held("promotion", pending.version, text))
    if state.stage_at <= now:
        version = state.segments[-1].variants[-1][0]
        text = f"give the canary {version} {state.stages_left[0]} % of the requests"
        found.append(Held("stage", f"{version} {state.stages_left[0]}", text))
    look = min(state.next_look, state.pulled)
    if state.champion and look <= now:
        found.append(Held("look", iso(look), f"look for a better version, due since {iso(look)}"))
    return found


def new_code(project: str) -> Held:
    """Code that fits another model than the one that serves."""
    return Held("code", project, "judge the project's new code")


def refresh(labels: int) -> Held:
    """Enough new labels, where rows have no time."""
    return Held("refresh", str(labels), f"train anew: {labels:,} rows have labels")


def unsafe(version: str) -> Held:
    """A version that live requests show not to be safe."""
    return Held("unsafe", version, f"roll back {version}: it is not safe")


def unsaid(state: State, found: list[Held], frozen: int) -> list[Held]:
    """Those of ``found`` that the ledger was not told of since the freeze at ``frozen``."""
    return [each for each in found if state.held.get(each.change) != _mark(each, frozen)]


def hold(deployment: str, state: State, found: list[Held], frozen: int, step: Step) -> None:
    """Tell the ledger what is held, each once a freeze."""
    for each in unsaid(state, found, frozen):
        state.held = {**state.held, each.change: _mark(each, frozen)}
        step.record("change.held", deployment, {"change": each.change, "would": each.text})


def refuse_frozen(deployment: Deployment | None) -> None:
    """Let nothing in but what a person names.

    Raises:
        RefusedError: the deployment is frozen.
    """
    if deployment is not None and deployment.frozen:
        raise RefusedError(
            f"{deployment.name!r} is frozen: {deployment.frozen_why}",
            hint=f"nenrin deployments unfreeze {deployment.name}, or promote a version by hand",
            where=deployment.name,
        )


def by_hand(verb: str, reason: str) -> str:
    """Why a deployment changed that somebody changed by name: the words that tell it from the loop's own."""
    return f"{verb} by hand: {reason}" if reason else f"{verb} by hand"


def stays_frozen(deployment: Deployment) -> dict[str, str]:
    """What a change by hand says beside its result where the deployment is frozen."""
    if not deployment.frozen:
        return {}
    return {
        "frozen": f"still, {deployment.frozen_why}: nothing changes by itself until "
        f"nenrin deployments unfreeze {deployment.name}"
    }


def frozen_line(deployment: Deployment, state: State | None, now: int) -> dict[str, object]:
    """A freeze as status tells it."""
    found = _known(state, now, deployment.frozen_since) if deployment.frozen and state else []
    return {
        "paused": deployment.paused or None,
        "frozen": deployment.frozen,
        "frozen_since": iso(deployment.frozen_since) if deployment.frozen else None,
        "frozen_why": deployment.frozen_why or None,
        "held": [each.text for each in found],
    }


def _known(state: State, now: int, frozen: int) -> list[Held]:
    """What is held by what the state knows, and what the last turn found by the data and the code."""
    found = held(state, now)
    made_by = (
        ("code", new_code),
        ("refresh", lambda of: refresh(int(of))),
        ("unsafe", unsafe),
    )
    for change, made in made_by:
        since, _, of = state.held.get(change, "").partition(" ")
        if since == str(frozen):
            found.append(made(of))
    return found


def _mark(each: Held, frozen: int) -> str:
    # a look moves along its grid while it is held: it is the same look
    return f"{frozen} {'' if each.change == 'look' else each.of}"


def is_due(state: State, now: int, *, paused: bool = False) -> bool:
    """Whether anything but a closing is due at ``now``, and nobody holds it."""
    stage = NEVER if paused else state.stage_at
    pending = state.pending.at if state.pending else NEVER
    alarms = state.watch is not None and state.watch.wealth.alarms
    due = min(state.next_look, state.pulled, stage, pending, state.refit_at)
    return alarms or due <= now
