"""What the gates' tests share."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest


@pytest.fixture
def benchmark_seconds() -> Callable[[Callable[[], object]], float]:
    """CPU seconds of the quickest of twenty calls."""

    def measure(call: Callable[[], object]) -> float:
        seconds = []
        for _ in range(20):
            began = time.process_time()
            call()
            seconds.append(time.process_time() - began)
        return min(seconds)

    return measure
