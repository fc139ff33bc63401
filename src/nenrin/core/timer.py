"""Process time: leases, heartbeats, timeouts, backoff, latency, CPU seconds.

Measured on a machine and therefore never part of an event: what a timer says is an observation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """Tells how long things take, in seconds."""

    def wall(self) -> float:
        """Monotonic seconds, from an arbitrary start."""
        ...

    def cpu(self) -> float:
        """CPU seconds that this process has used."""
        ...

    def epoch(self) -> float:
        """Seconds since 1970 by the machine's clock, which may jump: for leases that outlive a process."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemTimer:
    """The machine's own clocks."""

    def wall(self) -> float:
        """Monotonic seconds."""
        return time.perf_counter()

    def cpu(self) -> float:
        """CPU seconds of this process, its threads included."""
        return time.process_time()

    def epoch(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
        time.sleep(seconds)


def steady_epoch(timer: Timer) -> Callable[[], float]:
    """Seconds since 1970 by a clock that is never set again: a jump ends no lease and delays no attempt."""
    then, began = timer.epoch(), timer.wall()
    return lambda: then + timer.wall() - began
