"""The example project and a context to run its jobs in."""

from __future__ import annotations

from pathlib import Path

import pytest

from nenrin.pipelines.executor import WorkerContext
from nenrin.testing.stores import MemoryStore
from tests.training.example import context_of, write_project


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("example"))


@pytest.fixture
def context() -> WorkerContext:
    return context_of(MemoryStore())
