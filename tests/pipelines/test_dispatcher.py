"""The dispatcher: leases, retries, losses; of two leases one commits, and a late result is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nenrin.backends.sql.database import Database
from nenrin.backends.sql.jobs import SqlJobs
from nenrin.core.calendar import SystemCalendar
from nenrin.core.errors import StepError, WorkerLostError
from nenrin.core.jobs import Job, Needs, Retries, Room
from nenrin.core.unit import Unit
from nenrin.pipelines.dispatcher import LOSSES, Dispatcher, Ended
from nenrin.pipelines.executor import Executor, Task, WorkerContext
from nenrin.pipelines.logs import StepLogs

CALL = "tests.pipelines.test_dispatcher:work"


def work(context: WorkerContext, payload: Any) -> Any:
    """Never called: the executor here only pretends."""


class Clock:
    """A timer that stands until it is moved; ``jumped``: by how much somebody has set the machine's clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.jumped = 0.0

    def wall(self) -> float:
        return self.now

    def cpu(self) -> float:
        return 0.0

    def epoch(self) -> float:
        return self.now + self.jumped

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Pretended:
    """A process that does what the test says."""

    def __init__(self, task: Task, payload: Any, clock: Clock) -> None:
        self.task = task
        self.payload = payload
        self.result: Future[Any] = Future()
        self.heard = clock.now
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()


