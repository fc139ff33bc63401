"""Twelve more things that go wrong: in declarations, loaders, steps and the folder itself.

Each is told by what, where and what to do; nothing is lost; done, the command passes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nenrin.core.lock import FolderLock
from tests.journeys.shell import CHURN, Done, Shell, customers

STEPS = '''"""Numbers and their sum."""
import os
import signal
import time

import nenrin as nr


@nr.step
def numbers():
    return list(range(10))


@nr.step({options})
def total(numbers):
    {body}
    return sum(numbers)
'''
SOUND = STEPS.format(options="", body="pass")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "project.py").write_text(SOUND)
    return Shell(tmp_path, {"NENRIN_WORKERS": "1"})


@pytest.fixture
def churn(tmp_path: Path) -> Shell:
    customers(200).write_csv(tmp_path / "customers.csv")
    (tmp_path / "project.py").write_text(CHURN)
    return Shell(tmp_path, {"NENRIN_WORKERS": "0"})


def _told(shell: Shell, done: Done, *, says: str, at: str, do: str) -> None:
    told = done.err[done.err.index("error: ") :]
    assert says in told, told
    if at:
        lines = shell.project.read_text().splitlines()
        number = next(number for number, text in enumerate(lines, 1) if at in text)
        assert f"where: {shell.project}:{number}\n" in told, told
    assert do in told.partition("do this: ")[2], told


def _mended(shell: Shell) -> None:
    shell.project.write_text(SOUND)
    assert shell.here("run", "--json").json["steps"]["total"] == "45"
    assert "holds" in shell.here("audit", "verify").out


@pytest.mark.parametrize(
    "other",
    [
        "@nr.step\ndef numbers():\n    return [1]\n",
        '@nr.dataset(key="id")\ndef numbers():\n    return {"id": [1]}\n',
        "first = numbers\n\n@nr.step\ndef numbers():\n    return [1]\n",
    ],
)
def test_one_name_for_two_things(shell: Shell, other: str) -> None:
    shell.project.write_text(f"{SOUND}\n{other}")
    done = shell.here("run", code=2)
    does = "give one of them another name"
    _told(shell, done, says="'numbers' is declared twice, first at", at="", do=does)
    lines = shell.project.read_text().splitlines()
    for number in (n for n, line in enumerate(lines, 1) if "def numbers" in line):
        assert (
            f"{shell.project}:{number}" in done.err or f"{shell.project}:{number - 1}" in done.err
        )
    _mended(shell)


def test_a_time_column_of_text(churn: Shell) -> None:
    sound = CHURN.replace('key="customer_id")', 'key="customer_id", time="signed_up")')
    churn.project.write_text(sound)
    table = churn.folder / "customers.csv"
    rows = table.read_text()
    lines = rows.splitlines()
    cells = lines[7].split(",")
    lines[7] = ",".join([cells[0], "last tuesday", *cells[2:]])
    table.write_text("\n".join(lines) + "\n")
    done = churn.here("run", code=3)
    _told(churn, done, says="signed_up", at="customers = nr.file(", do="")
    assert "last tuesday" in done.err
    assert "row 7" in done.err or "row 6" in done.err or "c000006" in done.err
    table.write_text(rows)
    churn.here("data", "load", "customers")
    (loaded,) = churn.here("data", "list", "--json").json
    assert loaded["rows"] == 200


def test_a_folder_that_another_process_holds_and_does_not_answer_for(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nenrin.api.client.PATIENCE", 0.5)
    with FolderLock(shell.folder / ".nenrin"):
        done = shell.here("run", code=9)
        _told(shell, done, says=f"process {os.getpid()} holds", at="", do="end it")
    _mended(shell)


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Not to be written to, not even by root: a read-only mount over itself."""
    ran = subprocess.run(["mount", "--bind", str(folder), str(folder)], check=False)
    if ran.returncode:
        pytest.skip("mounting is not allowed here: run it as root")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_that_is_read_only(shell: Shell) -> None:
    """Before anything is kept, and after."""
    for _ in range(2):
        with _read_only(shell.folder):
            done = shell("run", code=9)
            says, do = "nenrin cannot keep its state in", "folder that you may write to"
            _told(shell, done, says=says, at="", do=do)
        _mended(shell)


