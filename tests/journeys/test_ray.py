"""A project on a Ray cluster by two settings: the same results as here, from nodes that share no folder."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nenrin.backends.compute.in_process import InProcessExecutor
from nenrin.testing.ray_nodes import RayNodes
from nenrin.testing.waiting import wait_until
from tests.journeys.shell import CHURN, Shell, customers, environment

MARKS = '''
import os
import time
from pathlib import Path

def mark(what):
    """Nodes note what they ran in a folder of their own."""
    node = os.environ.get("NENRIN_NODE_FOLDER")
    if node:
        Path(node, "marks").mkdir(exist_ok=True)
        Path(node, "marks", f"{what}-{os.getpid()}").touch()

'''

STEPS = '''

class Pair:
    """A value of a class of the project's own: its pickle names the module."""

    def __init__(self, shop, value):
        self.shop, self.value = shop, value

    def __repr__(self):
        return f"{self.shop}={self.value}"


@nr.step
def shops():
    return list(range(6))


@nr.map("shops", resources=nr.resources(cpus=1, memory="1GB"))
def fitted(shops):
    mark("fan")
    time.sleep(0.3)
    return Pair(shops, shops * shops)


@nr.step(env=["RATE"])
def total(fitted):
    return sum(each.value for each in fitted) * int(os.environ["RATE"])
