"""Contract suites for tasks that an executor starts in processes of their own.

Both need a fixture ``executor``, which loads projects by ``worker_functions.load_file``; that of processes
also ``maker``, which makes one and can be pickled. A test module imports the fixture ``project`` from here.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nenrin.core.errors import ConflictError, DataError, StepError, WorkerLostError
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.executor import Beat, Executor, Line, Report, Running, Said, Task
from nenrin.testing.waiting import wait_until
from nenrin.testing.worker_functions import add, call, draw, fail, folders, report, variable

_PROJECT = """\
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

WAITING = []


class OddError(ValueError):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def scale(value):
    return value / 0


def divide():
    return scale(1)


def odd():
    raise OddError(1, 2)


def leave():
    raise SystemExit(3)


def speak():
    print("one")
    print("two", file=sys.stderr)
    subprocess.run(["echo", "three"], check=True)
    ctypes.CDLL(None).printf(b"four\\n")
    sys.stdout.write("20 %\\r40 %\\r")
    print("five", end="")


def crash():
    ctypes.string_at(0)


def abort():
    os.abort()


def end(number):
    os.kill(os.getpid(), number)


def grow():
    held = []
    while True:
        held.append(b"x" * 10_000_000)


def child_grows():
    child = subprocess.Popen(
        [sys.executable, "-c", "held = b'x' * 300_000_000; input()"], stdin=subprocess.PIPE
    )
    child.wait()


def sleep(flag=None):
    if flag:
        Path(flag).write_text(str(os.getpid()))
    while True:
        time.sleep(0.01)


def stubborn(flag):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleep(flag)


def compute():
    sum(range(10**12))


def leave_behind():
    child = subprocess.Popen(["sleep", "1000"])
    return child.pid


def big(size):
    return b"x" * size
"""


def _line(text: str) -> int:
    return _PROJECT.splitlines().index(text) + 1


class _Project:
    """A project in a folder, whose functions an executor runs."""

    def __init__(self, executor: Executor, folder: Path) -> None:
        self.executor = executor
        self.folder = folder
        self.said: list[Said] = []
        self._started: list[Running[Any]] = []
        (folder / "project.py").write_text(_PROJECT)

    def start(self, name: str, *args: Any, **limits: Any) -> Running[Any]:
        task = Task(name="report", project=self.folder, said=self.said.append, **limits)
        running = self.executor.start(task, call, str(self.folder), name, *args)
        self._started.append(running)
        return running

    def end(self) -> None:
        """Cancel what a test that failed has left: an executor waits for all of it when it is closed."""
        for running in self._started:
            running.cancel()

    def error(self, name: str, *args: Any, **limits: Any) -> StepError:
        error = self.start(name, *args, **limits).result.exception()
        assert isinstance(error, StepError), error
        return error

    def where(self, text: str) -> str:
        return f"{self.folder / 'project.py'}:{_line(text)}"

    def lines(self, stream: str) -> list[str]:
        return [s.text for s in self.said if isinstance(s, Line) and s.stream == stream]


@pytest.fixture
def project(executor: Executor, tmp_path: Path) -> Iterator[_Project]:
    """A project with functions that do everything that users' do."""
    folder = tmp_path / "revision"
    folder.mkdir()
    made = _Project(executor, folder)
    yield made
    made.end()


def is_alive(pid: int) -> bool:
    """Whether a process runs: one that nobody has collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class StartContract:
    """What every executor promises of :meth:`Executor.start`."""

    def test_gives_what_the_function_returns_and_ends(self, executor: Executor) -> None:
        """Positional and keyword arguments arrive."""
        running = executor.start(Task(name="sum"), add, 1, right=2)
        assert running.result.result() == 3
        assert running.cpu >= 0.0
        running.cancel()
        assert running.result.result() == 3

    def test_an_error_of_nenrins_comes_as_it_was_raised(self, executor: Executor) -> None:
        """With what, where and what to do."""
        with pytest.raises(DataError, match="broken") as caught:
            executor.start(Task(name="sum"), fail, "broken").result.result()
        assert (caught.value.hint, caught.value.where) == ("try again", "a.py:1")

    def test_any_other_error_is_explained_at_the_users_last_line(self, project: _Project) -> None:
        """Its own frames come first; who retries can see what it was."""
        error = project.error("divide")
        assert error.message == "report raised ZeroDivisionError: division by zero"
        assert error.where == project.where("    return value / 0")
        assert error.raised == ("ZeroDivisionError", "ArithmeticError", "Exception")
        first, whole = error.trace.split("Whole traceback:")
        assert "worker_functions" not in first
        assert "worker_functions" in whole
        assert first.index("in divide") < first.index("in scale")

    def test_an_exception_that_cannot_travel_is_explained_too(self, project: _Project) -> None:
        """Classes of the project's are known to nobody else."""
        error = project.error("odd")
        assert error.message == "report raised OddError: 1 and 2"
        assert error.raised == ("OddError", "ValueError", "Exception")

    def test_reports_are_heard(self, executor: Executor) -> None:
        """In their order, before the result is there."""
        said: list[Said] = []
        executor.start(Task(name="r", said=said.append), report).result.result()
        reports = [each for each in said if isinstance(each, Report)]
        assert reports == [Report(done, 2, f"part {done}") for done in range(3)]

    def test_a_listener_that_raises_does_no_harm(self, executor: Executor) -> None:
        """The task goes on."""

        def refuse(_said: Said) -> None:
            raise ValueError("no")

        executor.start(Task(name="r", said=refuse), report).result.result()

    def test_draws_follow_the_seed(self, executor: Executor) -> None:
        """In whatever process they are made."""
        first, again, other = (
            executor.start(Task(name="draw", seed=seed), draw).result.result() for seed in (7, 7, 8)
        )
        assert first == again
        assert first[0] != other[0]
        assert first[1] != other[1]

    def test_starts_nothing_once_closed(self, executor: Executor) -> None:
        """As for ``submit``."""
        executor.close()
        with pytest.raises(ConflictError):
            executor.start(Task(name="sum"), add, 1)


