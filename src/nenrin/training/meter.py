"""Splits a job's CPU time into what the user's code used and what the platform used around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nenrin.core.timer import SystemTimer, Timer


class Meter:
    """A stopwatch with two hands, started when it is made.

    Attributes:
        user: CPU seconds inside the user's code so far.
    """

    def __init__(self, timer: Timer | None = None) -> None:
        self._timer = timer or SystemTimer()
        self._cpu = self._timer.cpu()
        self._wall = self._timer.wall()
        self._inside = False
        self.user = 0.0

    @contextmanager
    def users(self) -> Iterator[None]:
        """Time spent in this block is the user's."""
        start = self._timer.cpu()
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
            self.user += self._timer.cpu() - start

    @contextmanager
    def platform(self) -> Iterator[None]:
        """Time spent in this block is the platform's, though the user's code asked for it."""
        start = self._timer.cpu()
        try:
            yield
        finally:
            if self._inside:
                self.user -= self._timer.cpu() - start

    @property
    def platform_cpu(self) -> float:
        """CPU seconds since the start that were not the user's."""
        return self._timer.cpu() - self._cpu - self.user

    @property
    def wall(self) -> float:
        """Seconds since the start."""
        return self._timer.wall() - self._wall
