"""Evidence for the gate: a twin's losses against champion, anchor and baseline on the same closed days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nenrin.gates.comparison import Comparison, compare
from nenrin.gates.evidence import CalibrationEvidence, Change, Evidence
from nenrin.gates.sanity import Flaw, check_predictions, check_twin
from nenrin.loop.deployed import Deployed
from nenrin.loop.state import Artefact
from nenrin.stats.intervals import day_mean_interval
from nenrin.stats.metrics import METRICS

JUDGED_DAYS = 60


def against(
    deployed: Deployed, judged: Artefact, other: Artefact, days: Iterable[int]
) -> Comparison:
    """A paired comparison on the days that count for both; ``none`` where the two are one."""
    if judged.version == other.version:
        return compare(None)
    gaps = [deployed.loss(judged, day) - deployed.loss(other, day) for day in days]
    return compare(np.array(gaps, dtype=np.float64))


def against_baseline(deployed: Deployed, judged: Artefact, days: Iterable[int]) -> Comparison:
    """Against the declared baseline, ``prior``: the mean label of the rows before the twin's cut-off."""
    prior = deployed.ground.prior(judged.cutoff, judged.look)
    gaps = [
        deployed.loss(judged, day) - deployed.ground.day_constant(prior, day, deployed.state.settle)
        for day in days
    ]
    return compare(np.array(gaps, dtype=np.float64))


def gather(
    deployed: Deployed,
    judged: Artefact,
    days: Sequence[int],
    *,
    champion: Artefact | None,
    change: Change,
    probation: bool = False,
    flaws: tuple[Flaw, ...] = (),
) -> Evidence:
    """Everything the gate may ask about ``judged``, from the closed ``days``.

    ``champion`` is what it would replace: the version that serves, or a mixture's slot.
    """
    state = deployed.state
    none = compare(None)
    anchor = deployed.artefact(state.anchor) if state.anchor else None
    counted = [day for day in days if deployed.ground.day_start(day) >= judged.cutoff]
    return Evidence(
        change=change,
        champion=against(deployed, judged, champion, counted) if champion else none,
        anchor=against(deployed, judged, anchor, counted) if anchor else none,
        baseline=against_baseline(deployed, judged, counted),
        probation=probation,
        slack=deployed.cap() / 20 if state.champion else 0.0,
        **_measured(deployed, judged, counted),
        flaws=flaws,
    )


def flaws_of(deployed: Deployed, fit: Artefact, twin: Artefact | None) -> tuple[Flaw, ...]:
    """What is wrong with a fit on rows that it has seen: such rows may refuse it, never admit it."""
    if twin is None:
        return ()
    ground, settle = deployed.ground, deployed.state.settle
    lo, hi = ground.rows_between(twin.cutoff, fit.cutoff)
    p = deployed.scores.of(fit, lo, hi)
    y = ground.labels(0, ground.rows_before(fit.cutoff), fit.look)
    found = check_predictions(p, "binary" if deployed.task == "binary" else "regression", y)
    if found:
        return found
    gaps = [
        deployed.scores.seen_loss(fit, day, settle) - deployed.scores.seen_loss(twin, day, settle)
        for day in deployed.closed_days(JUDGED_DAYS)
        if ground.day_start(day) >= twin.cutoff
    ]
    return check_twin(np.array(gaps, dtype=np.float64))


def _measured(deployed: Deployed, judged: Artefact, days: Sequence[int]) -> dict[str, Any]:
    """Rows, metrics and calibration of the judged version over whole days, with their closing's labels."""
    ground, settle = deployed.ground, deployed.state.settle
    if not days:
        return {}
    ys, ps, biases = [], [], []
    for day in days:
        lo, hi = ground.day_rows(day)
        y = ground.labels(lo, hi, ground.day_closing(day, settle))
        known = np.isfinite(y)
        p = deployed.answers_of(judged, lo, hi)[known]
        ys.append(y[known])
        ps.append(p)
        biases.append(float(np.mean(y[known] - p)) if known.any() else np.nan)
    y, p = np.concatenate(ys), np.concatenate(ps)
    bias, se = day_mean_interval(np.array(biases, dtype=np.float64))
    names = deployed.metrics
    return {
        "rows": len(y),
        "metrics": {"judged": {name: METRICS[name](y, p) for name in names}} if len(y) else {},
        "calibration": CalibrationEvidence(bias=bias, se=se, floor=deployed.bias_floor),
    }
