"""The loop where rows have no time: cross-validation by key, and a refresh when enough labels have come.

All instants are those of the loads, so nothing can be replayed or watched by the day. Rows are taken to be
independent, and every report says so. A refresh starts at 10 % new labels.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from nenrin.core.instants import NEVER
from nenrin.core.store import ContentStore
from nenrin.gates.comparison import Comparison, compare
from nenrin.gates.evidence import Change, Evidence
from nenrin.gates.judge import judge
from nenrin.loop.evaluation import Judged, evaluate
from nenrin.loop.leaks import column_aucs
from nenrin.loop.ports import Fitted, Order, Prepared, Step
from nenrin.loop.state import Artefact, Segment, State
from nenrin.loop.unchanged import fits_the_same
from nenrin.serving.router import key_hashes
from nenrin.stats.metrics import METRICS
from nenrin.training.table import FOLDS

ENOUGH_NEW = 0.1
NOTHING_TO_TRAIN = "nothing is trained: the file serves until another takes its place"
HOW = "5 folds by key; rows are taken to be independent"
HOW_BROUGHT = (
    "every row, with nothing trained: on rows that the file was fitted on, the figures flatter it"
)


class Turned:
    """What a turn decided: the step to be written, the state after it, and what people are shown."""

    def __init__(
        self,
        step: Step,
        state: State,
        evaluation: dict[str, Any],
        column_aucs: dict[str, float],
    ) -> None:
        self.step = step
        self.state = state
        self.evaluation = evaluation
        self.column_aucs = column_aucs


def turn(prepared: Prepared, state: State | None, now: int, answers: ContentStore) -> Turned | None:
    """Train, judge and serve: the first version, new code, or a refresh by enough new labels.

    Returns:
        None where there is nothing to do.
    """
    change, labelled = change_due(prepared, state, now)
    if change is None:
        return None
    state = state or State(settle=0, next_block=0, next_day=0, next_look=NEVER)
    step = Step(at=now)
    before = state.params
    if change != "refresh":
        state.params = _tuned(prepared, now)
    order = Order(recipe=prepared.declared.recipes[0], at=now, cutoff=now + 1, params=state.params)
    held_out, baseline = _cross_validated(prepared, order, now)
    fit = prepared.trainer.fit([order])[0]
    artefact = fit.artefact(order)
    y = prepared.table.labels_at(now)
    aucs = column_aucs(prepared.table, y)
    evidence = _evidence(prepared, state, change, artefact, y, held_out, baseline, aucs, answers)
    verdict = judge(
        deployment=prepared.declared.name,
        judged=artefact.version,
        ships=artefact.version,
        against={"champion": state.champion, "baseline": "prior"}
        if state.champion
        else {"baseline": "prior"},
        evidence=evidence,
        policy=prepared.policy,
        at=now,
    )
    step.verdicts.append(verdict)
    _enter(state, artefact, fit, step)
    state.held_out = {**state.held_out, artefact.version: answers.put(_kept(prepared, held_out))}
    state.rings += 1
    state.last_look, state.table = now, prepared.table_digest
    state.labels, state.now = labelled, now
    body = {
        "ring": state.rings,
        "trigger": "new labels" if change == "refresh" else change,
        "params": state.params,
        "labels": labelled,
        "chosen": order.recipe.name,
        "ships": artefact.version if verdict.admitted else None,
    }
    step.record("look.taken", prepared.declared.name, body)
    if verdict.admitted:
        _serve(state, artefact, change, step)
        state.code = prepared.project
    elif change == "code":
        state.refused, state.params = prepared.project, before
    known, how = np.isfinite(y), HOW if prepared.trains else HOW_BROUGHT
    judged = Judged(y=y[known], p=held_out[known], baseline=baseline[known], days=None, how=how)
    evaluation = evaluate(judged, prepared.task.kind, prepared.task.metric)
    return Turned(step, state, evaluation, aucs)


def change_due(prepared: Prepared, state: State | None, now: int) -> tuple[Change | None, int]:
    """What :func:`turn` would do, and how many rows have labels."""
    labelled = _labelled(prepared, now)
    return _change(prepared, state, labelled, now), labelled


def waits_for(prepared: Prepared, state: State, now: int) -> str:
    """What starts the next refresh, for people."""
    if not prepared.trains:
        return NOTHING_TO_TRAIN
    enough = math.ceil(ENOUGH_NEW * state.labels)
    new = _labelled(prepared, now) - state.labels
    return (
        f"a refresh starts by itself at {enough:,} new labels; {max(new, 0):,} came since the last"
    )


def _labelled(prepared: Prepared, now: int) -> int:
    return int(np.count_nonzero(np.isfinite(prepared.table.labels_at(now))))


def _change(prepared: Prepared, state: State | None, labelled: int, now: int) -> Change | None:
    """What there is to do: nothing yet served, code that fits another model, or enough new labels."""
    if state is None or not state.champion:
        return "first"
    if prepared.project not in (state.code, state.refused):
        params = _tuned(prepared, now)
        rows = len(prepared.table)
        if not fits_the_same(prepared.trainer, prepared.declared, state, params, rows):
            return "code"
    if not prepared.trains:
        return None
    return "refresh" if labelled - state.labels >= ENOUGH_NEW * state.labels else None


def _tuned(prepared: Prepared, now: int) -> dict[str, Any]:
    return prepared.trainer.tune(now, None, now + 1)


def _cross_validated(prepared: Prepared, order: Order, now: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers for every row by a fit that had not seen its fold, and the baseline's, float64 (rows,)."""
    table, trainer = prepared.table, prepared.trainer
    n = len(table)
    p, prior = np.full(n, np.nan), np.full(n, np.nan)
    y = table.labels_at(now)
    orders = [msgspec.structs.replace(order, without_folds=(fold,)) for fold in range(FOLDS)]
    for fold, fit in enumerate(trainer.fit(orders)):
        held = table.fold == fold
        if held.any():
            p[held] = trainer.scores(fit.model, [(0, n)])[0][held]
            others = y[~held & np.isfinite(y)]
            prior[held] = float(np.mean(others)) if len(others) else np.nan
    return p, prior


