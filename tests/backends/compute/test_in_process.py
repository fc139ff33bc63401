"""The executor that runs everything at once."""

from __future__ import annotations

import pytest

from nenrin.backends.compute.in_process import InProcessExecutor
from nenrin.testing.executors import ExecutorContract
from nenrin.testing.stores import MemoryStore
from nenrin.testing.worker_functions import add, load_nothing


class TestInProcessExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self) -> InProcessExecutor:
        return InProcessExecutor(MemoryStore(), load_nothing)


def test_runs_when_submitted() -> None:
    executor = InProcessExecutor(MemoryStore(), load_nothing)
    assert executor.submit(add, 1).done()
    assert executor.cpu_by_worker() == {}
