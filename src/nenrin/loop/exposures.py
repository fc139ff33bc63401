"""What an experiment has shown: exposures, whether the split is sound, and the difference of the versions.

Everything is read from exposures of the prediction log and from outcomes of closed days. Days and the keys
that were dealt are the units (:mod:`nenrin.stats.arms`), and the intervals hold at every look.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.instants import iso
from nenrin.serving.experiment import Experiment
from nenrin.stats.arms import Difference, difference
from nenrin.stats.cuped import adjusted
from nenrin.stats.power import cases_for_means, least_effect, power_of_means
from nenrin.stats.sample_ratio import log_evidence_mismatch

ALPHA = 0.05
BROKEN = 1_000.0
"""Evidence against the split from which on nothing is read."""
LEAST_DAYS = 7
"""Closed days, a week, before a difference is told."""
LAG = 5_000_000
"""Microseconds after a change of weights in which planes may still deal by the old ones: not counted."""


class Measured(msgspec.Struct, frozen=True):
    """Answers of a deployment and what came of them.

    Attributes:
        rows: ``unit``, ``version``, ``at`` (microseconds UTC), ``day`` (date of the question), ``closed``
            (whether that day is) and ``value`` (the outcome, null where there is none yet).
    """

    rows: pl.DataFrame


def since_start(experiment: Experiment, measured: Measured) -> pl.DataFrame:
    """The experiment's own rows, with ``arm`` (its place among the versions) and ``stretch``."""
    starts = np.array([each.start for each in experiment.stretches], dtype=np.int64)
    at = measured.rows["at"].to_numpy()
    stretch = np.searchsorted(starts, at, side="right") - 1
    settled = (stretch >= 0) & (at - starts[np.maximum(stretch, 0)] >= LAG)
    if experiment.ended:
        settled &= at < experiment.ended
    arms = {version: place for place, version in enumerate(experiment.versions)}
    rows = measured.rows.with_columns(
        stretch=pl.Series(stretch), arm=pl.col("version").replace_strict(arms, default=-1)
    )
    return rows.filter(pl.Series(settled) & (pl.col("arm") >= 0))


