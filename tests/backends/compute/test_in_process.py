"""The executor that runs everything at once."""

from __future__ import annotations

import pytest

from nenrin.backends.compute.in_process import InProcessExecutor
from nenrin.testing.executors import ExecutorContract
from nenrin.testing.started_tasks import StartContract, project
from nenrin.testing.stores import MemoryStore
from nenrin.testing.worker_functions import add, load_file

__all__ = ["project"]


class TestInProcessExecutor(ExecutorContract, StartContract):
    @pytest.fixture
    def executor(self) -> InProcessExecutor:
        return InProcessExecutor(MemoryStore(), load_file)


def test_runs_when_submitted() -> None:
    executor = InProcessExecutor(MemoryStore(), load_file)
    assert executor.submit(add, 1).done()
    assert executor.cpu_by_worker() == {}
