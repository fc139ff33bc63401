"""A started task as its parent sees it: heard, held to its limits, ended, explained."""

from __future__ import annotations

import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from nenrin.backends.compute import ends, footprint, lifeline
from nenrin.backends.compute.channels import Channels, Exit, TaskProcess, Theirs
from nenrin.backends.compute.listening import Listener
from nenrin.backends.compute.messages import TaskOrder, packed
from nenrin.backends.compute.task_worker import BEAT
from nenrin.core.errors import StepError
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.executor import Task

T = TypeVar("T")

Make = Callable[[Task, Theirs], TaskProcess]
Over = Callable[[int, float], None]

GRACE = 2.0  # seconds between asking a process to end and making it
_LOOK = 0.1  # seconds between two looks at the memory of a task that has a limit
_CALM = 0.5  # and at everything else
_ANSWER = 1.0  # seconds that a process gets to say where it stands
_QUICK = 0.2  # the same while its memory grows


class Following(Generic[T]):
    """One task, followed by a thread of its own until its processes have ended.

    Attributes:
        result, cpu: as the port has them.

    Args:
        task: how it is run.
        order: what its process is told.
        make: starts the process.
        over: told the process id and CPU seconds when it has ended, before the result is there.
    """

    def __init__(self, task: Task, order: TaskOrder, make: Make, over: Over) -> None:
        self.result: Future[T] = Future()
        self.result.set_running_or_notify_cancel()
        self.cpu = 0.0
        self._task = task
        self._order = order
        self._make = make
        self._over = over
        self._timer = SystemTimer()
        self._began = self._timer.wall()
        self._seen = self._began  # when it was last seen to compute
        self._computed = 0.0
        self._process: TaskProcess | None = None
        self._listener: Listener | None = None
        self._reason: StepError | None = None  # why it was ended from here
        self._asked: float | None = None  # when it was asked to end
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self._follow, name=f"nenrin-task-{task.name}", daemon=True
        )

    def begin(self) -> None:
        """Start the process, from the thread that follows it."""
        self._thread.start()

    def join(self) -> None:
        """Wait until everything is over."""
        self._thread.join()

    @property
    def pid(self) -> int:
        """Of its process; 0 before there is one."""
        return 0 if self._process is None else self._process.pid

    @property
    def heard(self) -> float:
        """When it last said something, or was seen to compute."""
        said = self._began if self._listener is None else self._listener.heard
        return max(said, self._seen)

    def cancel(self) -> None:
        """End its process group: politely, after :data:`GRACE` seconds by force."""
        with self._lock:
            if self._asked is not None or self.result.done():
                return
            self._reason = self._reason or ends.cancelled(self._task)
            self._asked = self._timer.wall()
            if self._process is not None:
                self._ask()

    def _ask(self) -> None:
        lifeline.end_group(self.pid, signal.SIGTERM)
        lifeline.end_group(self.pid, signal.SIGCONT)  # or one that is frozen would never know

    def _follow(self) -> None:
        value: T | None = None
        failure: BaseException | None = None
        try:
            value = self._attended()
        except BaseException as error:  # noqa: BLE001 - no process, a result that cannot be read, its own error
            failure = error
        self._over(self.pid, self.cpu)
        if failure is not None:
            self.result.set_exception(failure)
        else:
            self.result.set_result(value)  # type: ignore[arg-type]

    def _attended(self) -> T:
        with Channels() as channels:
            self._listener = listener = Listener(
                channels, packed(self._order), self._task.said, self._timer
            )
            try:
                listener.send()  # its process, once there is one, need not wait for it
                process = self._started(channels)
                listener.watch(process.pid)
                while listener.outcome is None and not (listener.gone or process.ended()):
                    listener.listen(self._patience())
                    self._look(process, listener, channels.stacks)
                lifeline.end_group(process.pid, signal.SIGKILL)  # whatever it leaves behind
                listener.finish()
                gone = process.wait()
                self.cpu = gone.cpu or (listener.outcome.cpu if listener.outcome else 0.0)
                return self._given(listener, gone, channels.stacks)
            finally:
                listener.close()

    def _started(self, channels: Channels) -> TaskProcess:
        process = self._make(self._task, channels.theirs)
        channels.handed_over()
        with self._lock:
            self._process = process
            if self._asked is not None:
                self._ask()
        return process

    def _patience(self) -> float:
        patience = _CALM if self._task.memory is None else _LOOK
        if self._task.timeout is not None and self._reason is None:
            left = self._began + self._task.timeout - self._timer.wall()
            patience = min(patience, max(left, 0.0))
        return patience if self._asked is None else min(patience, _LOOK)

    def _look(self, process: TaskProcess, listener: Listener, stacks: int) -> None:
        """Hold it to its limits."""
        now = self._timer.wall()
        if self._asked is not None and now > self._asked + GRACE:
            lifeline.end_group(process.pid, signal.SIGKILL)
        if self._reason is not None or listener.outcome is not None:
            return
        if self._task.timeout is not None and now > self._began + self._task.timeout:
            stack = ends.stack_of(process.pid, stacks, _ANSWER, self._timer)
            self._end(process, ends.overdue(self._task, self._stood(listener, stack), stack))
        elif self._task.memory is not None and footprint.WATCHED:
            used = footprint.memory(process.pid, self._task.memory)
            if used > self._task.memory:
                stack = ends.stack_of(process.pid, stacks, _QUICK, self._timer)
                where = self._stood(listener, stack)
                self._end(process, ends.too_big(self._task, used, where, stack))
        if now > self.heard + 2 * BEAT:
            self._look_whether_it_computes(process, now)

    def _end(self, process: TaskProcess, reason: StepError) -> None:
        with self._lock:
            self._reason = self._reason or reason
        lifeline.end_group(process.pid, signal.SIGKILL)

    def _look_whether_it_computes(self, process: TaskProcess, now: float) -> None:
        """Native code that holds the interpreter's lock keeps a worker from saying that it lives."""
        computed = footprint.cpu(process.pid)
        if computed > self._computed:
            self._seen = now
        self._computed = computed

    def _stood(self, listener: Listener, stack: str) -> str:
        return ends.stood(stack, self._task.project, listener.entered)

    def _given(self, listener: Listener, gone: Exit, stacks: int) -> T:
        """What came of it.

        Raises:
            Exception: whatever ended it.
        """
        if listener.outcome is not None:  # it was faster than whoever wanted it to end
            value = pickle.loads(listener.outcome.value)
            if not listener.outcome.failed:
                given: T = value
                return given
            raise value
        if self._reason is not None:
            raise self._reason
        stack = ends.dumped(stacks)
        error = ends.died(self._task.name, gone.returncode, listener.entered, stack)
        error.where = self._stood(listener, stack)
        raise error
