"""Business time: when things happen to the data and to the loop.

``Calendar.now()`` decides refreshes, cooldowns, rollout stages and what is known. Process time (leases,
timeouts, latency) is :mod:`nenrin.core.timer`'s. Nothing else in nenrin reads a clock.
"""

from __future__ import annotations

import time
from typing import Protocol

from nenrin.core.errors import ConflictError
from nenrin.core.instants import DAY, iso


class Calendar(Protocol):
    """Tells business time, in microseconds since 1970 UTC."""

    def now(self) -> int:
        """The present instant of this calendar."""
        ...


class SystemCalendar:
    """Business time is the machine's time."""

    def now(self) -> int:
        """The machine's present instant."""
        return time.time_ns() // 1000  # noqa: TID251 - the one place that asks the machine


def stands_at(end: int, now: int) -> int | None:
    """Where a calendar stands whose data has ended more than a day ago; None: it goes with the machine's."""
    return end if now - end > DAY else None


class SimulatedCalendar:
    """Business time that somebody else moves: a backtest, a replay, a test."""

    def __init__(self, at: int) -> None:
        self._at = at

    def now(self) -> int:
        """The instant it was last moved to."""
        return self._at

    def move(self, to: int) -> None:
        """Go forward to the instant ``to``.

        Raises:
            ConflictError: ``to`` is earlier than now; business time never runs backwards.
        """
        if to < self._at:
            raise ConflictError(
                f"the calendar stands at {iso(self._at)} and cannot go to {iso(to)}"
            )
        self._at = to