def _evidence(
    prepared: Prepared,
    state: State,
    change: Change,
    artefact: Artefact,
    y: np.ndarray,
    held_out: np.ndarray,
    baseline: np.ndarray,
    aucs: dict[str, float],
    answers: ContentStore,
) -> Evidence:
    loss, known = prepared.task.row_loss, np.isfinite(y)
    gap = loss(y[known], held_out[known]) - loss(y[known], baseline[known])
    return Evidence(
        change=change,
        champion=_against_champion(prepared, state, y, held_out, answers),
        baseline=compare(gap, unit="row"),
        probation=artefact.recipe in state.probation,
        rows=int(np.count_nonzero(known)),
        leak=max(aucs.values(), default=np.nan),
        metrics={
            "judged": {
                name: METRICS[name](y[known], held_out[known])
                for name in dict.fromkeys((prepared.task.metric, *_usual(prepared)))
            }
        },
    )


def _usual(prepared: Prepared) -> tuple[str, ...]:
    return ("log_loss", "roc_auc") if prepared.task.kind == "binary" else ("rmse", "mae")


def kept_evidence(
    prepared: Prepared, state: State, artefact: Artefact, now: int, answers: ContentStore
) -> Evidence:
    """What the answers that were kept of an archived version say today: each row unseen by its fold's fit."""
    y = prepared.table.labels_at(now)
    held_out = _held_out(prepared, state, artefact.version, answers)
    prior = np.full(len(y), np.mean(y[np.isfinite(y)]))
    y = np.where(np.isfinite(held_out), y, np.nan)
    return _evidence(prepared, state, "promote", artefact, y, held_out, prior, {}, answers)


def _against_champion(
    prepared: Prepared, state: State, y: np.ndarray, held_out: np.ndarray, answers: ContentStore
) -> Comparison:
    """Against the champion's own cross-validated answers for the rows that it had, each unseen by both."""
    theirs = _held_out(prepared, state, state.champion, answers)
    rows = np.isfinite(y) & np.isfinite(theirs)
    if not rows.any():
        return compare(None)
    loss = prepared.task.row_loss
    return compare(loss(y[rows], held_out[rows]) - loss(y[rows], theirs[rows]), unit="row")


def _held_out(prepared: Prepared, state: State, version: str, answers: ContentStore) -> np.ndarray:
    """A version's kept answers, float64 (rows,), NaN for rows that it did not have.

    A load may put new rows between old ones, so rows are paired by key.
    """
    kept = state.held_out.get(version)
    if kept is None:
        return np.full(len(prepared.table), np.nan)
    both = np.frombuffer(answers.get(kept), dtype=np.uint64).reshape(2, -1)
    order = np.argsort(both[0], kind="stable")
    keys, found = both[0][order], both[1][order].view(np.float64)
    mine = key_hashes(prepared.table.keys)
    place = np.minimum(np.searchsorted(keys, mine), len(keys) - 1)
    return np.where(keys[place] == mine, found[place], np.nan)


def _kept(prepared: Prepared, p: np.ndarray) -> bytes:
    """Answers beside the hashes of their rows' keys, so that later ones can be paired with them."""
    return np.stack([key_hashes(prepared.table.keys), p.view(np.uint64)]).tobytes()


def _enter(state: State, artefact: Artefact, fit: Fitted, step: Step) -> None:
    state.artefacts = {**state.artefacts, artefact.version: artefact}
    versions = [v for v in state.fits.get(artefact.recipe, []) if v != artefact.version]
    state.fits = {**state.fits, artefact.recipe: [*versions, artefact.version]}
    step.fits.append((artefact, fit))


def _serve(state: State, artefact: Artefact, change: Change, step: Step) -> None:
    """Serve at once: without days there is nothing to watch a canary by."""
    segment = Segment(step.at, ((artefact.version, 100),))
    state.champion = artefact.version
    state.anchor = artefact.version if change != "refresh" else state.anchor
    state.probation = [name for name in state.probation if name != artefact.recipe]
    state.segments = [*state.segments, segment]
    step.route, step.why = segment, f"{change}: the gate admitted it"
