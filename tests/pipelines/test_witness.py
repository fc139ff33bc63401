"""What a step reads: what it may is not told, what it may not is."""

from __future__ import annotations

import linecache
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest

from nenrin.pipelines.witness import witnessed


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside" / "rates.csv"
    path.parent.mkdir()
    path.write_text("a,b\n1,2\n")
    return path


def test_an_undeclared_file_is_seen(outside: Path) -> None:
    with witnessed([]) as seen:
        outside.read_text()
        os.close(os.open(outside, os.O_RDONLY))
    assert seen.files == (outside,)
    assert seen.connections == seen.commands == ()


def test_a_relative_path_is_told_in_full(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(outside.parent)
    with witnessed([]) as seen, open("rates.csv") as file:  # noqa: PTH123 - as steps do
        file.read()
    assert seen.files == (outside,)


def test_what_may_be_read_is_not_told(outside: Path) -> None:
    with witnessed([outside.parent]) as seen:
        outside.read_text()
    with witnessed([outside]) as alone:
        outside.read_text()
    assert seen.files == alone.files == ()


def test_a_folder_allows_no_folder_whose_name_begins_alike(outside: Path) -> None:
    with witnessed([outside.with_name("rates")]) as seen:
        outside.read_text()
    assert seen.files == (outside,)


def test_a_link_in_an_allowed_folder_may_be_read(outside: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "rates.csv").symlink_to(outside)
    with witnessed([scratch]) as seen:
        (scratch / "rates.csv").read_text()
    assert seen.files == ()


def test_what_the_step_wrote_it_may_read(outside: Path) -> None:
    with witnessed([]) as seen:
        made = outside.with_name("made.txt")
        made.write_text("mine")
        made.read_text()
        with tempfile.NamedTemporaryFile("w+") as file:
            file.write("a")
            file.flush()
            Path(file.name).read_text()
    assert seen.files == ()


def test_importing_and_showing_code_is_no_reading(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outside.parent / "part_of_a_project.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(outside.parent)
    with witnessed([]) as seen:
        import part_of_a_project  # type: ignore[import-not-found]

        linecache.getline(part_of_a_project.__file__, 1)
        import colorsys  # noqa: F401 - a module of Python's own
    assert seen.files == ()
    del sys.modules["part_of_a_project"]


def test_a_file_that_is_not_there_is_not_told(outside: Path) -> None:
    with witnessed([]) as seen, pytest.raises(FileNotFoundError):
        outside.with_name("missing").read_text()
    assert seen.files == ()


def test_polars_opens_files_on_its_own(outside: Path) -> None:
    door = pl.read_csv
    with witnessed([]) as seen:
        assert pl.read_csv(outside).height == 1
        assert pl.scan_csv([str(outside)]).collect().height == 1
    assert seen.files == (outside,)
    assert pl.read_csv is door
    with witnessed([outside]) as allowed:
        pl.read_csv(source=outside)
    assert allowed.files == ()


def test_databases_connections_and_programs_are_seen(outside: Path) -> None:
    sqlite3.connect(outside.with_name("a.db")).close()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with witnessed([]) as seen:
            sqlite3.connect(outside.with_name("a.db")).close()
            socket.create_connection(("127.0.0.1", port)).close()
            subprocess.run([sys.executable, "-c", ""], check=True)
    assert seen.files == (outside.with_name("a.db"),)
    assert seen.connections == (f"127.0.0.1:{port}",)
    assert seen.commands == (sys.executable,)


def test_nothing_is_seen_before_and_after(outside: Path) -> None:
    outside.read_text()
    with witnessed([]) as seen:
        pass
    outside.read_text()
    assert seen.files == ()


def test_two_at_a_time_see_the_same(outside: Path) -> None:
    with witnessed([]) as first, witnessed([outside]) as second:
        outside.read_text()
    assert first.files == (outside,)
    assert second.files == ()
