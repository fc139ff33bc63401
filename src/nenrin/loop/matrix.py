"""The matrix of a backtest: what every fit of the loop would have lost in every week, and who served.

The evaluation matrix and the composite model's path of Modyn (Boether et al., SIGMOD 2025): a row is a fit, a
column a week, and the path through it what was served.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nenrin.core.instants import DAY, iso
from nenrin.loop.deployed import Deployed
from nenrin.loop.report import Scored
from nenrin.loop.served import blend_in
from nenrin.loop.state import Artefact

WEEK = 7  # days


def matrix(deployed: Deployed, scored: Scored) -> dict[str, Any]:
    """Mean loss of each fit in each week of the window, by the labels as they are at the end.

    Returns:
        ``weeks``: the first day of each; ``rows``: labelled rows of each; ``fits``, oldest first:
        ``version``, ``recipe``, ``look``, ``losses`` (None where a fit had seen a part of the week, or
        nothing was labelled) and ``served``: its part of the answers of each week.
    """
    state, first = deployed.state, int(scored.days[0])
    week = (scored.day - first) // WEEK
    weeks = range(int(week[-1]) + 1)
    fits = [a for a in state.artefacts.values() if not a.members]
    served = _served(deployed, scored, week, len(weeks))
    return {
        "weeks": [deployed.ground.day_name(first + number * WEEK) for number in weeks],
        "rows": [int(np.count_nonzero(scored.known & (week == number))) for number in weeks],
        "fits": [
            {
                "version": fit.version,
                "recipe": fit.recipe,
                "look": iso(fit.look),
                "bad": fit.version in state.bad,
                "losses": [_loss(deployed, scored, fit, week, number) for number in weeks],
                "served": served.get(fit.version, np.zeros(len(weeks))).tolist(),
            }
            for fit in sorted(fits, key=lambda each: (each.look, each.recipe))
        ],
    }


def _loss(
    deployed: Deployed, scored: Scored, fit: Artefact, week: np.ndarray, number: int
) -> float | None:
    rows = np.flatnonzero(week == number)
    if not len(rows) or fit.cutoff > int(deployed.ground.table.asked[scored.lo + rows[0]]):
        return None
    lo, hi = scored.lo + int(rows[0]), scored.lo + int(rows[-1]) + 1
    known = scored.known[rows]
    if not known.any():
        return None
    answers = deployed.scores.of(fit, lo, hi)
    return float(np.mean(scored.row_loss(scored.y[rows][known], answers[known])))


def _served(
    deployed: Deployed, scored: Scored, week: np.ndarray, weeks: int
) -> dict[str, np.ndarray]:
    """Each fit's part of the answers of each week, mixtures by the shares of the time."""
    state = deployed.state
    asked = deployed.ground.table.asked[scored.lo : scored.hi]
    total = np.bincount(week, minlength=weeks).clip(min=1)
    starts = [segment.start for segment in state.segments]
    found: dict[str, np.ndarray] = {}
    for segment, end in zip(state.segments, [*starts[1:], int(asked[-1]) + DAY], strict=True):
        lo, hi = np.searchsorted(asked, [segment.start, end])
        rows = np.bincount(week[lo:hi], minlength=weeks) / total
        for version, weight in segment.variants:
            for member in blend_in(segment, version):
                part = rows * (member.share * weight / 100)
                found[member.version] = found.get(member.version, np.zeros(weeks)) + part
    return found
