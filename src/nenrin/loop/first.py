"""New code: its parameters are tuned, its twin is judged on rows it has not seen, its refit ships.

The twin is trained on what was closed h before the look and judged, with champion and anchor, on the h that
followed: h is 28 days, at most a third of the history. Tuning validates on the h before that. What ships is
the refit on all rows. The first version is new code that has no champion to be compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from nenrin.core.instants import DAY, NEVER
from nenrin.gates.comparison import compare
from nenrin.gates.evidence import CalibrationEvidence, Change, Evidence
from nenrin.gates.judge import judge
from nenrin.gates.verdict import Verdict
from nenrin.loop.deployed import Deployed
from nenrin.loop.evaluation import Judged
from nenrin.loop.evidence import gather
from nenrin.loop.fitting import enter, refit
from nenrin.loop.leaks import column_aucs
from nenrin.loop.mixture import blend_of
from nenrin.loop.ports import Fitted, Order, Step
from nenrin.loop.rollout import decide
from nenrin.loop.schedule import grid_look
from nenrin.loop.sharing import begin_shares
from nenrin.loop.sliced import compared_slices
from nenrin.loop.slots import together
from nenrin.loop.state import Artefact, Blend
from nenrin.stats.intervals import day_mean_interval

HOLD_OUT = 28 * DAY


def first_look(deployed: Deployed, at: int, step: Step) -> None:
    """Tune, judge the twin against the baseline, fit every recipe, deploy the first if admitted."""
    deployed.state.next_look = grid_look(deployed, deployed.state.next_look)
    code_look(deployed, None, at, step)


def code_look(deployed: Deployed, former: Deployed | None, at: int, step: Step) -> bool:
    """Judge the project's code by its twin, and decide its promotion if the gate admits it; whether it does.

    Args:
        deployed: the deployment by the new code; its slots begin anew.
        former: the same by the code that serves, on the row table of that code; None: nothing serves.
        at: the instant of the look.
        step: takes fits, verdict and events.
    """
    state = deployed.state
    state.rings += 1
    state.last_look = at
    if not deployed.trains or state.next_look == NEVER:  # the code before trained, or did not
        state.next_look, state.pulled = grid_look(deployed, at), NEVER
    tuned_from, judged_from = hold_out(deployed, at)
    before, params = state.fits, state.params
    state.params = deployed.trainer.tune(at, tuned_from, judged_from)
    twin, fit = _twin(deployed, judged_from, at)
    days = _days(deployed, twin, at)
    evidence = _evidence(deployed, former, twin, days)
    deployed.judged = _shown(deployed, twin, days)
    names = [recipe.name for recipe in deployed.declared.recipes]
    verdict = _judge(deployed, former, twin, evidence, at)
    slots: dict[str, str] = {}
    if verdict.admitted:
        state.fits = {}
        enter(deployed, twin, fit, step)  # until a refit is older, what its code said of days past
        fitted, flaws = refit(deployed, names, at, step)
        shipped = fitted[names[0]].version
        evidence = msgspec.structs.replace(evidence, flaws=flaws[names[0]])
        verdict = _judge(deployed, former, twin, evidence, at, shipped)
        slots = {name: fitted[name].version for name in names if not flaws[name]}
    else:
        step.fits.append((twin, fit))
    step.verdicts.append(verdict)
    ships = verdict.ships if verdict.admitted else ""
    if ships and (former is not None or deployed.mixes):
        state.anchor = ships
    if ships and deployed.mixes:
        begin_shares(deployed)
        ships = together(deployed, slots, at, step).version
    step.record(
        "look.taken",
        deployed.name,
        {
            "ring": state.rings,
            "trigger": "first" if former is None else "new code",
            "params": state.params,
            "chosen": names[0],
            "ships": ships or None,
        },
    )
    if not ships:
        state.fits, state.params = before, params
        return False
    state.probation = []
    decide(deployed, ships, at, canary=former is not None)
    return True


def hold_out(deployed: Deployed, at: int) -> tuple[int, int]:
    """Where tuning stops training, and where the twin does: beginnings of days."""
    ground = deployed.ground
    end = ground.cut.cutoff(at, deployed.state.settle)
    length = min(HOLD_OUT, (end - ground.start) // 3)
    judged_from = ground.day_start(max(0, ground.day_at(end - length)))
    tuned_from = ground.day_start(max(0, ground.day_at(judged_from - length)))
    return tuned_from, judged_from


def _twin(deployed: Deployed, cutoff: int, at: int) -> tuple[Artefact, Fitted]:
    """The first recipe's fit without the rows that it is judged on."""
    order = Order(
        recipe=deployed.declared.recipes[0], at=at, cutoff=cutoff, params=deployed.state.params
    )
    fit = deployed.trainer.fit([order])[0]
    return fit.artefact(order), fit


