"""The watch over a promotion: paired losses of the promoted version and the one it replaced.

Both score the same requests, so the watch sees harm that a split of the traffic would need hundreds of
days to see. Means of closed blocks are bet on (:mod:`nenrin.stats.betting`); rows never are.
"""

from __future__ import annotations

import msgspec
import numpy as np

from nenrin.core.instants import iso
from nenrin.loop.deployed import Deployed
from nenrin.loop.ports import Step
from nenrin.loop.race import ANCHOR
from nenrin.loop.state import Artefact, Watch
from nenrin.stats.betting import Wealth, margin

LEAST_LABELS = 10


def open_watch(deployed: Deployed, subject: str, replaced: str, at: int, step: Step) -> None:
    """Begin to watch ``subject``, which is first served at ``at`` in the place of ``replaced``.

    A promotion ends the watch that is open. If that one leans towards harm, and what it compares with was
    set less than 14 days ago, the new watch goes on comparing with the same version: a refresh does not
    clear suspicion.
    """
    state = deployed.state
    before = state.watch
    ref, since = replaced, at
    if before is not None:
        suspicious = before.wealth.mean > 1
        if suspicious and at - before.ref_since < deployed.options.watch_for:
            ref, since = before.ref, before.ref_since
        close_watch(deployed, "replaced", step)
    if not deployed.options.watching or subject == ref:
        return
    cap = deployed.cap()
    watch = Watch(
        subject=subject,
        ref=ref,
        ref_since=since,
        opened=at,
        margin=margin(_usual_differences(deployed, subject, ref), cap),
        cap=cap,
        block=deployed.ground.block_at(at),
    )
    state.watch = watch
    body = {"ref": ref, "margin": watch.margin, "cap": cap, "ring": state.rings}
    step.record("watch.opened", subject, body)


def close_watch(deployed: Deployed, outcome: str, step: Step) -> None:
    """End the open watch: ``alarm``, ``replaced`` or ``over``."""
    watch = deployed.state.watch
    if watch is None:
        return
    body = {
        "ref": watch.ref,
        "outcome": outcome,
        "wealth": watch.wealth.mean,
        "blocks": watch.blocks,
        "opened": iso(watch.opened),
    }
    step.record("watch.closed", watch.subject, body)
    deployed.state.watch = None


def read_block(deployed: Deployed, block: int) -> bool:
    """Let the open watch read a block that has just closed; whether it alarms.

    A block with fewer than 10 labels waits and is read together with those after it.
    """
    watch = deployed.state.watch
    if watch is None or block < watch.block:
        return False
    first = watch.held if watch.held >= 0 else block
    lo, hi = deployed.ground.block_rows(first)[0], deployed.ground.block_rows(block)[1]
    closing = deployed.ground.closing(block, deployed.state.settle)
    subject, ref = deployed.artefact(watch.subject), deployed.artefact(watch.ref)
    mine = deployed.ground.losses(deployed.scores.of(subject, lo, hi), lo, hi, closing)
    theirs = deployed.ground.losses(deployed.scores.of(ref, lo, hi), lo, hi, closing)
    known = np.isfinite(mine) & np.isfinite(theirs)
    if np.count_nonzero(known) < LEAST_LABELS:
        deployed.state.watch = msgspec.structs.replace(watch, held=first)
        return False
    harm = float(np.mean(mine[known] - theirs[known]))
    wealth: Wealth = watch.wealth.bet(harm, watch.margin, watch.cap)
    deployed.state.watch = msgspec.structs.replace(
        watch, held=-1, blocks=watch.blocks + 1, wealth=wealth
    )
    return wealth.alarms


def _usual_differences(deployed: Deployed, subject: str, ref: str) -> np.ndarray:
    """Day means by which the subject's recipe usually differs from the replaced one's fit before.

    Over the last 28 closed days: the artefact in place in the subject's recipe minus the newest one before
    it in the replaced version's recipe.
    """
    state = deployed.state
    mine, theirs = deployed.artefact(subject).recipe, _recipe_of(deployed, ref)
    differences = []
    for day in deployed.closed_days(28):
        start = deployed.ground.day_start(day)
        now = state.in_place(mine, start)
        before: Artefact | None = None
        if now is not None:
            before = (
                deployed.artefact(state.anchor)
                if theirs == ANCHOR
                else state.in_place(theirs, start, before=now.look)
            )
        differences.append(
            np.nan
            if now is None or before is None or now.version == before.version
            else deployed.loss(now, day) - deployed.loss(before, day)
        )
    return np.array(differences, dtype=np.float64)


def _recipe_of(deployed: Deployed, version: str) -> str:
    return ANCHOR if version == deployed.state.anchor else deployed.artefact(version).recipe
