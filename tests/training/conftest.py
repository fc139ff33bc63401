"""The example project and a context to run its jobs in."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.compute.spawn import SpawnExecutor
from nenrin.pipelines.executor import WorkerContext
from nenrin.testing.stores import MemoryStore
from tests.training.example import context_of, load_project, write_project


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """The store of the workers."""
    return LocalStore(tmp_path_factory.mktemp("store"), durable=False)


@pytest.fixture(scope="session")
def two_workers(
    shared: LocalStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SpawnExecutor]:
    """Workers that have imported the project are kept for the next test."""
    log = tmp_path_factory.mktemp("logs") / "workers.log"
    executor = SpawnExecutor(2, functools.partial(_same, shared), load_project, log=log)
    yield executor
    executor.close()


def _same(store: LocalStore) -> LocalStore:
    return store


@pytest.fixture
def context() -> WorkerContext:
    return context_of(MemoryStore())