def _days(deployed: Deployed, twin: Artefact, at: int) -> range:
    """The closed days since the twin's cut-off."""
    ground = deployed.ground
    return range(ground.day_at(twin.cutoff), ground.cut.closed_days(at, deployed.state.settle))


def _evidence(
    deployed: Deployed, former: Deployed | None, twin: Artefact, days: Sequence[int]
) -> Evidence:
    """The twin's evidence; champion and anchor are scored on the row table of the code that serves.

    The champion's side is the loss of its recipes' artefacts in place day by day: each is out of sample.
    """
    change: Change = "code" if former else "first"
    found = gather(deployed, twin, days, champion=None, change=change)
    seen = deployed.ground.labels(0, deployed.ground.rows_before(twin.cutoff), twin.look)
    deployed.column_aucs = column_aucs(deployed.ground.table, seen)
    leak = max(deployed.column_aucs.values(), default=float("nan"))
    found = msgspec.structs.replace(found, leak=leak)
    if former is None:
        return found
    champion = blend_of(former.state, former.state.champion)
    anchor = former.artefact(former.state.anchor)
    mine = np.array([deployed.loss(twin, day) for day in days], dtype=np.float64)
    theirs = np.array([_former_loss(former, champion, day) for day in days], dtype=np.float64)
    oldest = np.array([_anchor_loss(former, anchor, day) for day in days], dtype=np.float64)
    return msgspec.structs.replace(
        found,
        champion=compare(mine - theirs),
        anchor=compare(mine - oldest),
        slices=compared_slices(deployed, former, twin, days),
        calibration=_beside(found, former, champion, days),
    )


def _beside(
    found: Evidence, former: Deployed, champion: Blend, days: Sequence[int]
) -> CalibrationEvidence | None:
    """The twin's bias with the champion's on the same days beside it."""
    if found.calibration is None:
        return None
    ground, settle = former.ground, former.state.settle
    biases = []
    for day in days:
        blend = former.in_place(champion, day) if day < ground.days else None
        if blend is not None:
            lo, hi = ground.day_rows(day)
            rest = ground.labels(lo, hi, ground.day_closing(day, settle))
            rest = rest - former.answers(blend, lo, hi)
            biases.append(float(np.mean(rest[np.isfinite(rest)])) if len(rest) else np.nan)
    bias = day_mean_interval(np.array(biases, dtype=np.float64)).mean if biases else 0.0
    return msgspec.structs.replace(found.calibration, champion=bias)


def _former_loss(former: Deployed, champion: Blend, day: int) -> float:
    blend = former.in_place(champion, day) if day < former.ground.days else None
    return np.nan if blend is None else former.blend_loss(blend, day)


def _anchor_loss(former: Deployed, anchor: Artefact, day: int) -> float:
    return former.loss(anchor, day) if day < former.ground.days else np.nan


def _judge(
    deployed: Deployed,
    former: Deployed | None,
    twin: Artefact,
    evidence: Evidence,
    at: int,
    ships: str = "",
) -> Verdict:
    against: dict[str, str] = {"baseline": "prior"}
    if former is not None:
        against |= {"champion": former.state.champion, "anchor": former.state.anchor}
    return judge(
        deployment=deployed.name,
        judged=twin.version,
        ships=ships,
        against=against,
        evidence=evidence,
        policy=deployed.policy,
        at=at,
    )


def _shown(deployed: Deployed, twin: Artefact, days: Sequence[int]) -> Judged | None:
    """The judged rows for people: labels, the twin's answers, the baseline's."""
    if not len(days):
        return None
    ground, settle = deployed.ground, deployed.state.settle
    lo, hi = ground.day_rows(days[0], days[-1] + 1)
    y = ground.labels(lo, hi, ground.day_closing(days[-1], settle))
    known = np.isfinite(y)
    if not known.any():
        return None
    prior = ground.prior(twin.cutoff, twin.look)
    held = (
        "held back from training"
        if deployed.trains
        else "with nothing trained: on rows that the file was fitted on, the figures flatter it"
    )
    facts: dict[str, Any] = {
        "y": y[known],
        "p": deployed.scores.of(twin, lo, hi)[known],
        "baseline": np.full(int(np.count_nonzero(known)), prior),
        "days": ground.days_of(lo, hi)[known],
        "how": (
            f"the last {len(days)} closed days, {ground.day_name(days[0])} to "
            f"{ground.day_name(days[-1])}, {held}"
        ),
    }
    return Judged(**facts)
