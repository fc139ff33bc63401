"""A project's folder with a holder over a platform in memory, and a way to run commands there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nenrin.api.client import connect
from nenrin.core.settings import Settings
from tests.api.fakes import FakePlatform
from tests.cli.running import Run


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "project.py").write_text("")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")
    platform = FakePlatform(Settings(folder=folder))
    with connect(platform.settings, lambda settings: platform):  # type: ignore[arg-type,return-value]
        yield Run(folder, platform, monkeypatch, capsys)
