"""A registry over a real database, and what its tests put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nenrin.backends.sql.database import Database
from nenrin.backends.sql.registry import SqlAliases, SqlVersions
from nenrin.registry.kinds import Kind, Kinds
from nenrin.registry.service import RegistryService
from nenrin.testing.stores import MemoryStore


@pytest.fixture
def units(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path / 'state.db'}", durable=False) as database:
        yield database


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def make(units: Database, store: MemoryStore) -> Callable[..., RegistryService]:
    def made(*kinds: Kind) -> RegistryService:
        return RegistryService(units, store, SqlVersions(), SqlAliases(), Kinds(kinds))

    return made
