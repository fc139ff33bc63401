"""Runs commands as a shell would, against a platform in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nenrin.cli.app import main
from tests.api.fakes import FakePlatform


@dataclass(frozen=True)
class Done:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Run:
    """Call it with the words after ``nenrin``."""

    folder: Path
    platform: FakePlatform
    monkeypatch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> Done:
        self.monkeypatch.setattr("sys.argv", ["nenrin", *words])
        self.capture.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        told = self.capture.readouterr()
        return Done(code, told.out, told.err)
