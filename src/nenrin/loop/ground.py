"""The ground the loop stands on: the row table cut into blocks and days, with labels at their closing.

Every loss that the loop acts on is read here, from blocks whose labels have come.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nenrin.training.blocks import Blocks
from nenrin.training.table import RowTable

RowLoss = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Ground:
    """Blocks, days and labels of one row table.

    Attributes:
        table: the point-in-time rows, sorted by asked time.
        zone: the rows' time zone.
        cut: blocks and days as instants, and which of them are closed.
        blocks: how many blocks there are.
        days: how many days there are, the first being day 0.

    Args:
        table: the point-in-time rows.
        row_loss: loss of each row from (y, p).
    """

    def __init__(self, table: RowTable, row_loss: RowLoss) -> None:
        self.table = table
        self.zone = table.zone
        self._row_loss = row_loss
        self.cut = Blocks(table.zone, int(table.asked[0]), int(table.asked[-1]))
        self._edges = self.cut.edges
        self._rows = np.searchsorted(table.asked, self._edges, side="left")
        self.blocks = len(self.cut.day_of)
        self.days = len(self.cut.days)
        self._first_block = np.searchsorted(self.cut.day_of, np.arange(self.days + 1))
        self._starts = self._edges[self._first_block]

    @property
    def start(self) -> int:
        """The instant at which the first day begins."""
        return int(self._edges[0])

    def day_name(self, day: int) -> str:
        """The local date of day number ``day`` as ``YYYY-MM-DD``."""
        return self.cut.days[day].isoformat()

    def day_at(self, instant: int) -> int:
        """The number of the day in which ``instant`` lies; -1 before the first, ``days`` after the last."""
        return int(np.searchsorted(self._starts, instant, side="right")) - 1

    def day_start(self, day: int) -> int:
        """The instant at which day number ``day`` begins; of number ``days``, the end of the last."""
        return int(self._edges[self._first_block[day]])

    def day_of(self, block: int) -> int:
        """The number of the day that a block lies in."""
        return int(self.cut.day_of[block])

    def ends_day(self, block: int) -> bool:
        """Whether a block is its day's last."""
        return block + 1 == int(self._first_block[self.day_of(block) + 1])

    def block_at(self, instant: int) -> int:
        """The number of the first block that begins at ``instant`` or later."""
        return int(np.searchsorted(self._edges[:-1], instant, side="left"))

    def block_rows(self, block: int) -> tuple[int, int]:
        """First and end row of a block."""
        return int(self._rows[block]), int(self._rows[block + 1])

    def day_rows(self, first: int, end: int | None = None) -> tuple[int, int]:
        """First and end row of a day, or of the days ``first:end``."""
        end = first + 1 if end is None else min(end, self.days)
        blocks = self._first_block
        return int(self._rows[blocks[first]]), int(self._rows[blocks[end]])

    def days_of(self, lo: int, hi: int) -> np.ndarray:
        """The number of the day of each of the rows ``lo:hi``, int64 (hi - lo,)."""
        return self.cut.days_of(self.table.asked[lo:hi])

    def rows_between(self, start: int, end: int) -> tuple[int, int]:
        """First and end row of those asked in ``[start, end)``."""
        lo, hi = np.searchsorted(self.table.asked, [start, end], side="left")
        return int(lo), int(hi)

    def rows_before(self, instant: int) -> int:
        """How many rows were asked before an instant."""
        return int(np.searchsorted(self.table.asked, instant, side="left"))

    def closing(self, block: int, settle: int) -> int:
        """The instant at which a block closes."""
        return int(self._edges[block + 1]) + settle

    def day_closing(self, day: int, settle: int) -> int:
        """The instant at which a day closes: when its last block does."""
        return self.day_start(day + 1) + settle

    def labels(self, lo: int, hi: int, known_by: int) -> np.ndarray:
        """Labels of rows ``lo:hi`` that were known at ``known_by``, NaN where none was; float64."""
        return self.table.labels_at(known_by, lo, hi)

    def losses(self, p: np.ndarray, lo: int, hi: int, known_by: int) -> np.ndarray:
        """Row losses of the predictions ``p`` for rows ``lo:hi``.

        NaN where no label was known at ``known_by``, or nothing was predicted.
        """
        y = self.labels(lo, hi, known_by)
        known = np.isfinite(y) & np.isfinite(p)
        out = np.full(hi - lo, np.nan)
        out[known] = self._row_loss(y[known], p[known])
        return out

    def day_mean(self, p: np.ndarray, day: int, settle: int) -> float:
        """Mean loss of predictions for a day's rows, with the labels known at its closing; NaN without."""
        lo, hi = self.day_rows(day)
        losses = self.losses(p, lo, hi, self.day_closing(day, settle))
        finite = losses[np.isfinite(losses)]
        return float(np.mean(finite)) if len(finite) else float("nan")

    def day_constant(self, value: float, day: int, settle: int) -> float:
        """:meth:`day_mean` of always answering ``value``."""
        lo, hi = self.day_rows(day)
        return self.day_mean(np.full(hi - lo, value), day, settle)

    def prior(self, cutoff: int, known_by: int) -> float:
        """Mean label of the rows asked before ``cutoff``, as known at ``known_by``; NaN without one."""
        y = self.labels(0, self.rows_before(cutoff), known_by)
        known = y[np.isfinite(y)]
        return float(np.mean(known)) if len(known) else float("nan")
