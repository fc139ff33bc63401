"""New code slice by slice: whether a twin that is no worse on the whole hurts some part of the rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nenrin.gates.slices import SliceColumn, SliceResult, compare_slices, ranges
from nenrin.loop.deployed import Deployed
from nenrin.loop.mixture import blend_of
from nenrin.loop.state import Artefact, Blend
from nenrin.training.columns import FeatureColumn


def compared_slices(
    deployed: Deployed, former: Deployed, twin: Artefact, days: Sequence[int]
) -> tuple[SliceResult, ...]:
    """The twin's losses against those of the champion's recipes, in the slices of every feature.

    Days whose rows are not the same in both row tables are left out.
    """
    champion = blend_of(former.state, former.state.champion)
    gaps, rows, numbers = [], [], []
    for day in days:
        lo, hi = deployed.ground.day_rows(day)
        theirs = _former_answers(deployed, former, champion, day)
        if theirs is None:
            continue
        closing = deployed.ground.day_closing(day, deployed.state.settle)
        mine = deployed.scores.of(twin, lo, hi)
        gaps.append(
            deployed.ground.losses(mine, lo, hi, closing)
            - deployed.ground.losses(theirs, lo, hi, closing)
        )
        rows.append(np.arange(lo, hi))
        numbers.append(np.full(hi - lo, day))
    if not gaps:
        return ()
    where = np.concatenate(rows)
    columns = {c.name: _slices(c.take(where)) for c in deployed.ground.table.columns}
    floor = deployed.cap() / 5
    return compare_slices(columns, np.concatenate(numbers), np.concatenate(gaps), floor=floor)


def _former_answers(
    deployed: Deployed, former: Deployed, champion: Blend, day: int
) -> np.ndarray | None:
    """Answers of the champion's recipes for a day's rows; None where the row tables differ there."""
    if day >= former.ground.days:
        return None
    lo, hi = former.ground.day_rows(day)
    here = slice(*deployed.ground.day_rows(day))
    blend = former.in_place(champion, day)
    same = np.array_equal(former.counter.hashes[lo:hi], deployed.counter.hashes[here])
    return former.answers(blend, lo, hi) if blend is not None and same else None


def _slices(column: FeatureColumn) -> SliceColumn:
    if column.kind == "string":
        return SliceColumn(column.values, column.vocabulary)
    return ranges(column.numbers())
