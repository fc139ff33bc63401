"""The head of a Ray cluster dies in mid-run: the run says so, and the next one goes on."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from nenrin.testing.ray_nodes import ray_nodes
from nenrin.testing.waiting import wait_until
from tests.journeys.shell import Shell, environment
from tests.journeys.test_ray import SLOW, on


def test_a_run_whose_head_dies_says_so_and_the_next_one_goes_on(tmp_path: Path) -> None:
    calls, folder = tmp_path / "calls", tmp_path / "project"
    calls.mkdir()
    folder.mkdir()
    (folder / "project.py").write_text(SLOW.replace("FOLDER", repr(str(calls))))
    with ray_nodes(tmp_path / "first", "a", "b") as nodes:
        shell = Shell(folder, on(nodes, tmp_path))
        running = subprocess.Popen(
            [sys.executable, "-m", "nenrin", "run"],
            cwd=folder,
            env={**environment(), **shell.variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wait_until(lambda: running.poll() is not None or len(ended(calls)) > 2)
        nodes.kill("a")
        out, _ = running.communicate(timeout=540)
    assert running.returncode == 9, out
    assert f"the head of the Ray cluster at {nodes.address} is gone" in out
    assert "start Ray again" in out
    before = kept(shell)
    with ray_nodes(tmp_path / "second", "a") as nodes:
        ran = Shell(folder, on(nodes, tmp_path))("run", "--json").json
    assert ran["steps"]["total"] == "28"
    assert 0 < before < 8
    assert sum(name.startswith("slept[") for name in ran["ran"]) == 8 - before


def ended(calls: Path) -> list[Path]:
    """The elements that have been computed."""
    return list(calls.glob("* ended *"))


def kept(shell: Shell) -> int:
    """Of how many elements the results are remembered."""
    with contextlib.closing(sqlite3.connect(shell.folder / ".nenrin" / "state.db")) as found:
        bodies = [json.loads(body) for (body,) in found.execute("select body from step_results")]
    return len({body["step"] for body in bodies if body["step"].startswith("slept[")})