class Pretending:
    """An executor whose processes end when the test ends them."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.started: list[Pretended] = []

    def start(self, task: Task, _function: Callable[..., Any], payload: Any) -> Pretended:
        assert task.scratch is not None
        task.scratch.mkdir(parents=True)
        self.started.append(Pretended(task, payload, self.clock))
        return self.started[-1]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def executor(clock: Clock) -> Pretending:
    return Pretending(clock)


@pytest.fixture
def units(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path / 'state.db'}", durable=False) as database:
        yield database


@pytest.fixture
def make(
    units: Database, executor: Executor, clock: Clock, tmp_path: Path
) -> Callable[..., Dispatcher]:
    def make(worker: str = "a", machine: Room = Room(2.0, 1000, 8)) -> Dispatcher:  # noqa: B008
        return Dispatcher(
            units=units,
            jobs=SqlJobs(),
            executor=lambda: executor,
            calendar=SystemCalendar(),
            timer=clock,
            environment="dev",
            machine=machine,
            scratch=tmp_path / "scratch",
            worker=worker,
            logs=StepLogs(tmp_path / "logs"),
            lease=30.0,
        )

    return make


@pytest.fixture
def dispatcher(make: Callable[..., Dispatcher]) -> Dispatcher:
    return make()


def job(number: int = 1, **more: Any) -> Job:
    plain = Job(id=f"job-{number}", run="run-1", name=f"step {number}", call=CALL, payload=number)
    return msgspec.structs.replace(plain, **more)


def commit(unit: Unit, value: Any) -> str:
    unit.record("step.finished", str(value), {})
    return f"digest of {value}"


def state(units: Database, name: str = "job-1") -> Job:
    with units.read("dev") as unit:
        found = SqlJobs().get(unit, name)
    assert found is not None
    return found


def test_what_a_job_gives_is_committed_with_its_end(
    dispatcher: Dispatcher, executor: Pretending, units: Database
) -> None:
    dispatcher.add(job(), commit)
    assert dispatcher.step(0) == []
    executor.started[0].result.set_result("seven")
    (ended,) = dispatcher.step(0)
    assert (ended.output, ended.error) == ("digest of seven", None)
    assert (state(units).state, state(units).output) == ("done", "digest of seven")
    assert [event.subject for event in units.events("dev")] == ["seven"]
    assert not dispatcher.busy


def test_as_many_run_as_the_machine_has_room_for(
    dispatcher: Dispatcher, executor: Pretending
) -> None:
    for number in range(5):
        dispatcher.add(job(number), commit)
    for _ in range(3):
        dispatcher.step(0)
    assert [started.payload for started in executor.started] == [0, 1]
    executor.started[1].result.set_result(1)
    dispatcher.step(0)
    dispatcher.step(0)
    assert [started.payload for started in executor.started] == [0, 1, 2]


def test_a_job_that_needs_more_than_there_is_runs_alone(
    dispatcher: Dispatcher, executor: Pretending
) -> None:
    dispatcher.add(job(1, needs=Needs(64.0, 10**9)), commit)
    dispatcher.add(job(2), commit)
    dispatcher.step(0)
    dispatcher.step(0)
    assert [started.payload for started in executor.started] == [1]
    assert executor.started[0].task.memory == 10**9


def test_an_attempt_has_a_folder_of_its_own_and_leaves_nothing(
    dispatcher: Dispatcher, executor: Pretending, tmp_path: Path
) -> None:
    dispatcher.add(job(), commit)
    dispatcher.step(0)
    scratch = executor.started[0].task.scratch
    assert scratch is not None
    (scratch / "side file").write_text("left behind")
    executor.started[0].result.set_result(1)
    dispatcher.step(0)
    assert list((tmp_path / "scratch").iterdir()) == []


def broken(kind: type[Exception]) -> StepError:
    return StepError.of(kind("no"), "step 1 raised", hint="mend it", where="project.py:3")


def test_a_declared_exception_is_worth_another_attempt(
    dispatcher: Dispatcher, executor: Pretending, clock: Clock, units: Database
) -> None:
    dispatcher.add(job(retries=Retries(times=2, backoff=5.0, on=("OSError",))), commit)
    for attempt, wait in ((0, 5.0), (1, 10.0)):
        dispatcher.step(0)
        executor.started[attempt].result.set_exception(broken(ConnectionResetError))
        assert dispatcher.step(0) == []
        clock.sleep(wait - 1)
        dispatcher.step(0)
        assert len(executor.started) == attempt + 1
        clock.sleep(1)
    dispatcher.step(0)
    executor.started[2].result.set_exception(broken(ConnectionResetError))
    (ended,) = dispatcher.step(0)
    assert isinstance(ended.error, StepError)
    assert (state(units).state, state(units).attempt) == ("failed", 3)
    assert state(units).error["where"] == "project.py:3"


def test_any_other_exception_ends_the_job(dispatcher: Dispatcher, executor: Pretending) -> None:
    dispatcher.add(job(retries=Retries(times=2, on=("OSError",))), commit)
    dispatcher.step(0)
    executor.started[0].result.set_exception(broken(ValueError))
    (ended,) = dispatcher.step(0)
    assert isinstance(ended.error, StepError)


def test_a_killed_worker_loses_the_work_which_goes_on_elsewhere(
    dispatcher: Dispatcher, executor: Pretending, units: Database
) -> None:
    dispatcher.add(job(), commit)
    ended: list[Ended] = []
    for attempt in range(LOSSES):
        assert ended == []
        dispatcher.step(0)
        executor.started[attempt].result.set_exception(WorkerLostError("killed"))
        ended = dispatcher.step(0)
    assert isinstance(ended[0].error, WorkerLostError)
    assert (state(units).state, state(units).attempt) == ("failed", LOSSES)


def test_a_frozen_worker_loses_its_lease_and_its_late_result_is_refused(
    dispatcher: Dispatcher, executor: Pretending, clock: Clock, units: Database, tmp_path: Path
) -> None:
    dispatcher.add(job(), commit)
    dispatcher.step(0)
    frozen = executor.started[0]
    assert frozen.task.scratch is not None
    (frozen.task.scratch / "side file").write_text("half")
    clock.sleep(31.0)
    dispatcher.step(0)
    assert frozen.cancelled.is_set()
    assert not frozen.task.scratch.exists()
    dispatcher.step(0)
    assert len(executor.started) == 2
    frozen.result.set_result("late")
    assert dispatcher.step(0) == []
    executor.started[1].result.set_result("in time")
    (ended,) = dispatcher.step(0)
    assert ended.output == "digest of in time"
    healed, committed = units.events("dev")
    assert (healed.kind, healed.body) == ("healed.rerun", {"why": "its worker was silent"})
    assert committed.subject == "in time"
    assert (state(units).attempt, state(units).lost) == (2, 1)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_worker_that_is_heard_keeps_its_lease(
    dispatcher: Dispatcher, executor: Pretending, clock: Clock
) -> None:
    dispatcher.add(job(), commit)
    for _ in range(10):
        dispatcher.step(0)
        clock.sleep(20.0)
        executor.started[0].heard = clock.now
    dispatcher.step(0)
    assert len(executor.started) == 1
    assert not executor.started[0].cancelled.is_set()


def test_of_two_dispatchers_one_commits(
    make: Callable[..., Dispatcher], executor: Pretending, units: Database
) -> None:
    first, second = make("a"), make("b")
    first.add(job(), commit)
    first.step(0)
    with units.write("dev", 0) as unit:
        SqlJobs().release(unit)  # as if the first had died
    second.add(job(), commit)
    second.step(0)
    executor.started[0].result.set_result("first")
    assert first.step(0) == []
    executor.started[1].result.set_result("second")
    (ended,) = second.step(0)
    assert ended.output == "digest of second"
    assert [event.subject for event in units.events("dev")] == ["second"]


def test_a_cancelled_run_ends_its_processes(
    dispatcher: Dispatcher, executor: Pretending, units: Database, tmp_path: Path
) -> None:
    for number in range(4):
        dispatcher.add(job(number), commit)
    dispatcher.step(0)
    dispatcher.cancel()
    assert all(started.cancelled.is_set() for started in executor.started)
    assert {state(units, f"job-{number}").state for number in range(4)} == {"cancelled"}
    assert not dispatcher.busy
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_is_set_delays_no_attempt_and_ends_no_lease(
    dispatcher: Dispatcher, executor: Pretending, clock: Clock, hours: int
) -> None:
    dispatcher.add(job(retries=Retries(1, 2.0, ("ValueError",))), commit)
    dispatcher.step(0)
    clock.jumped = hours * 3600.0
    executor.started[0].heard = clock.now
    dispatcher.step(0)
    assert not executor.started[0].cancelled.is_set()
    error = StepError("no")
    error.raised = ("ValueError",)
    executor.started[0].result.set_exception(error)
    dispatcher.step(0)
    dispatcher.step(0)
    assert (
        len(executor.started) == 1
    )  # two seconds are to be waited, however late the clock says it is
    clock.sleep(2.5)
    dispatcher.step(0)
    assert len(executor.started) == 2
    executor.started[1].result.set_result("7")
    (ended,) = dispatcher.step(0)
    assert ended.output == "digest of 7"


def test_what_makes_every_worker_silent_is_given_up(
    dispatcher: Dispatcher, executor: Pretending, clock: Clock, units: Database
) -> None:
    dispatcher.add(job(), commit)
    ended: list[Ended] = []
    for _ in range(LOSSES):
        ended += dispatcher.step(0)
        clock.sleep(31.0)
        ended += dispatcher.step(0)
    (over,) = ended
    assert isinstance(over.error, WorkerLostError)
    assert "gave no sign of life" in over.error.message
    assert len(executor.started) == LOSSES
    assert not dispatcher.busy
    assert state(units).state == "failed"


def test_what_ends_together_is_committed_together(
    dispatcher: Dispatcher, executor: Pretending, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    opened = dispatcher._unit
    for number in (1, 2):
        dispatcher.add(job(number), commit)
    for _ in range(2):
        dispatcher.step(0)
    for each in executor.started:
        each.result.set_result("out")
    monkeypatch.setattr(dispatcher, "_unit", lambda: (written.append(1), opened())[1])
    assert len(dispatcher.step(1)) == 2
    assert len(written) == 1


def test_what_ends_and_what_begins_in_its_place_are_one_commit(
    dispatcher: Dispatcher,
    executor: Pretending,
    units: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[int] = []
    opened = dispatcher._unit
    for number in range(4):
        dispatcher.add(job(number), commit)
    dispatcher.step(0)
    assert [started.payload for started in executor.started] == [0, 1]
    monkeypatch.setattr(dispatcher, "_unit", lambda: (written.append(1), opened())[1])
    for number in range(2):
        executor.started[number].result.set_result("out")
        dispatcher.step(1)
        assert executor.started[-1].payload == number + 2
        assert state(units, f"job-{number + 2}").state == "leased"
    assert len(written) == 2


def test_what_cannot_be_committed_leases_nothing(
    dispatcher: Dispatcher, executor: Pretending, units: Database
) -> None:
    def refuse(_unit: Unit, _value: object) -> str:
        raise ValueError("no such thing")

    for number in range(3):
        dispatcher.add(job(number), refuse)
    dispatcher.step(0)
    executor.started[0].result.set_result("out")
    with pytest.raises(ValueError, match="no such thing"):
        dispatcher.step(1)
    assert len(executor.started) == 2
    assert state(units, "job-2").state == "waiting"


def test_one_that_cannot_be_committed_leaves_the_others_alone(
    dispatcher: Dispatcher, executor: Pretending, units: Database
) -> None:
    def refuse(_unit: Unit, _value: object) -> str:
        raise ValueError("no such thing")

    dispatcher.add(job(1), commit)
    dispatcher.add(job(2), refuse)
    for _ in range(2):
        dispatcher.step(0)
    for each in executor.started:
        each.result.set_result("out")
    with pytest.raises(ValueError, match="no such thing"):
        dispatcher.step(1)
    assert state(units, "job-1").state == "done"
    assert state(units, "job-2").state == "leased"
