"""What people are told of a live deployment: a turn, the loop's memory, where the calendar stands."""

from __future__ import annotations

from typing import Any

import msgspec

from nenrin.core.instants import NEVER, iso
from nenrin.gates.leak import LEAKS
from nenrin.loop.alarming import told_alarms
from nenrin.loop.mixture import blend_of
from nenrin.loop.ports import Prepared, Step
from nenrin.loop.state import Blend, State


def warnings(prepared: Prepared) -> list[str]:
    """What makes figures look better than they will be, and what newer data is not answered by."""
    large = prepared.served.unanswered
    stays = (
        [f"requests are answered by the features of before: {large}; {large.hint}"] if large else []
    )
    return [*stays, *_one_instant(prepared)]


def _one_instant(prepared: Prepared) -> list[str]:
    table = prepared.table
    labelled = table.answered < NEVER
    late = table.answered[labelled] > table.asked[labelled]
    if not prepared.timed or late.any():
        return []
    return [
        f"label and features of {prepared.rows} share an instant, so nothing shows that the features were "
        "there before the label; if it came later, say when (known=) or give it a dataset of its own"
    ]


def told_turn(
    steps: list[Step], evaluation: dict[str, Any] | None, aucs: dict[str, float]
) -> dict[str, Any]:
    """What a turn did, for people."""
    verdicts = [verdict for step in steps for verdict in step.verdicts]
    return {
        "steps": [line.kind for step in steps for line in step.lines],
        "verdict": msgspec.to_builtins(verdicts[-1]) if verdicts else None,
        "evaluation": evaluation,
        "column_aucs": aucs,
        "leaking": [name for name, auc in aucs.items() if auc >= LEAKS],
    }


def told_state(state: State) -> dict[str, Any]:
    """The loop's memory, for people."""
    watch = state.watch
    return {
        "recipe": state.artefacts[state.champion].recipe if state.champion else None,
        "members": [msgspec.to_builtins(member) for member in _members(state)],
        "recalibration": msgspec.to_builtins(state.recalibration),
        "next_look": _when(min(state.next_look, state.pulled)),
        "probation": state.probation,
        **told_alarms(state),
        "watch": {
            "subject": watch.subject,
            "ref": watch.ref,
            "evidence": watch.wealth.mean,
            "blocks": watch.blocks,
        }
        if watch
        else None,
    }


def canary_of(state: State) -> str | None:
    """The version that goes out beside the champion, or is about to."""
    if state.pending is not None and state.pending.stages[0] < 100:
        return state.pending.version
    variants = state.segments[-1].variants if state.segments else ()
    return variants[-1][0] if len(variants) > 1 else None


def _members(state: State) -> Blend:
    """Who answers with which share, where a mixture serves."""
    served = state.artefacts[state.champion].members if state.champion else ()
    return blend_of(state, state.champion) if served else ()


def _when(instant: int) -> str | None:
    return None if instant == NEVER else iso(instant)


def calendar_words(stands: int | None) -> str:
    """Where an environment's calendar stands, for people."""
    if stands is None:
        return "goes with this machine's"
    return "stands at the end of the data until new data moves it"
