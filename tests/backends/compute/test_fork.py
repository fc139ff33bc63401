"""The executor of forked tasks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.compute.fork import ForkExecutor, can_fork
from nenrin.testing.executors import ExecutorContract, WorkerProcessContract
from nenrin.testing.started_tasks import StartContract, StartedProcessContract, project
from nenrin.testing.worker_functions import load_file

__all__ = ["project"]

pytestmark = pytest.mark.skipif(not can_fork(), reason="forks on Linux alone")


@pytest.fixture
def maker(tmp_path: Path) -> Callable[[], ForkExecutor]:
    return functools.partial(
        ForkExecutor, 2, functools.partial(LocalStore, tmp_path / "store"), load_file
    )


@pytest.fixture
def executor(maker: Callable[[], ForkExecutor]) -> Iterator[ForkExecutor]:
    executor = maker()
    yield executor
    executor.close()


class TestForkExecutor(
    ExecutorContract, WorkerProcessContract, StartContract, StartedProcessContract
):
    pass
