"""What a batch costs: so much a call and so much a row, measured, and followed as the machine changes."""

from __future__ import annotations

_FORGETS = 0.9  # of what is known, with each batch
_MOST = 4.0  # times what was expected: one pause of the machine says little about the next batch
_VARIED = 1e-3  # of the sizes' second moment: with less, the sizes tell nothing of a row's part
_LEAST = 1e-9


class Costs:
    """Expected seconds of a batch: a line through the newest ones, by least squares.

    Args:
        call: seconds a call takes whatever it is asked, until more is known.
        row: seconds a row adds.
    """

    def __init__(self, call: float, row: float) -> None:
        self._call = call
        self._row = max(row, _LEAST)
        self._batches = self._rows = self._squares = 0.0
        self._seconds = self._products = 0.0

    def seconds(self, rows: int) -> float:
        """Of a batch of that many rows."""
        return self._call + rows * self._row

    def rows_in(self, seconds: float) -> int:
        """How many rows a batch of that length may have; at least one."""
        return max(1, int((seconds - self._call) / self._row))

    def learn(self, seconds: float, rows: int) -> None:
        """A batch took so long."""
        if self._batches:
            seconds = min(seconds, _MOST * self.seconds(rows))
        self._batches = self._batches * _FORGETS + 1
        self._rows = self._rows * _FORGETS + rows
        self._squares = self._squares * _FORGETS + rows * rows
        self._seconds = self._seconds * _FORGETS + seconds
        self._products = self._products * _FORGETS + rows * seconds
        spread = self._batches * self._squares - self._rows * self._rows
        if spread > _VARIED * self._batches * self._squares:
            covered = self._batches * self._products - self._rows * self._seconds
            self._row = max(_LEAST, covered / spread)
        # what is left is the call's; where that is less than nothing, a row costs less than thought
        self._call = (self._seconds - self._row * self._rows) / self._batches
        if self._call < 0:
            self._call, self._row = 0.0, max(_LEAST, self._products / self._squares)
