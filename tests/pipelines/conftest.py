"""What the tests of the step key stand on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines.projects import Written


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path / "projects")