@contextmanager
def _small_disk(folder: Path, megabytes: float) -> Iterator[None]:
    size = f"size={int(megabytes * 1024)}k"
    ran = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=False)
    if ran.returncode:
        pytest.skip("mounting is not allowed here: run it as root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("room", [20, 200, 420, 700])
def test_a_disk_that_is_full(tmp_path: Path, room: int) -> None:
    """``room`` kB are left; the numbers take more."""
    folder = tmp_path / "small"
    folder.mkdir()
    with _small_disk(folder, 12):
        shell = Shell(folder, {"NENRIN_WORKERS": "0"})
        text = SOUND.replace("list(range(10))", "list(range(400_000))")
        shell.project.write_text(text)
        ballast = folder / "ballast"
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
        ballast.write_bytes(b"\0" * (free - room * 1024))
        done = shell("run", code=9)
        told = done.err[done.err.index("error: ") :]
        assert "full" in told or "No space left" in told or "no room" in told, told
        assert "room" in told.partition("do this: ")[2], told
        ballast.unlink()
        assert shell("run", "--json").json["steps"]["total"] == "79999800000"
        assert "holds" in shell("audit", "verify").out


def test_a_folder_that_is_served_already(shell: Shell) -> None:
    shell.here("run")
    with shell.up() as up:
        done = shell("up", "--port", "0", code=5)
        _told(
            shell,
            done,
            says=f"another process ({up.process.pid}) writes to",
            at="",
            do="use the running one",
        )
        assert shell("run", "--json").json["ran"] == []
    _mended(shell)


def test_files_that_are_cut_off(churn: Shell) -> None:
    table = churn.folder / "customers.parquet"
    customers(200).write_parquet(table)
    whole = table.read_bytes()
    sound = CHURN.replace("customers.csv", "customers.parquet")
    churn.project.write_text(sound)
    table.write_bytes(whole[: len(whole) // 2])
    done = churn.here("run", code=3)
    _told(
        churn,
        done,
        says="the file of dataset customers cannot be read",
        at="customers = nr.file(",
        do="cut off",
    )
    table.write_bytes(whole)
    churn.here("run")
    text = (churn.folder / "customers.csv").read_bytes()
    churn.project.write_text(CHURN)
    middle = text.index(b"\n", len(text) // 2)
    (churn.folder / "customers.csv").write_bytes(text[: middle + 9])
    done = churn.here("run", code=3)
    says = "ends in the middle of a row"
    _told(churn, done, says=says, at="customers = nr.file(", do="write or copy it again")
    (churn.folder / "customers.csv").write_bytes(text)
    churn.here("run")


LOADING = '''"""Rows from a function."""
import nenrin as nr


@nr.dataset(key="id")
def rows():
    {body}


@nr.step
def count(rows):
    return rows.height
'''


def test_a_loader_that_raises(shell: Shell) -> None:
    shell.project.write_text(LOADING.format(body='raise OSError("the warehouse is closed")'))
    done = shell.here("run", code=10)
    says = "dataset rows raised OSError: the warehouse is closed"
    _told(shell, done, says=says, at="raise OSError", do="try it by itself: rows()")
    _mended(shell)


def test_an_exit_that_would_say_nothing(shell: Shell) -> None:
    """In the project file and in a loader; a child that was forked ends as it wants to."""
    shell.project.write_text("import os\nos._exit(3)\n")
    _told(
        shell, shell("run", code=2), says="raises SystemExit: 3", at="os._exit", do="mend the line"
    )
    shell.project.write_text(LOADING.format(body="import os; os._exit(3)"))
    done = shell("run", code=10)
    _told(shell, done, says="dataset rows raised SystemExit: 3", at="os._exit", do="mend it")
    forks = "import os; pid = os.fork(); pid or os._exit(5); return {'id': [os.waitpid(pid, 0)[1] >> 8]}"
    shell.project.write_text(LOADING.format(body=forks))
    assert shell("run", "--json").json["steps"]["count"] == "1"
    _mended(shell)


def test_a_loader_that_gives_its_rows_one_by_one(shell: Shell) -> None:
    shell.project.write_text(LOADING.format(body='yield from ({"id": n} for n in range(3))'))
    assert shell.here("run", "--json").json["steps"]["count"] == "3"
    frames = "import polars\n    yield from (polars.DataFrame({'id': [n, n + 1]}) for n in (1, 2))"
    shell.project.write_text(LOADING.format(body=frames))
    assert shell.here("run", "--json").json["steps"]["count"] == "4"
    shell.project.write_text(LOADING.format(body='yield {"id": 4}; raise OSError("closed")'))
    done = shell.here("run", code=10)
    _told(shell, done, says="dataset rows raised OSError: closed", at="raise OSError", do="mend it")
    shell.project.write_text(LOADING.format(body="yield 7"))
    done = shell.here("run", code=3)
    _told(shell, done, says="dataset rows gave", at="@nr.dataset", do="list of dicts")
    _mended(shell)


ENDS = [
    ("SIGSEGV", "os.kill", "nenrin logs total"),
    ("SIGKILL", "", "want of memory"),  # nothing is left to tell the line
]


@pytest.mark.parametrize(
    ("body", "says", "at", "do"),
    [
        *[
            (f"os.kill(os.getpid(), signal.{name})", f"ended by {name}", at, do)
            for name, at, do in ENDS
        ],
        ("os._exit(3)", "ended with exit code 3", "@nr.step()", "look for os._exit"),
    ],
)
def test_a_step_that_is_killed(shell: Shell, body: str, says: str, at: str, do: str) -> None:
    shell.project.write_text(STEPS.format(options="", body=body))
    done = shell.here("run", code=10)
    _told(shell, done, says=says, at=at, do=do)
    _mended(shell)


def test_a_step_that_uses_too_much_memory(shell: Shell) -> None:
    body = "kept = [bytes([n % 7]) * 10_000_000 for n in range(90)]; time.sleep(5)"
    shell.project.write_text(
        STEPS.format(options='resources=nr.resources(memory="300MB")', body=body)
    )
    done = shell.here("run", code=10)
    _told(shell, done, says="may use 300 MB", at="kept = [", do="let it use more memory")
    _mended(shell)


def test_a_step_that_takes_too_long(shell: Shell) -> None:
    shell.project.write_text(STEPS.format(options='timeout="2s"', body="time.sleep(60)"))
    done = shell.here("run", code=10)
    _told(
        shell,
        done,
        says="total took longer than the 2 s that it may",
        at="time.sleep",
        do="a longer timeout",
    )
    _mended(shell)
