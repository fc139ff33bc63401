"""The shares of a mixture: when a day closes they follow what each slot's answers lost on it.

Each day counts once, in order, at the moment it closes; no later label and no roll-back rewrites a share.
"""

from __future__ import annotations

import numpy as np

from nenrin.loop.deployed import Deployed
from nenrin.loop.race import ANCHOR
from nenrin.stats.fixed_share import equal_shares, fixed_share


def begin_shares(deployed: Deployed) -> None:
    """Let the slots of new code, which has an anchor of its own, share alike."""
    slots = [*(recipe.name for recipe in deployed.declared.recipes), ANCHOR]
    shares = equal_shares(len(slots)).tolist()
    deployed.state.shares = {
        **deployed.state.shares,
        deployed.state.anchor: dict(zip(slots, shares, strict=True)),
    }


def join_shares(deployed: Deployed) -> None:
    """Give slots that have no share yet an equal part of the whole, taken from the others in proportion.

    So a recipe joins that was declared later; where one version served until now, all slots share alike.
    """
    state = deployed.state
    if state.anchor not in state.shares:
        begin_shares(deployed)
        return
    before = state.shares[state.anchor]
    new = [recipe.name for recipe in deployed.declared.recipes if recipe.name not in before]
    slots = len(before) + len(new)
    joined = {slot: share * len(before) / slots for slot, share in before.items()}
    joined |= dict.fromkeys(new, 1 / slots)
    if new:
        state.shares = {**state.shares, state.anchor: joined}


def move_shares(deployed: Deployed, day: int) -> dict[str, float]:
    """Move the shares of the slots that serve by their day mean losses, the losses before recalibration.

    Returns:
        the shares from now on; none where one version serves.
    """
    state = deployed.state
    champion = deployed.artefact(state.champion)
    if not champion.members:
        return {}
    line = dict(champion.members)[ANCHOR]
    before = state.shares[line]
    losses = np.array([_slot_loss(deployed, slot, day) for slot in before])
    # .1 is the clip of log loss, where the rate is 10: it is 1 / c in every unit
    after = fixed_share(np.array(list(before.values())), losses, rate=1 / deployed.cap())
    moved = dict(zip(before, after.tolist(), strict=True))
    state.shares = {**state.shares, line: moved}
    return moved


def _slot_loss(deployed: Deployed, slot: str, day: int) -> float:
    """Day mean loss of what a slot served, with the labels known at the day's closing."""
    state = deployed.state
    lo, hi = deployed.ground.day_rows(day)
    served = deployed.counter.slot(state.segments, state.artefacts, slot, lo, hi)
    return deployed.ground.day_mean(served, day, state.settle)
