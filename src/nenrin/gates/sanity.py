"""Sanity of a fit: what can be seen without rows that it was not trained on.

These checks look at the training rows. They may refuse a fit, they never let one in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np

from nenrin.core.figures import figure
from nenrin.gates.comparison import compare

WIDTHS = 10.0


class Flaw(msgspec.Struct, frozen=True, kw_only=True):
    """Something that makes a fit unfit to serve, and a sentence about it."""

    kind: Literal["schema", "nan", "range", "twin"]
    text: str


def check_schema(expected: Mapping[str, str], found: Mapping[str, str]) -> tuple[Flaw, ...]:
    """Compare the columns (name to type) that the artefact reads with those that rows have."""
    flaws = []
    for name in sorted({*expected, *found}):
        wanted, given = expected.get(name), found.get(name)
        if wanted != given:
            text = f"column {name!r} is {given or 'absent'}, the artefact reads {wanted or 'none'}"
            flaws.append(Flaw(kind="schema", text=text))
    return tuple(flaws)


def check_predictions(
    p: np.ndarray, task: Literal["binary", "regression"], y: np.ndarray | None = None
) -> tuple[Flaw, ...]:
    """Look for predictions that nothing may answer.

    Args:
        p: predictions of the fit, float64 of shape (rows,).
        task: probabilities lie in [0, 1]; a regression's predictions near the labels.
        y: training labels of a regression: ten times their own width beyond them is out of range.
    """
    finite = np.isfinite(p)
    broken = int(np.count_nonzero(~finite))
    if broken:
        text = f"{broken:,} of {len(p):,} predictions are not finite numbers"
        return (Flaw(kind="nan", text=text),)
    low, high = (0.0, 1.0) if task == "binary" else _around(y)
    outside = int(np.count_nonzero((p < low) | (p > high)))
    if outside:
        text = f"{outside:,} of {len(p):,} predictions are outside [{low:g}, {high:g}]"
        return (Flaw(kind="range", text=text),)
    return ()


def check_twin(e: np.ndarray | None) -> tuple[Flaw, ...]:
    """Refuse a fit that is worse than its twin on rows that it was trained on and the twin was not.

    Args:
        e: day means of (loss of the fit - loss of its twin) on the closed days since the twin's
            cut-off; None where it has no twin.
    """
    found = compare(e)
    if found.verdict != "worse":
        return ()
    text = f"it loses {figure(found.mean)} more than its twin on {found.days} days that it was trained on"
    return (Flaw(kind="twin", text=text),)


def _around(y: np.ndarray | None) -> tuple[float, float]:
    known = np.empty(0) if y is None else y[np.isfinite(y)]
    if len(known) == 0:
        return float("-inf"), float("inf")
    low, high = float(known.min()), float(known.max())
    beyond = WIDTHS * (high - low)
    return low - beyond, high + beyond
