"""Pickles that carry the project's own code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nenrin.training.pickles import dumps, loads

NETS = '''
class Net:
    """A user's model."""

    def __init__(self, weight):
        self.weight = weight

    def predict(self, X):
        return double(X) * self.weight


def double(x):
    return 2 * x
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "users_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("users_nets", None)


def _net(weight: float) -> Any:
    return importlib.import_module("users_nets").Net(weight)


def test_what_the_projects_modules_define_can_be_read_without_them(folder: Path) -> None:
    data = dumps(_net(3.0), folder)
    del sys.modules["users_nets"]
    (folder / "users_nets.py").unlink()
    assert loads(data).predict(5.0) == 30.0
    assert "users_nets" not in sys.modules


def test_without_a_project_they_are_named_only(folder: Path) -> None:
    data = dumps(_net(3.0))
    assert b"users_nets" in data
    assert len(data) < len(dumps(_net(3.0), folder))


def test_equal_models_are_equal_bytes_without_paths_and_drawn_ids(folder: Path) -> None:
    first = dumps(_net(3.0), folder)
    del sys.modules["users_nets"]
    assert dumps(_net(3.0), folder) == first
    assert str(folder).encode() not in first


def test_two_versions_of_a_class_stay_two(folder: Path) -> None:
    old = dumps(_net(3.0), folder)
    del sys.modules["users_nets"]
    (folder / "users_nets.py").write_text(NETS.replace("2 * x", "10 * x"))
    importlib.invalidate_caches()
    new = dumps(_net(3.0), folder)
    assert loads(old).predict(1.0) == 6.0
    assert loads(new).predict(1.0) == 30.0
    assert loads(old).predict(1.0) == 6.0
