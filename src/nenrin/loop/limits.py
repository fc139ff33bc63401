"""What a deployment's labels and rows keep the loop from doing, said before somebody relies on it."""

from __future__ import annotations

import numpy as np

from nenrin.core.instants import DAY, NEVER, spell
from nenrin.loop.declare import DeploymentSpec
from nenrin.loop.watching import LEAST_LABELS
from nenrin.training.blocks import BLOCK
from nenrin.training.table import RowTable

LATE = 4 * DAY
LEAST_BLOCKS = (
    7  # wagers that the watch needs at least to reach its threshold, at the smallest margin
)


def limits(declared: DeploymentSpec, table: RowTable, settle: int) -> list[str]:
    """Sentences, none where nothing stands in the way.

    Args:
        declared: the deployment.
        table: its rows.
        settle: age at which labels count as complete, microseconds.
    """
    period = declared.refresh.period
    said = []
    if settle > LATE:
        said.append(
            f"Labels settle in {spell(settle)}: between two looks neither twins nor the watch can act; a "
            "refresh stands on data tests, the sanity of its fit and the race."
        )
    blocks = _blocks(table, period)
    if blocks < LEAST_BLOCKS:
        said.append(
            f"About {blocks:.0f} blocks with {LEAST_LABELS} labels close between two looks; the watch needs "
            f"{LEAST_BLOCKS} at least, so it can hardly roll a refresh back before the next one."
        )
    return said


def _blocks(table: RowTable, period: int) -> float:
    """Blocks with enough labels in one refresh period, on average."""
    asked = table.asked[table.answered < NEVER]
    if not len(asked):
        return 0.0
    days = max(1.0, float(asked[-1] - asked[0]) / DAY)
    busy = len(np.unique(asked // BLOCK)) / days
    return min(busy, len(asked) / days / LEAST_LABELS) * period / DAY