class StartedProcessContract:
    """What executors promise of tasks that have a process of their own.

    Attributes:
        orphans: functions that run when their executor's process is killed, as many as run at a time.
    """

    orphans: tuple[str, ...] = ("compute", "sleep", "child_grows")

    def test_has_a_group_and_one_thread_of_its_own(self, project: _Project) -> None:
        """Another process for every task."""
        executor = project.executor
        assert executor.start(Task(name="v"), variable, "OMP_NUM_THREADS").result.result() == "1"
        running = project.start("sleep")
        pid = wait_until(lambda: running.pid)
        wait_until(lambda: any(isinstance(said, Beat) for said in project.said))
        assert os.getpgid(pid) == pid
        assert pid != project.start("big", 1).pid
        running.cancel()
        running.result.exception()
        assert not is_alive(pid)

    def test_works_in_its_scratch_folder(self, executor: Executor, tmp_path: Path) -> None:
        """And knows it."""
        task = Task(name="folders", scratch=tmp_path)
        assert executor.start(task, folders).result.result() == (str(tmp_path), str(tmp_path))

    def test_what_it_writes_comes_line_by_line(self, project: _Project) -> None:
        """Of Python, of C, of its children; progress bars, and a line without an end."""
        project.start("speak").result.result()
        assert project.lines("stdout") == ["one", "three", "four", "20 %", "40 %", "five"]
        assert project.lines("stderr") == ["two"]

    def test_big_arguments_and_results_pass(self, project: _Project) -> None:
        """Bigger than any buffer."""
        running = project.executor.start(
            Task(name="big"), call, str(project.folder), "len", b"x" * 5_000_000
        )
        assert isinstance(running.result.exception(), StepError)  # a project has no len
        assert len(project.start("big", 5_000_000).result.result()) == 5_000_000

    def test_leaving_is_an_error_at_its_line(self, project: _Project) -> None:
        """``sys.exit`` ends nothing but the step."""
        error = project.error("leave")
        assert error.message == "report raised SystemExit: 3"
        assert error.where == project.where("    raise SystemExit(3)")

    @pytest.mark.parametrize(
        ("name", "line", "number"),
        [("crash", "    ctypes.string_at(0)", "SIGSEGV"), ("abort", "    os.abort()", "SIGABRT")],
    )
    def test_a_death_in_native_code_names_the_users_line(
        self, project: _Project, name: str, line: str, number: str
    ) -> None:
        """It is no loss: it would happen again."""
        error = project.error(name)
        assert number in error.message
        assert error.where == project.where(line)
        assert not isinstance(error, WorkerLostError)

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_a_process_that_somebody_kills_is_lost(
        self, project: _Project, number: signal.Signals
    ) -> None:
        """Another attempt may do."""
        assert isinstance(project.error("end", number), WorkerLostError)
        assert len(project.start("big", 3).result.result()) == 3

    def test_too_much_memory_ends_it(self, project: _Project) -> None:
        """At the line where it stood."""
        error = project.error("grow", memory=200_000_000)
        assert error.message.startswith("report used ")
        assert error.message.endswith(" MB, may use 200 MB")
        assert error.where in {
            project.where('        held.append(b"x" * 10_000_000)'),
            project.where("    while True:"),
        }

    def test_memory_of_its_children_counts(self, project: _Project) -> None:
        """And what it stays below of is no matter."""
        assert project.start("big", 1_000_000, memory=500_000_000).result.result()
        error = project.error("child_grows", memory=250_000_000)
        assert error.message.endswith(" MB, may use 250 MB")

    def test_too_much_time_ends_it(self, project: _Project) -> None:
        """At the line where it stood, with its stack."""
        error = project.error("sleep", timeout=2.0)
        assert error.message == "report took longer than the 2 s that it may"
        assert error.where == project.where("        time.sleep(0.01)")
        assert "in sleep" in error.trace

    @pytest.mark.parametrize("name", ["sleep", "stubborn"])
    def test_cancelling_ends_it(self, project: _Project, tmp_path: Path, name: str) -> None:
        """Also one that does not want to."""
        flag = tmp_path / "flag"
        running = project.start(name, str(flag))
        wait_until(flag.exists)
        running.cancel()
        running.cancel()
        error = running.result.exception()
        assert isinstance(error, StepError)
        assert error.message == "report was cancelled"
        assert not is_alive(running.pid)

    def test_cancelling_at_once_ends_it(self, project: _Project) -> None:
        """Before it has a process."""
        running = project.start("sleep")
        running.cancel()
        assert "cancelled" in str(running.result.exception())

    def test_a_frozen_process_is_not_heard_and_can_be_cancelled(
        self, project: _Project, tmp_path: Path
    ) -> None:
        """While it lives it says so every second."""
        flag = tmp_path / "flag"
        running = project.start("sleep", str(flag))
        wait_until(flag.exists)
        pid = wait_until(lambda: running.pid)
        heard = running.heard
        wait_until(lambda: running.heard > heard)
        os.kill(pid, signal.SIGSTOP)
        SystemTimer().sleep(0.2)
        heard = running.heard
        SystemTimer().sleep(3.5)
        assert running.heard - heard < 2.5  # what it computed before may be noticed once more
        heard = running.heard
        SystemTimer().sleep(1.5)
        assert running.heard == heard
        running.cancel()
        assert "cancelled" in str(running.result.exception())

    def test_native_code_that_holds_the_interpreter_counts_as_alive(
        self, project: _Project
    ) -> None:
        """It cannot say so."""
        running = project.start("compute")
        try:
            wait_until(lambda: any(isinstance(said, Beat) for said in project.said))
            began = SystemTimer().wall()
            wait_until(lambda: running.heard > began + 3.0)
        finally:
            running.cancel()
            running.result.exception()

    def test_nothing_is_left_behind(self, project: _Project) -> None:
        """What it started ends with it."""
        pid = project.start("leave_behind").result.result()
        wait_until(lambda: not is_alive(pid))

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc")
    def test_no_descriptor_and_no_thread_is_left(self, project: _Project) -> None:
        """However a task ends."""
        project.start("big", 1).result.result()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for name in ("big", "odd", "abort"):
            project.start(name, *([3] if name == "big" else [])).result.exception()
        running = project.start("sleep")
        running.cancel()
        running.result.exception()
        wait_until(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before)
        wait_until(lambda: not any("nenrin-task" in each.name for each in threading.enumerate()))

    def test_cpu_is_counted(self, project: _Project) -> None:
        """Also of what was killed."""
        running = project.start("grow", memory=300_000_000)
        running.result.exception()
        assert running.cpu > 0.0
        assert project.executor.cpu_by_worker()[running.pid] >= running.cpu

    def test_nothing_outlives_the_process_that_started_it(
        self, project: _Project, maker: Callable[[], Executor]
    ) -> None:
        """However it ended: here by SIGKILL, while native code runs and while children do."""
        script = [sys.executable, "-c", _ORPHANS, pickle.dumps(maker).hex(), str(project.folder)]
        script += self.orphans
        with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            pids = [int(pid) for pid in parent.stdout.readline().split()]
            assert all(map(is_alive, pids))
            parent.kill()
        wait_until(lambda: not any(map(is_alive, pids)))


_ORPHANS = """\
import pickle, sys, time
from pathlib import Path
from nenrin.backends.compute import footprint
from nenrin.pipelines.executor import Beat, Task
from nenrin.testing.worker_functions import call
make, folder = pickle.loads(bytes.fromhex(sys.argv[1])), sys.argv[2]
executor = make()
heard = []
started = [
    executor.start(Task(name=name, project=Path(folder), said=heard.append), call, folder, name)
    for name in sys.argv[3:]
]
while sum(isinstance(said, Beat) for said in heard) < 2 * len(started):
    time.sleep(0.01)
pids = {pid for task in started for pid in footprint.tree(task.pid)}
print(*pids, flush=True)
time.sleep(1000)
"""
