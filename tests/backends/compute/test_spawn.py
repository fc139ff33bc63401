"""The executor of spawned workers."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.compute.spawn import SpawnExecutor
from nenrin.core.errors import StepError
from nenrin.testing.executors import ExecutorContract, WorkerProcessContract
from nenrin.testing.started_tasks import StartContract, StartedProcessContract, project
from nenrin.testing.worker_functions import add, leave, load_file, load_nothing, say, wait_for

__all__ = ["project"]


@pytest.fixture
def maker(tmp_path: Path) -> Callable[[], SpawnExecutor]:
    return functools.partial(
        SpawnExecutor, 2, functools.partial(LocalStore, tmp_path / "store"), load_file
    )


@pytest.fixture
def executor(maker: Callable[[], SpawnExecutor]) -> Iterator[SpawnExecutor]:
    executor = maker()
    yield executor
    executor.close()


class TestSpawnExecutor(
    ExecutorContract, WorkerProcessContract, StartContract, StartedProcessContract
):
    pass


def test_two_run_at_a_time_and_closing_drops_what_waits(tmp_path: Path) -> None:
    executor = _executor(tmp_path, 2)
    flag = tmp_path / "flag"
    running = [executor.submit(wait_for, str(flag)) for _ in range(2)]
    waiting = executor.submit(add, 1)
    while not all(future.running() for future in running):
        pass
    closing = threading.Thread(target=executor.close)
    closing.start()
    while not waiting.cancelled():
        pass
    flag.touch()
    closing.join()
    assert len({future.result() for future in running}) == 2


def test_a_worker_prints_into_the_log(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    executor = _executor(tmp_path, 1, log)
    assert executor.submit(say, "hello").result() is None
    executor.close()
    assert log.read_text() == "hello\n"


def test_a_worker_that_leaves_is_told(tmp_path: Path) -> None:
    executor = _executor(tmp_path, 1)
    error = executor.submit(leave).exception()
    executor.close()
    assert isinstance(error, StepError)
    assert "exit code 3" in error.message


def _executor(folder: Path, workers: int, log: Path | None = None) -> SpawnExecutor:
    return SpawnExecutor(
        workers, functools.partial(LocalStore, folder / "store"), load_nothing, log=log
    )


def test_where_nobody_can_watch_the_kernel_keeps_the_limit(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nenrin.backends.compute.footprint.WATCHED", False)
    error = project.error("grow", memory=1_000_000_000)
    assert error.message.startswith("report raised MemoryError")
    assert error.where.startswith(f"{project.folder}")


def test_where_processes_cannot_be_watched_they_are_looked_at(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.pidfd_open", raising=False)
    assert project.start("big", 3).result.result() == b"xxx"
    assert "SIGABRT" in project.error("abort").message
