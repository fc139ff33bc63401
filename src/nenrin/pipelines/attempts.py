"""Attempts at jobs: the processes that work on what is leased, and the room that they leave."""

from __future__ import annotations

import logging
import os
import queue
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from nenrin.core.jobs import Job, Room
from nenrin.core.logs import about
from nenrin.pipelines.executor import Executor, Running, Task
from nenrin.pipelines.logs import StepLogs

_LOG = logging.getLogger(__name__)

Lease = tuple[str, int]
"""A job's id, and the number of the attempt."""


class Attempt:
    """One lease, and the process that works on it."""

    def __init__(self, job: Job, running: Running[Any], scratch: Path) -> None:
        self.job = job
        self.running = running
        self.scratch = scratch


class Attempts:
    """The attempts that are under way.

    Args:
        executor: gives the executor, started when the first job needs it.
        machine: what the machine has.
        scratch: folder in which every attempt gets one of its own, gone with it.
        logs: where what jobs write is kept.
    """

    def __init__(
        self, executor: Callable[[], Executor], machine: Room, scratch: Path, logs: StepLogs
    ) -> None:
        self._executor = executor
        self._machine = machine
        self._scratch = scratch
        self._logs = logs
        self._under_way: dict[Lease, Attempt] = {}
        self._over: queue.SimpleQueue[Lease] = queue.SimpleQueue()

    @property
    def leases(self) -> list[Lease]:
        """Those under way."""
        return list(self._under_way)

    def begin(self, job: Job) -> None:
        """Start a process that works on a job."""
        lease = (job.id, job.attempt)
        scratch = self._scratch / f"{job.id}-{job.attempt}"
        task = Task(
            name=job.name,
            project=Path(job.project) if job.project else None,
            seed=job.seed,
            cpus=job.needs.cpus,
            gpus=job.needs.gpus,
            memory=job.needs.memory,
            environ={name: os.environ.get(name) for name in job.env},
            timeout=job.timeout,
            scratch=scratch,
            said=lambda said: self._logs.heard(job, said),
        )
        with about(run=job.run, step=job.name):
            _LOG.info("attempt %d begins", job.attempt)
        running = self._executor().start(task, called(job.call), job.payload)
        self._under_way[lease] = Attempt(job, running, scratch)
        running.result.add_done_callback(lambda _: self._over.put(lease))

    def over(self, wait: float) -> list[Attempt]:
        """Those that have ended by themselves: all there are, once one has; none after ``wait`` seconds."""
        try:
            leases = [self._over.get(timeout=wait)]
        except queue.Empty:
            return []
        while not self._over.empty():
            leases.append(self._over.get())
        # one whose lease was lost is not there any more, and its side files went with it
        found = [self._under_way.pop(lease, None) for lease in leases]
        return [attempt for attempt in found if attempt is not None]

    def silent(self, since: float) -> dict[Lease, Job]:
        """The jobs of those that were last heard before an instant of the timer's ``wall``."""
        return {
            lease: attempt.job
            for lease, attempt in self._under_way.items()
            if attempt.running.heard < since
        }

    def drop(self, lease: Lease) -> None:
        """End an attempt's process; whatever it may still give is refused."""
        attempt = self._under_way.pop(lease)
        attempt.running.cancel()
        shutil.rmtree(attempt.scratch, ignore_errors=True)

    def free(self, left: int, least: float) -> Room | None:
        """What those under way leave to others of ``left`` jobs; None where no other waits, or may fit.

        All of it where none is under way, however much the next one needs.

        Args:
            left: jobs that are not over.
            least: cores that each of them needs.
        """
        if len(self._under_way) >= left:
            return None
        if not self._under_way:
            return Room(cpus=float("inf"), memory=2**62, jobs=1, gpus=float("inf"))
        needs = [attempt.job.needs for attempt in self._under_way.values()]
        cpus = self._machine.cpus - sum(need.cpus for need in needs)
        jobs = self._machine.jobs - len(needs)
        if cpus < least or jobs <= 0:
            return None
        return Room(
            cpus=cpus,
            memory=self._machine.memory - sum(need.memory or 0 for need in needs),
            jobs=min(jobs, int(cpus / least)) if least else jobs,
            gpus=self._machine.gpus - sum(need.gpus for need in needs),
        )


def called(call: str) -> Callable[..., Any]:
    """The function of ``module:function``."""
    module, _, name = call.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
