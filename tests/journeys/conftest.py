"""What journeys begin with."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.journeys.shell import Shell


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Shell], None]:
    """``nenrin run`` in a folder without state; where the same files ran before, what it made is copied."""
    made = tmp_path_factory.mktemp("made")
    begun: list[tuple[dict[str, str], dict[str, bytes]]] = []

    def run(shell: Shell) -> None:
        files = {path.name: path.read_bytes() for path in shell.folder.iterdir()}
        begin, state = (shell.variables, files), shell.folder / ".nenrin"
        if begin in begun:
            shutil.copytree(made / str(begun.index(begin)), state)
            return
        shell.here("run")
        shutil.copytree(state, made / str(len(begun)))
        begun.append(begin)

    return run
