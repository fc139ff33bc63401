"""The executor of forked tasks."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.compute import leftovers
from nenrin.backends.compute.fork import ForkExecutor, can_fork
from nenrin.core.errors import StepError, WorkerLostError
from nenrin.pipelines.executor import Running, Task
from nenrin.testing.executors import ExecutorContract, WorkerProcessContract
from nenrin.testing.started_tasks import (
    StartContract,
    StartedProcessContract,
    is_alive,
    project,
    wait_until,
)
from nenrin.testing.worker_functions import call, load_file

__all__ = ["project"]

pytestmark = pytest.mark.skipif(not can_fork(), reason="forks on Linux alone")


@pytest.fixture
def maker(tmp_path: Path) -> Callable[[], ForkExecutor]:
    return functools.partial(
        ForkExecutor, 2, functools.partial(LocalStore, tmp_path / "store"), load_file
    )


@pytest.fixture
def executor(maker: Callable[[], ForkExecutor]) -> Iterator[ForkExecutor]:
    executor = maker()
    yield executor
    executor.close()


class TestForkExecutor(
    ExecutorContract, WorkerProcessContract, StartContract, StartedProcessContract
):
    pass


Make = Callable[..., tuple[ForkExecutor, list[str]]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[ForkExecutor] = []

    def make(**more: Any) -> tuple[ForkExecutor, list[str]]:
        notes: list[str] = []
        store = functools.partial(LocalStore, tmp_path / "store")
        made.append(ForkExecutor(1, store, load_file, note=notes.append, **more))
        return made[-1], notes

    yield make
    for each in made:
        each.close()


def write(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "project.py").write_text("import os\nimport time\n" + text)
    return folder


def start(executor: ForkExecutor, folder: Path, name: str, *args: Any) -> Running[Any]:
    return executor.start(Task(name=name, project=folder), call, folder, name, *args)


PARENT = "def parent():\n    return os.getppid()\n"
SLEEP = "def sleep(flag):\n    open(flag, 'w').close()\n    while True:\n        time.sleep(0.01)\n"


def test_children_come_from_a_server_that_only_imported(tmp_path: Path, make: Make) -> None:
    executor, notes = make()
    folder = write(
        tmp_path / "a", PARENT + "IMPORTED = os.getpid()\ndef importer(): return IMPORTED\n"
    )
    parents = {start(executor, folder, "parent").result.result() for _ in range(3)}
    assert parents == set(executor.servers())
    assert start(executor, folder, "importer").result.result() in parents
    [server] = parents
    names = [path.read_text().strip() for path in Path(f"/proc/{server}/task").glob("*/comm")]
    assert len([name for name in names if name not in leftovers.KNOWN]) == 1
    assert notes == []


COMPUTING = """
import polars as pl
FRAME = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"]})
TOP
def compute(path):
    out = FRAME.group_by("b").agg(pl.col("a").sum()).sort("b")["a"].to_list()
    FRAME.write_parquet(path)
    lazy = pl.scan_parquet(path).filter(pl.col("a") > 1)
    return out, lazy.select(pl.len()).collect(engine="streaming").item(), os.getppid()
