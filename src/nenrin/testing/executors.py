"""Contract suite for executors.

An adapter proves itself by a test class of its own::

    class TestMyExecutor(ExecutorContract):
        @pytest.fixture
        def executor(self, store_folder):
            executor = MyExecutor(...)
            yield executor
            executor.close()

Processes of their own add :class:`WorkerProcessContract`.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from nenrin.core.errors import ConflictError, DataError, StepError, WorkerLostError
from nenrin.pipelines.executor import Executor
from nenrin.testing.worker_functions import (
    add,
    die,
    die_once,
    fail,
    fail_strangely,
    keep,
    name_of,
    pid,
    variable,
)


class ExecutorContract:
    """What every executor promises. Needs a fixture ``executor``."""

    def test_gives_what_the_function_returns(self, executor: Executor) -> None:
        """Positional and keyword arguments arrive."""
        assert executor.submit(add, 1, right=2).result() == 3

    def test_results_belong_to_their_submission(self, executor: Executor) -> None:
        """Whoever ran what, and in whatever order."""
        futures = [executor.submit(add, number, right=1) for number in range(20)]
        assert [future.result() for future in futures] == list(range(1, 21))

    def test_an_error_comes_out_of_its_future_as_it_was_raised(self, executor: Executor) -> None:
        """With what, where and what to do."""
        future = executor.submit(fail, "broken")
        with pytest.raises(DataError, match="broken") as caught:
            future.result()
        assert (caught.value.hint, caught.value.where) == ("try again", "a.py:1")

    def test_an_error_is_not_the_end(self, executor: Executor) -> None:
        """The next function runs."""
        executor.submit(fail, "broken").exception()
        assert executor.submit(add, 1).result() == 1

    def test_functions_share_the_store(self, executor: Executor) -> None:
        """What one keeps, another finds."""
        assert executor.submit(keep, b"x").result() == executor.submit(keep, b"x").result()

    def test_projects_come_from_the_loader(self, executor: Executor) -> None:
        """The executor was given it."""
        assert executor.submit(name_of, "/somewhere/flights").result() == "flights"

    def test_says_how_many_run_at_a_time(self, executor: Executor) -> None:
        """At least one."""
        assert executor.workers >= 1

    def test_takes_nothing_once_closed(self, executor: Executor) -> None:
        """Closing twice is fine."""
        executor.close()
        executor.close()
        with pytest.raises(ConflictError):
            executor.submit(add, 1)


class WorkerProcessContract:
    """What executors promise that run functions in processes of their own."""

    def test_another_process_runs_it_with_one_thread(self, executor: Executor) -> None:
        """Thread counts are set before anything is imported."""
        assert executor.submit(pid).result() != os.getpid()
        assert executor.submit(variable, "OMP_NUM_THREADS").result() == "1"

    def test_death_in_a_users_function_names_its_line(self, executor: Executor) -> None:
        """Whatever was entered last."""
        with pytest.raises(StepError, match="SIGABRT") as caught:
            executor.submit(die, signal.SIGABRT).result()
        assert (caught.value.where, caught.value.hint) == ("project.py:7", "use rows.pandas()")

    def test_goes_on_after_a_death(self, executor: Executor) -> None:
        """What waits is run by another worker."""
        dies = executor.submit(die, signal.SIGKILL)
        waiting = [executor.submit(add, number) for number in range(4)]
        assert isinstance(dies.exception(), StepError)
        assert [future.result() for future in waiting] == list(range(4))

    def test_what_a_killed_worker_was_at_runs_in_another(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """Whoever killed it meant the worker; what kills each of three fails."""
        assert executor.submit(die_once, str(tmp_path / "mark")).result() == "lived"
        assert isinstance(executor.submit(die, signal.SIGKILL).exception(), WorkerLostError)

    def test_an_exception_that_cannot_travel_is_quoted(self, executor: Executor) -> None:
        """As an error of nenrin's."""
        error = executor.submit(fail_strangely).exception()
        assert isinstance(error, StepError)
        assert "StrangeError: very" in error.message

    def test_counts_the_cpu_of_the_living_and_the_dead(self, executor: Executor) -> None:
        """A killed worker has used its time too."""
        executor.submit(die, signal.SIGKILL).exception()
        living = executor.submit(pid).result()
        executor.close()
        cpu = executor.cpu_by_worker()
        assert living in cpu
        assert len(cpu) >= 2
        assert all(seconds > 0 for seconds in cpu.values())
