"""A project's folder with a holder over a platform in memory, and a way to run commands there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nenrin.api.holder import Holder
from nenrin.cli.console import err, out
from nenrin.core.lock import FolderLock
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
    for console in (out, err):  # as wide as this, whoever made them
        monkeypatch.setattr(console, "width", 120)
    platform = FakePlatform(Settings(folder=folder))
    lock = FolderLock(platform.settings.state_folder)
    lock.acquire()
    with Holder(platform.settings, lock, lambda settings: platform):  # type: ignore[arg-type,return-value]
        yield Run(folder, platform, monkeypatch, capsys)
