"""What a batch costs: so much a call and so much a row, measured, and followed as the machine changes."""

from __future__ import annotations

_SMOOTHING = 0.2
_MOST = 4.0  # one pause of the machine says little about the next batch


class Costs:
    """Expected seconds of a batch.

    Args:
        call: seconds a call takes whatever it is asked.
        row: seconds a row adds.
    """

    def __init__(self, call: float, row: float) -> None:
        self._call = call
        self._row = max(row, 1e-9)
        self._scale = 1.0

    @classmethod
    def measured(cls, one: float, rows: int, many: float) -> Costs:
        """From the seconds of a batch of one row and of one of ``rows``."""
        row = min(max(0.0, many - one) / (rows - 1), one)
        return cls(one - row, row)

    def seconds(self, rows: int) -> float:
        """Of a batch of that many rows."""
        return self._scale * (self._call + rows * self._row)

    def rows_in(self, seconds: float) -> int:
        """How many rows a batch of that length may have; at least one."""
        return max(1, int((seconds / self._scale - self._call) / self._row))

    def learn(self, seconds: float, rows: int) -> None:
        """A batch took so long."""
        ratio = seconds / (self._call + rows * self._row)
        self._scale += _SMOOTHING * (min(ratio, _MOST * self._scale) - self._scale)
