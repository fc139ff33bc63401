"""The watch over a promotion: paired losses of the promoted version and the one it replaced.

Both score the same requests, so the watch sees harm that a split of the traffic would need hundreds of
days to see. Mixtures are compared at the shares of the promotion, before any recalibration. Means of closed
blocks are bet on (:mod:`nenrin.stats.betting`); rows never are.
"""

from __future__ import annotations

import msgspec
import numpy as np

from nenrin.core.instants import iso
from nenrin.loop.deployed import Deployed
from nenrin.loop.mixture import blend_of, without_bad
from nenrin.loop.ports import Step
from nenrin.loop.race import ANCHOR
from nenrin.loop.state import Blend, State, Watch
from nenrin.stats.betting import margin

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
        close_watch(state, "replaced", step)
    if not deployed.options.watching or subject == ref:
        return
    cap = deployed.cap()
    mine, theirs = blend_of(state, subject), _replaced_by(deployed, ref)
    watch = Watch(
        subject=subject,
        ref=ref,
        ref_since=since,
        opened=at,
        margin=margin(_usual_differences(deployed, mine, theirs), cap),
        cap=cap,
        mine=mine,
        theirs=theirs,
        block=deployed.ground.block_at(at),
    )
    state.watch = watch
    body = {"ref": ref, "margin": watch.margin, "cap": cap, "ring": state.rings}
    step.record("watch.opened", subject, body)


def close_watch(state: State, outcome: str, step: Step) -> None:
    """End the open watch: ``alarm``, ``unsafe``, ``replaced`` or ``over``."""
    watch = state.watch
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
    state.watch = None


def read_block(deployed: Deployed, block: int) -> bool:
    """Let the open watch read a block that has just closed; whether it alarms.

    A block with fewer than 10 labels waits and is read together with those after it.
    """
    watch = deployed.state.watch
    if watch is None or block < watch.block:
        return False
    first = watch.held if watch.held >= 0 else block
    rows = differences(deployed, watch, first, block)
    if len(rows) < LEAST_LABELS:
        deployed.state.watch = msgspec.structs.replace(watch, held=first)
        return False
    read = watch.read(float(np.mean(rows)))
    deployed.state.watch = read
    return read.wealth.alarms


def differences(deployed: Deployed, watch: Watch, first: int, last: int) -> np.ndarray:
    """Losses of the subject minus those of what it replaced, labelled rows of blocks ``first`` to ``last``.

    Labels are those that were known when ``last`` closed; float64, in the order in which the rows were asked.
    """
    ground = deployed.ground
    lo, hi = ground.block_rows(first)[0], ground.block_rows(last)[1]
    known_by = ground.closing(last, deployed.state.settle)
    mine, theirs = (
        ground.losses(deployed.answers(blend, lo, hi), lo, hi, known_by)
        for blend in _compared(deployed, watch)
    )
    known = np.isfinite(mine) & np.isfinite(theirs)
    rows: np.ndarray = mine[known] - theirs[known]
    return rows


def _compared(deployed: Deployed, watch: Watch) -> tuple[Blend, Blend]:
    """Who answers for the subject and for what it replaced, without what was marked bad meanwhile."""
    state = deployed.state
    mine = watch.mine or blend_of(state, watch.subject)
    theirs = watch.theirs or blend_of(state, watch.ref)
    return without_bad(state, mine), without_bad(state, theirs)


def _usual_differences(deployed: Deployed, mine: Blend, theirs: Blend) -> np.ndarray:
    """Day means by which what answers for the subject usually differs from what it replaced.

    Over the last 28 closed days: the fits in place in the subject's slots minus the newest before them in the
    slots of what it replaced, at the shares of now.
    """
    differences = []
    for day in deployed.closed_days(28):
        now = deployed.in_place(mine, day)
        newest = max((deployed.artefact(m.version).look for m in now), default=0) if now else 0
        before = deployed.in_place(theirs, day, before=newest) if now else None
        differences.append(
            np.nan
            if now is None or before is None or _versions(now) == _versions(before)
            else deployed.blend_loss(now, day) - deployed.blend_loss(before, day)
        )
    return np.array(differences, dtype=np.float64)


def _versions(blend: Blend) -> list[str]:
    return [member.version for member in blend]


def _replaced_by(deployed: Deployed, ref: str) -> Blend:
    """Who answers for what was replaced; the anchor that serves alone is in its own slot."""
    blend = blend_of(deployed.state, ref)
    if ref != deployed.state.anchor:
        return blend
    return (msgspec.structs.replace(blend[0], slot=ANCHOR),)
