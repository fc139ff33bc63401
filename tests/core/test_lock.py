"""One writing process a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nenrin.core.errors import ConflictError, UnavailableError
from nenrin.core.lock import PATIENCE, FolderLock

_HOLD = """
import sys, time
from pathlib import Path
from nenrin.core.lock import PATIENCE, FolderLock
with FolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def another_process_holds(folder: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_holds_until_released(tmp_path: Path) -> None:
    lock, other = FolderLock(tmp_path / ".nenrin"), FolderLock(tmp_path / ".nenrin")
    assert other.held_by() is None
    lock.acquire()
    assert lock.held_by() == other.held_by() == os.getpid()
    assert not other.try_acquire()
    assert lock.try_acquire()
    lock.release()
    lock.release()
    assert other.held_by() is None
    with other:
        assert lock.held_by() == os.getpid()
    assert other.held_by() is None


def test_says_who_holds_it(tmp_path: Path) -> None:
    with another_process_holds(tmp_path) as process:
        assert FolderLock(tmp_path).held_by() == process.pid
        with pytest.raises(ConflictError, match=str(process.pid)):
            FolderLock(tmp_path).acquire()


class Passes:
    """Time that passes where somebody waits, until something happens."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.now, self.then = 0.0, then

    def wall(self) -> float:
        return self.now

    cpu = wall

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now > 1:
            self.then()


def test_who_holds_it_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    said: list[str] = []
    holder = FolderLock(tmp_path)
    holder.acquire()
    lock = FolderLock(tmp_path, Passes(holder.release))
    lock.acquire(said.append)
    lock.release()
    assert said == [f"another process ({os.getpid()}) writes to {tmp_path}: waiting for its end"]


@pytest.mark.parametrize("stays", [True, False])
def test_who_stays_is_not_waited_for_and_nobody_for_good(tmp_path: Path, stays: bool) -> None:
    said: list[str] = []
    timer = Passes()
    with FolderLock(tmp_path, stays=stays):
        assert FolderLock(tmp_path).held_by() == os.getpid()
        with pytest.raises(ConflictError, match=f"another process .{os.getpid()}. writes to"):
            FolderLock(tmp_path, timer).acquire(said.append)
    assert len(said) == (not stays)
    assert timer.now < 0.1 if stays else timer.now > PATIENCE


def test_a_killed_holder_gives_it_back(tmp_path: Path) -> None:
    with another_process_holds(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        lock = FolderLock(tmp_path)
        assert lock.held_by() is None
        with lock:
            assert lock.held_by() == os.getpid()


def test_a_look_is_no_holder(tmp_path: Path) -> None:
    class Looks:
        """Waits by letting the look end."""

        def __init__(self, look: int) -> None:
            self.look, self.waited = look, 0

        def wall(self) -> float:
            return 0.0

        cpu = wall

        def sleep(self, seconds: float) -> None:
            self.waited += 1
            if self.waited == 2:
                os.close(self.look)

    import fcntl

    (tmp_path / "lock").touch()
    look = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)
    timer = Looks(look)
    with FolderLock(tmp_path, timer):
        assert timer.waited == 2


def test_children_do_not_inherit_it(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    lock.acquire()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        lock.release()
        assert FolderLock(tmp_path).held_by() is None
        child.kill()


@pytest.mark.parametrize("deeper", ["", "predictions"])
def test_a_file_where_the_folder_belongs_is_said(tmp_path: Path, deeper: str) -> None:
    (tmp_path / ".nenrin").write_text("")
    lock = FolderLock(tmp_path / ".nenrin" / deeper)
    assert lock.held_by() is None
    with pytest.raises(ConflictError, match="is a file") as caught:
        lock.acquire()
    assert "move the file away" in caught.value.hint


def test_a_folder_that_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(UnavailableError, match="Permission denied"):
        FolderLock(tmp_path / ".nenrin").acquire()