"""


def test_a_project_that_imports_polars_is_forked_and_computes(tmp_path: Path, make: Make) -> None:
    executor, notes = make()
    folder = write(tmp_path / "a", COMPUTING.replace("TOP", ""))
    for _ in range(3):
        sums, rows, parent = start(executor, folder, "compute", tmp_path / "f").result.result()
        assert (sums, rows) == ([4, 2], 2)
        assert parent in executor.servers()
    assert notes == []


@pytest.mark.parametrize(
    ("top", "left"),
    [
        ("TOTAL = FRAME.select(pl.col('a').sum()).item()", "the thread polars-0"),
        ("WIRE = __import__('socket').socketpair()", "an open connection"),
        ("FILE = open('LOG', 'a')", "the open file LOG"),
    ],
)
def test_a_project_that_leaves_something_behind_is_spawned(
    tmp_path: Path, make: Make, top: str, left: str
) -> None:
    """A naive fork hangs, or shares a connection."""
    executor, notes = make()
    top, left = (text.replace("LOG", str(tmp_path / "log")) for text in (top, left))
    folder = write(tmp_path / "a", COMPUTING.replace("TOP", top))
    for _ in range(2):
        sums, rows, parent = start(executor, folder, "compute", tmp_path / "f").result.result()
        assert (sums, rows, parent) == ([4, 2], 2, os.getpid())
    [note] = notes
    assert f"{folder / 'project.py'}:6: {top}" in note
    assert left in note


def test_a_project_that_cannot_be_imported_says_so_each_time(tmp_path: Path, make: Make) -> None:
    executor, notes = make()
    folder = write(tmp_path / "a", "import nothing_of_that_name\n")
    for _ in range(2):
        error = start(executor, folder, "parent").result.exception()
        assert isinstance(error, StepError)
        assert "nothing_of_that_name" in error.message
        assert error.where == f"{folder / 'project.py'}:3"
    assert len(notes) == 1


def test_a_killed_server_is_replaced_and_its_children_go_on(tmp_path: Path, make: Make) -> None:
    executor, _ = make()
    flag, more = tmp_path / "flag", "def wait(flag, go):\n    open(flag, 'w').close()\n"
    more += "    while not os.path.exists(go):\n        time.sleep(0.01)\n    return 7\n"
    folder = write(tmp_path / "a", PARENT + SLEEP + more)
    waits = start(executor, folder, "wait", flag, tmp_path / "go")
    sleeps = start(executor, folder, "sleep", tmp_path / "flag2")
    wait_until(lambda: flag.exists() and (tmp_path / "flag2").exists())
    [server] = executor.servers()
    os.kill(server, signal.SIGKILL)
    parent = start(executor, folder, "parent").result.result()
    assert [parent] == executor.servers()
    assert parent != server
    (tmp_path / "go").touch()
    assert waits.result.result() == 7
    os.kill(sleeps.pid, signal.SIGKILL)
    assert isinstance(sleeps.result.exception(), WorkerLostError)


def test_a_frozen_server_is_replaced(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nenrin.backends.compute.servers._FORKS", 1.0)
    executor, _ = make()
    folder = write(tmp_path / "a", PARENT)
    server = start(executor, folder, "parent").result.result()
    os.kill(server, signal.SIGSTOP)
    assert start(executor, folder, "parent").result.result() != server
    wait_until(lambda: not is_alive(server))


def test_two_servers_are_kept_and_the_others_end_after_their_children(
    tmp_path: Path, make: Make
) -> None:
    executor, _ = make()
    folders = [write(tmp_path / name, PARENT + SLEEP) for name in "abc"]
    sleeps = start(executor, folders[0], "sleep", tmp_path / "flag")
    wait_until((tmp_path / "flag").exists)
    servers = [start(executor, folder, "parent").result.result() for folder in folders]
    assert executor.servers() == servers[1:]
    assert is_alive(servers[0])
    sleeps.cancel()
    sleeps.result.exception()
    wait_until(lambda: not is_alive(servers[0]))
    executor.close()
    wait_until(lambda: not any(map(is_alive, servers)))


def test_an_idle_server_ends_and_another_comes(tmp_path: Path, make: Make) -> None:
    executor, _ = make(idle=0.2)
    folder = write(tmp_path / "a", PARENT)
    server = start(executor, folder, "parent").result.result()
    wait_until(lambda: not is_alive(server))
    assert start(executor, folder, "parent").result.result() != server


def test_a_module_that_starts_threads_is_spawned(tmp_path: Path, make: Make) -> None:
    executor, notes = make()
    text = (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    folder = write(tmp_path / "a", PARENT + text)
    assert start(executor, folder, "parent").result.result() == os.getpid()
    assert "project.py:6: threading.Thread" in notes[0]
