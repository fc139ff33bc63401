"""Jobs: work as rows with leases, so that a worker that dies loses its work and not more.

A job waits, is leased to a worker for a while, and is done, failed or cancelled. A lease is the pair of a job
and the number of the attempt: whoever finishes an attempt that is not the newest is refused, so of two leases
of a job one commits. Leases, attempts and workers are observations of machines and never events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

from nenrin.core.unit import Unit

JobState = Literal["waiting", "leased", "done", "failed", "cancelled"]


class Retries(msgspec.Struct, frozen=True):
    """How often a failed attempt is made again.

    Attributes:
        times: attempts after the first.
        backoff: seconds before the second attempt; doubled before each further one.
        on: names of the exception classes that are worth another attempt, and of their base classes.
    """

    times: int = 0
    backoff: float = 1.0
    on: tuple[str, ...] = ()

    def wait(self, attempt: int) -> float:
        """Seconds between the failed ``attempt`` (the first is 1) and the next."""
        return float(self.backoff * 2 ** (attempt - 1))


class Needs(msgspec.Struct, frozen=True):
    """What a job takes of a machine: cores, bytes of memory that it may use (None: no limit), GPUs."""

    cpus: float = 1.0
    memory: int | None = None
    gpus: float = 0.0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work.

    Attributes:
        id: derived from its run and its name.
        run: what asked for it: jobs of a run are listed and cancelled together.
        name: the step's name.
        call: ``module:function``, called with a worker's context and the payload.
        payload: plain values.
        project: folder of the unpacked revision whose code it runs; empty: no project's.
        seed: what numpy, random and torch are seeded with.
        priority: higher is taken first; among equals the oldest.
        needs: what it takes of a machine.
        env: environment variables that it reads, as they are where its run is.
        timeout: seconds that an attempt may take; None: any.
        retries: how often a failed attempt is made again.
        state: where it stands.
        attempt: number of the newest attempt; 0 before the first.
        lost: attempts that ended with their worker, not with the work.
        worker: who holds the lease, or held it last; before the first, whose run it is.
        ready: seconds since 1970 before which it is not taken (backoff).
        output: digest of what it gave; empty unless done.
        error: what the newest failed attempt said: message, where, hint.
    """

    id: str
    run: str
    name: str
    call: str
    payload: Any = None
    project: str = ""
    seed: int = 0
    priority: int = 0
    needs: Needs = Needs()
    env: tuple[str, ...] = ()
    timeout: float | None = None
    retries: Retries = Retries()
    state: JobState = "waiting"
    attempt: int = 0
    lost: int = 0
    worker: str = ""
    ready: float = 0.0
    output: str = ""
    error: dict[str, Any] = {}


class Room(msgspec.Struct, frozen=True):
    """What is free: cores, bytes of memory, how many jobs may be taken at once, GPUs."""

    cpus: float
    memory: int
    jobs: int
    gpus: float = 0.0


def fitting(waiting: Sequence[Job], room: Room) -> list[Job]:
    """The first jobs that fit into ``room``, in order.

    None overtakes one that does not fit: a job that needs much would wait for ever. One that needs more than
    the machine has is taken when all of it is free, since ``room`` is then as large as it gets.
    """
    cpus, memory, gpus, taken = room.cpus, room.memory, room.gpus, list[Job]()
    for job in waiting:
        needs, asked = job.needs, job.needs.memory or 0
        if len(taken) >= room.jobs or needs.cpus > cpus or asked > memory or needs.gpus > gpus:
            break
        cpus, memory, gpus = cpus - needs.cpus, memory - asked, gpus - needs.gpus
        taken.append(job)
    return taken


class Jobs(Protocol):
    """Keeps jobs. Adapter: ``nenrin.backends.sql.jobs``; its contract: ``nenrin.testing.jobs``."""

    def add(self, unit: Unit, jobs: Sequence[Job]) -> None:
        """Take jobs. Those that wait or are leased stay as they are; those that are over begin anew."""
        ...

    def claim(
        self,
        unit: Unit,
        worker: str,
        room: Room,
        now: float,
        until: float,
        runs: Sequence[str] | None = None,
    ) -> list[Job]:
        """Lease the first waiting jobs that fit, until an instant; each begins a new attempt.

        ``runs``: only jobs of these; None: of any.
        """
        ...

    def extend(self, unit: Unit, leases: Sequence[tuple[str, int]], until: float) -> None:
        """Keep leases, pairs of job id and attempt, that are still held."""
        ...

    def finish(self, unit: Unit, job: str, attempt: int, output: str) -> bool:
        """Mark a job done, if this attempt holds the lease; whether it does."""
        ...

    def fail(
        self, unit: Unit, job: str, attempt: int, error: dict[str, Any], again: float | None
    ) -> bool:
        """End an attempt that failed, if it holds the lease; whether it does.

        ``again``: when the job may be taken again; None: never, it has failed.
        """
        ...

    def release(
        self,
        unit: Unit,
        *,
        leases: Sequence[tuple[str, int]] | None = None,
        before: float | None = None,
    ) -> int:
        """Let jobs wait again whose worker has gone: those leases, or those that ended before an instant;
        without either every lease, of a process that is dead. How many.
        """
        ...

    def cancel(self, unit: Unit, run: str) -> list[Job]:
        """End every job of a run that is not over; those that were leased."""
        ...

    def get(self, unit: Unit, job: str) -> Job | None:
        """The job of that id."""
        ...

    def open(self, unit: Unit) -> list[Job]:
        """Every job that waits or is leased."""
        ...

    def of_run(self, unit: Unit, run: str) -> list[Job]:
        """The jobs of a run, in the order in which they were added."""
        ...

    def forget(self, unit: Unit, runs: Sequence[str]) -> None:
        """Let go of the jobs of runs that are over."""
        ...
