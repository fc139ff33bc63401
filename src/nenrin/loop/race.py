"""The race: which recipe the next refresh is fitted by, elected on the last 28 closed days."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from nenrin.gates.comparison import Comparison, compare

RACE_DAYS = 28
RACE_LEAST = 7
ANCHOR = "anchor"


class Race(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a race.

    Attributes:
        best: the recipe with the least mean loss.
        elected: ``best`` if its lead over the current recipe is significant, else the current one.
        means: mean loss of every recipe over the days that count for all; empty when these are too few.
        lead: best against current, days as units.
    """

    best: str
    elected: str
    means: dict[str, float]
    lead: Comparison


def race(records: Mapping[str, np.ndarray], current: str) -> Race:
    """Elect a recipe.

    Args:
        records: recipe (and ``anchor``) to its mean loss on each closed day, float64 of shape (days,),
            NaN where it has none; all of one length, oldest first.
        current: the recipe of the artefact served, or ``anchor``.

    The current recipe stays unless another one's day-paired lead is significant at one-sided 5 %: choosing
    the last weeks' winner at once chases noise.
    """
    recent = np.stack([losses[-RACE_DAYS:] for losses in records.values()])
    together = np.all(np.isfinite(recent), axis=0)
    if np.count_nonzero(together) < RACE_LEAST:
        return Race(best=current, elected=current, means={}, lead=compare(None))
    means = {
        name: float(np.mean(losses[together])) for name, losses in zip(records, recent, strict=True)
    }
    best = min(means, key=lambda name: (means[name], name != current, name))
    if best == current:
        return Race(best=best, elected=current, means=means, lead=compare(None))
    paired = records[best][-RACE_DAYS:] - records[current][-RACE_DAYS:]
    lead = compare(np.where(together, paired, np.nan))
    elected = best if lead.verdict == "better" else current
    return Race(best=best, elected=elected, means=means, lead=lead)
