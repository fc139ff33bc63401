"""Waiting for what happens in another thread, process or host."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from nenrin.core.timer import SystemTimer

T = TypeVar("T")


def wait_until(true: Callable[[], T]) -> T:
    """Ask until the answer is true, and give it; the test's own time limit ends what never becomes true."""
    timer = SystemTimer()
    while not (found := true()):
        timer.sleep(0.02)
    return found
