"""Work that its process was killed with goes on by itself when ``nenrin up`` starts again."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import httpx2

from nenrin.api.folder import control_socket
from nenrin.testing.waiting import wait_until
from tests.journeys.shell import NENRIN, Shell, Up, environment

STEPS = 6
HEAD = '''
"""A chain of steps; each says when it is called."""
import time
from pathlib import Path

import nenrin as nr

CALLS = Path(__file__).parents[3] / "calls"


def called(name):
    with CALLS.open("a") as file:
        file.write(name + "\\n")
    time.sleep(0.3)
'''


def _project(folder: Path) -> Shell:
    text = HEAD
    for number in range(STEPS):
        reads = f"s{number - 1}" if number else ""
        text += f"\n\n@nr.step\ndef s{number}({reads}):\n"
        text += f"    called('s{number}')\n    return 1 + {reads or 0}\n"
    (folder / "project.py").write_text(text)
    return Shell(folder)


def _calls(folder: Path) -> list[str]:
    file = folder / "calls"
    return file.read_text().splitlines() if file.exists() else []


def _work(shell: Shell) -> list[dict[str, Any]]:
    transport = httpx2.HTTPTransport(uds=str(control_socket(shell.folder / ".nenrin")))
    with httpx2.Client(transport=transport, base_url="http://nenrin") as client:
        found: list[dict[str, Any]] = client.get("/api/work").json()
        return found


def _ask_and_kill(shell: Shell, up: Up) -> list[str]:
    """Ask for a run and kill the control process in the middle of it; what had been recorded by then."""
    assert up.post("/api/run", {}).status_code == 202
    wait_until(lambda: len(_calls(shell.folder)) >= 3)
    up.kill()
    calls = _calls(shell.folder)
    assert len(calls) < STEPS
    return calls[:-1]


def test_up_goes_on_with_what_it_was_killed_at(tmp_path: Path) -> None:
    shell = _project(tmp_path)
    with shell.up() as up:
        recorded = _ask_and_kill(shell, up)
    with shell.up():
        wait_until(lambda: [each["state"] for each in _work(shell)] == ["done"])
        (work,) = _work(shell)
        assert (work["work"], work["what"]) == ("work-1", "run")
    calls = _calls(shell.folder)
    assert set(calls) == {f"s{number}" for number in range(STEPS)}
    assert all(calls.count(name) == 1 for name in recorded)
    with shell.up():
        assert _work(shell) == []
    assert shell("run", "--json").json["ran"] == []


def test_a_command_says_what_was_cut_off_and_the_same_command_goes_on(tmp_path: Path) -> None:
    shell = _project(tmp_path)
    with shell.up() as up:
        _ask_and_kill(shell, up)
    assert "run was cut off" in shell("status").err
    assert shell("run", "--json").json["steps"]["s5"] == "6"
    assert "cut off" not in shell("status").err


def test_a_command_whose_process_is_killed_is_told_what_becomes_of_its_work(tmp_path: Path) -> None:
    shell = _project(tmp_path)
    with shell.up() as up:
        with subprocess.Popen(
            [*NENRIN, "run"], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
        ) as command:
            wait_until(lambda: len(_calls(tmp_path)) >= 2)
            up.kill()
            _, said = command.communicate(timeout=540)
        assert command.returncode == 9
    assert "the process that held this folder is gone" in said
    assert "nenrin up goes on with this work by itself" in said
