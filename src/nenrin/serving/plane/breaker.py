"""A breaker for each version: one that fails again and again is left out for a while, then tried.

Closed until ten requests in a row have failed, or half of the last forty. Then open: the version is
left out for five seconds. After that one request tries it; if that fails too, it is left out again
(Nygard, "Release It!", 2007).
"""

from __future__ import annotations

from collections import deque

from nenrin.core.timer import Timer
from nenrin.serving.observed import Standing

IN_A_ROW = 10
WINDOW, PART = 40, 0.5
PAUSE_SECONDS = 5.0


class Breaker:
    """Whether a version may be asked. Used by one thread, the plane's event loop.

    Args:
        timer: measures how long the version is left out.
        standing: what is told of it; changed here.
    """

    def __init__(self, timer: Timer, standing: Standing) -> None:
        self._timer = timer
        self.standing = standing
        standing.open = False
        self._row = 0
        self._last: deque[bool] = deque(maxlen=WINDOW)
        self._until = 0.0

    @property
    def allows(self) -> bool:
        """Whether the version may be asked now."""
        return not self.standing.open or self._timer.wall() >= self._until

    def begin(self) -> None:
        """A request goes to the version. While it is tried, others are left out."""
        if self.standing.open:
            self._until = self._timer.wall() + PAUSE_SECONDS

    def answered(self, requests: int = 1) -> None:
        """The version has answered so many."""
        self._row = 0
        if self.standing.open:
            self.standing.open = False
            self._last.clear()
        self._last.extend([False] * min(requests, WINDOW))

    def failed(self) -> None:
        """The version has failed at what another could answer."""
        self._row += 1
        self._last.append(True)
        full = len(self._last) == WINDOW and sum(self._last) >= WINDOW * PART
        if self.standing.open or not (self._row >= IN_A_ROW or full):
            return
        self.standing.open = True
        self.standing.opened += 1
        self._row = 0
        self._until = self._timer.wall() + PAUSE_SECONDS
