"""Performance on closed days: rows, labels, loss and bias of what was served."""

from __future__ import annotations

import msgspec
import numpy as np

from nenrin.stats.metrics import ROW_LOSSES


class DayPerformance(msgspec.Struct, frozen=True, kw_only=True):
    """One closed day.

    Attributes:
        day: number of the day, as the caller counts days.
        rows: rows answered.
        labelled: those with a label at the day's closing.
        loss: mean row loss of these, None where there is none.
        bias: mean of (y - p) of these, None where there is none.
    """

    day: int
    rows: int
    labelled: int
    loss: float | None
    bias: float | None


def performance_by_day(
    days: np.ndarray, y: np.ndarray, p: np.ndarray, row_loss: str
) -> list[DayPerformance]:
    """Performance of each day that has rows, in order.

    Args:
        days: number of each row's day, int64 of shape (rows,).
        y: labels as they were known when the day closed, NaN where there was none.
        p: predictions served.
        row_loss: a name of :data:`nenrin.stats.metrics.ROW_LOSSES`.
    """
    numbers, at = np.unique(days, return_inverse=True)
    labelled = ~np.isnan(y)
    rows = np.bincount(at, minlength=len(numbers))
    within = at[labelled]
    counts = np.bincount(within, minlength=len(numbers))
    losses = ROW_LOSSES[row_loss](y[labelled], p[labelled])
    loss = np.bincount(within, weights=losses, minlength=len(numbers))
    rest = np.bincount(within, weights=(y - p)[labelled], minlength=len(numbers))
    return [
        DayPerformance(
            day=int(numbers[day]),
            rows=int(rows[day]),
            labelled=int(counts[day]),
            loss=float(loss[day] / counts[day]) if counts[day] else None,
            bias=float(rest[day] / counts[day]) if counts[day] else None,
        )
        for day in range(len(numbers))
    ]