def first_exposures(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a unit, its first: ``unit``, ``version``, ``at``, ``arm``, ``stretch``."""
    first = rows.sort("at", maintain_order=True).unique("unit", keep="first", maintain_order=True)
    return first.select("unit", "version", "at", "arm", "stretch")


def analysed(experiment: Experiment, measured: Measured) -> dict[str, Any]:
    """Everything that can be said of an experiment now, as plain values."""
    rows = since_start(experiment, measured)
    first = first_exposures(rows)
    evidence = _mismatch(experiment, first)
    counts = _counts(first["arm"], len(experiment.versions))
    known = rows.filter(pl.col("closed") & pl.col("value").is_finite())
    told: dict[str, Any] = {
        "exposures": [
            {"version": version, "keys": count, "weight": weight}
            for version, count, weight in zip(
                experiment.versions, counts, experiment.stretches[-1].weights, strict=True
            )
        ],
        "split": {
            "evidence": round(min(math.exp(min(evidence, 700.0)), 1e12), 3),
            "needs": BROKEN,
            "sound": evidence < math.log(BROKEN),
            "moved": _movers(rows),
        },
        "days": known["day"].n_unique(),
        "of": experiment.days,
        "outcomes": known.height,
    }
    if not told["split"]["sound"]:
        said = "the split is broken: versions did not get the keys that their weights say; nothing is read"
        return {**told, "says": said, "differences": []}
    before = _before(experiment, measured)
    differences = [
        _compared(experiment, known, before, place) for place in range(1, len(experiment.versions))
    ]
    return {**told, "says": _sentence(differences), "differences": differences}


def planned(experiment: Experiment, measured: Measured) -> dict[str, Any] | None:
    """Outcomes that the smallest effect of interest needs, by how outcomes were before; None: not known."""
    values = measured.rows.filter(pl.col("value").is_finite())["value"].to_numpy()
    if experiment.effect is None or len(values) < 2:
        return None
    weights = experiment.stretches[-1].weights
    share = weights[1] / (weights[0] + weights[1])
    sd = float(np.std(values, ddof=1))
    needs = cases_for_means(experiment.effect, sd, share=share) if sd > 0 else 2
    a_day = len(values) / max(1, measured.rows["day"].n_unique())
    return {
        "effect": experiment.effect,
        "standard_deviation": sd,
        "outcomes_needed": needs,
        "outcomes_a_day": a_day,
        "days_needed": math.ceil(needs / a_day),
    }


def _counts(arm: pl.Series, arms: int) -> list[int]:
    counts: list[int] = np.bincount(arm.to_numpy(), minlength=arms).tolist()
    return counts


def _mismatch(experiment: Experiment, first: pl.DataFrame) -> float:
    """Evidences of stretches multiply: each has its own weights."""
    total = 0.0
    for place, stretch in enumerate(experiment.stretches):
        arms = first.filter(pl.col("stretch") == place)["arm"]
        shares = [weight / 100 for weight in stretch.weights]
        total += log_evidence_mismatch(_counts(arms, len(shares)), shares)
    return total


def _movers(rows: pl.DataFrame) -> int:
    """Keys that more than one version answered: weights have moved."""
    return int((rows.group_by("unit").agg(pl.col("arm").n_unique())["arm"] > 1).sum())


def _before(experiment: Experiment, measured: Measured) -> pl.DataFrame:
    """Each unit's mean outcome before the start: what CUPED takes out."""
    past = measured.rows.filter(
        (pl.col("at") < experiment.started) & pl.col("value").is_finite() & pl.col("closed")
    )
    units, places = np.unique(past["unit"].to_numpy(), return_inverse=True)
    counts = np.maximum(np.bincount(places, minlength=len(units)), 1)
    sums = np.bincount(places, past["value"].to_numpy(), minlength=len(units))
    return pl.DataFrame(
        {"unit": pl.Series(units, dtype=pl.String), "before": sums / counts},
        schema={"unit": pl.String, "before": pl.Float64},
    )


def _compared(
    experiment: Experiment, known: pl.DataFrame, before: pl.DataFrame, place: int
) -> dict[str, Any]:
    """One challenger against the champion; alpha is shared among the challengers."""
    pair = known.filter(pl.col("arm").is_in([0, place])).join(
        before, on="unit", how="left", maintain_order="left"
    )
    y = pair["value"].to_numpy().astype(np.float64)
    arm = (pair["arm"].to_numpy() == place).astype(np.int64)
    day = pair["day"].to_physical().to_numpy().astype(np.int64)
    _, unit = np.unique(pair["unit"].to_numpy(), return_inverse=True)
    covariate = pair["before"].to_numpy().astype(np.float64)
    y, slope = adjusted(y, covariate, day * 2 + arm)
    found = difference(y, arm, day, unit, ALPHA / (len(experiment.versions) - 1))
    told: dict[str, Any] = {
        "version": experiment.versions[place],
        "against": experiment.versions[0],
        "days": found.days,
        "says": _says(experiment, found),
        "difference": None,
    }
    if found.days < LEAST_DAYS:
        return told
    return told | {
        "difference": found.estimate,
        "low": _finite(found.low),
        "high": _finite(found.high),
        "standard_error": found.se,
        "cuped": {"slope": slope, "rows": int(np.isfinite(covariate).sum())} if slope else None,
        "power": _power(experiment, found.se),
    }


def _power(experiment: Experiment, se: float) -> dict[str, float] | None:
    if not se > 0:
        return None
    told = {"effect_seen_with_80_percent": least_effect(se)}
    if experiment.effect is not None:
        told["of_the_effect_asked_for"] = power_of_means(experiment.effect, se)
    return told


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _says(experiment: Experiment, found: Difference) -> str:
    if found.days < LEAST_DAYS:
        return f"not yet: {found.days} of {LEAST_DAYS} closed days with outcomes of both"
    if found.high < 0 or found.low > 0:
        return "better" if (found.high < 0) == experiment.lower else "worse"
    if found.days < experiment.days:
        return f"not yet: {found.days} of {experiment.days} days, and no difference so far"
    return "no difference found"


def _sentence(differences: list[dict[str, Any]]) -> str:
    return "; ".join(f"{each['version']}: {each['says']}" for each in differences)


def started(experiment: Experiment) -> dict[str, Any]:
    """An experiment's own facts, for people."""
    return {
        "strategy": experiment.strategy,
        "outcome": experiment.outcome or "the model's own loss",
        "better": "lower" if experiment.lower else "higher",
        "started": iso(experiment.started),
        "ended": iso(experiment.ended) if experiment.ended else None,
        "why": experiment.why or None,
        "changes_of_weight": len(experiment.stretches) - 1,
    }
