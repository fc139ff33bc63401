"""``nenrin migrate``: what it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_says_that_a_database_must_be_named(shell: Shell) -> None:
    said = shell.here("migrate", "sqlite-to-postgres", code=2).err
    assert "it is not said where the state goes" in said
    assert "NENRIN_DATABASE_URL" in said


def test_says_that_there_is_nothing_to_move(shell: Shell) -> None:
    said = shell.here(
        "migrate", "sqlite-to-postgres", code=4, NENRIN_DATABASE_URL="postgresql://localhost/nenrin"
    )
    assert "there is no state" in said.err


def test_says_that_the_other_side_is_no_server(shell: Shell) -> None:
    (shell.folder / ".nenrin").mkdir()
    (shell.folder / ".nenrin" / "state.db").touch()
    said = shell.here("migrate", "sqlite-to-postgres", "--to", "sqlite:////tmp/x.db", code=2)
    assert "moved into PostgreSQL" in said.err
