"""A fresh database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nenrin.backends.sql.database import Database


@pytest.fixture
def units(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path / 'state.db'}", durable=False) as database:
        yield database
