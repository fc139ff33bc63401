from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.fakes import Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    folder = tmp_path / "store"
    folder.mkdir()
    return Room(folder)