'''


def project() -> str:
    """Who leaves, tuned, with steps of its own; everything notes where it ran."""
    tuned = CHURN.replace('"value"])', '"value"], tune={"steps": nr.integers(20, 60)})')
    fit = "    mark('trial')\n    time.sleep(0.1)\n    return"
    tuned = tuned.replace("def churned(rows):\n    return", f"def churned(rows, steps=30):\n{fit}")
    head, _, rest = tuned.partition("customers = ")
    return f"{head}{MARKS}customers = {rest}{STEPS}"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A project whose data are loaded: the instant of that is part of what rows are."""
    folder = tmp_path / "here"
    folder.mkdir()
    customers(600).write_csv(folder / "customers.csv")
    (folder / "project.py").write_text(project())
    shell = Shell(folder, {"RATE": "2"})
    shell("data", "load", "customers")
    return shell


def on(nodes: RayNodes, tmp_path: Path) -> dict[str, str]:
    """The two settings."""
    return {
        "NENRIN_EXECUTOR": f"ray://{nodes.address}",
        "NENRIN_STORE_URL": str(tmp_path / "bucket"),
    }


def remembered(folder: Path) -> dict[str, str]:
    """Outputs by step key; of trainings the newest by name, since their keys hold the instant of the run.

    What a trial gave holds the CPU seconds that it took.
    """
    with contextlib.closing(sqlite3.connect(folder / ".nenrin" / "state.db")) as state:
        rows = state.execute("select key, body from step_results").fetchall()
    told = {key: json.loads(body) for key, body in rows}
    return {
        key: body["output"]
        for key, body in told.items()
        if body["step"] != "trial"
        and (key.startswith("newest ") or body["step"] not in ("fit", "tune"))
    }


def kinds(folder: Path) -> set[str]:
    """The kinds of events in a folder's ledger."""
    with contextlib.closing(sqlite3.connect(folder / ".nenrin" / "state.db")) as state:
        return {kind for (kind,) in state.execute("select distinct kind from events")}


def marks(nodes: RayNodes, what: str) -> dict[str, int]:
    """How often each node ran something."""
    return {
        name: len(list((nodes.folder(name) / "nenrin" / "marks").glob(f"{what}-*")))
        for name in ("a", "b")
    }


def test_two_nodes_give_what_this_machine_gives(
    ray_cluster: RayNodes, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Shell(tmp_path / "there", shell.variables)
    shutil.copytree(shell.folder, there.folder)
    (there.folder / ".nenrin" / "store").rename(tmp_path / "bucket")
    expected = shell("run", "--json", NENRIN_WORKERS="2").json
    given = there("run", "--json", **on(ray_cluster, tmp_path)).json
    assert given["steps"] == expected["steps"]
    assert given["steps"]["total"] == "110"
    assert remembered(there.folder) == remembered(shell.folder)
    newest = {key.removeprefix("newest dev ") for key in remembered(shell.folder)}
    assert {"tune", "shops", "fitted", "total"} < newest
    assert all(marks(ray_cluster, "fan").values())
    assert all(marks(ray_cluster, "trial").values())
    assert not (there.folder / ".nenrin" / "store").exists()
    for name in ("a", "b"):
        assert list((ray_cluster.folder(name) / "nenrin" / "revisions").glob("*/project.py"))
    again = there("run", "--json", **on(ray_cluster, tmp_path)).json
    assert again["steps"] == given["steps"]
    assert again["ran"] == []
    here = answered(shell, monkeypatch, NENRIN_WORKERS="2")
    assert here.height == 600
    assert answered(there, monkeypatch, **on(ray_cluster, tmp_path)).equals(here)


def answered(shell: Shell, monkeypatch: pytest.MonkeyPatch, **variables: str) -> pl.DataFrame:
    """What ``nenrin predict`` says of every customer, though the file is small, by workers alone."""
    with monkeypatch.context() as patch:
        patch.setattr("nenrin.serving.batch.service.is_small", lambda sources: False)
        patch.setattr("nenrin.serving.batch.service.BATCH_ROWS", 50)
        patch.setattr(InProcessExecutor, "submit", pytest.fail)
        words = ("predict", "churned", "--input", "customers.csv", "--output", "answers.parquet")
        told = shell.here(*words, "--json", **variables).json
    assert (told["rows"], told["bad"]) == (600, 0)
    return pl.read_parquet(shell.folder / "answers.parquet").drop("asked", "version")


SLOW = """
import os
import time
from pathlib import Path

import nenrin as nr


@nr.step
def shops():
    return list(range(8))


@nr.map("shops")
def slept(shops):
    Path(FOLDER, f"{shops} {os.environ['NODE_OF_TESTS']} {os.getpid()}").touch()
    time.sleep(1.5)
    Path(FOLDER, f"{shops} ended {os.getpid()}").touch()
    return shops


@nr.step
def total(slept):
    print("all is there")
    return sum(slept)
"""


@pytest.fixture
def third(ray_cluster: RayNodes) -> Iterator[str]:
    ray_cluster.start("c")
    yield "c"
    with contextlib.suppress(KeyError):
        ray_cluster.kill("c")


def test_a_node_that_is_killed_costs_what_it_was_at(
    ray_cluster: RayNodes, third: str, tmp_path: Path
) -> None:
    calls, folder = tmp_path / "calls", tmp_path / "project"
    calls.mkdir()
    folder.mkdir()
    (folder / "project.py").write_text(SLOW.replace("FOLDER", repr(str(calls))))
    shell = Shell(folder, on(ray_cluster, tmp_path))
    running = subprocess.Popen(
        [sys.executable, "-m", "nenrin", "run", "--json"],
        cwd=folder,
        env={**environment(), **shell.variables},
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: running.poll() is not None or any(calls.glob(f"* {third} *")))
    ray_cluster.kill(third)
    ended = {path.name.split()[0] for path in calls.glob("* ended *")}
    out, _ = running.communicate(timeout=540)
    assert running.returncode == 0, out
    assert json.loads(out)["steps"]["total"] == "28"
    begun = [path.name.split() for path in calls.iterdir() if " ended " not in path.name]
    lost = {shop for shop, node, _ in begun if node == third} - ended
    assert lost
    times = Counter(shop for shop, _, _ in begun)
    assert {shop for shop, number in times.items() if number > 1} <= lost
    assert "all is there" in shell("logs", "total").out
    assert "healed.rerun" in kinds(folder)


def test_a_cluster_that_is_away_is_no_reason_to_run_here(shell: Shell, tmp_path: Path) -> None:
    settings = {"NENRIN_EXECUTOR": "ray://127.0.0.1:1", "NENRIN_STORE_URL": str(tmp_path / "s")}
    failed = shell("run", "--json", code=9, **settings)
    assert "the Ray cluster at 127.0.0.1:1 does not answer" in failed.out + failed.err
    assert "ray status" in failed.out + failed.err


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"NENRIN_EXECUTOR": "ray://127.0.0.1:1"}, "cannot read the content store"),
        ({"NENRIN_EXECUTOR": "dask"}, "'dask' is no executor"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    shell: Shell, settings: dict[str, Any], said: str
) -> None:
    failed = shell("run", "--json", code=2, **settings)
    assert said in failed.out + failed.err
