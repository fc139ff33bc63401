"""The dispatcher: leases jobs, runs each in a process of its own, commits what still holds its lease."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from nenrin.core.calendar import Calendar
from nenrin.core.errors import NenrinError, StepError, WorkerLostError
from nenrin.core.jobs import Job, Jobs, Room
from nenrin.core.logs import about
from nenrin.core.timer import Timer, steady_epoch
from nenrin.core.unit import Unit, Units
from nenrin.pipelines.attempts import Attempt, Attempts
from nenrin.pipelines.executor import Executor
from nenrin.pipelines.logs import StepLogs

LEASE = 30.0  # seconds without a sign of life after which a worker has lost its work
LOOK = 0.2  # seconds between two looks at who is silent, and at whether work was cancelled
LOSSES = 3  # attempts that may end with their worker before the job fails: it may be what kills it

_LOG = logging.getLogger(__name__)

Commit = Callable[[Unit, Any], str]
Watching = Callable[[int, str], None]


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A job that is over: what it gave, or the error of its last attempt."""

    job: Job
    output: str = ""
    error: Exception | None = None


class Dispatcher:
    """Runs the jobs of one run. Used from one thread.

    Args:
        units, jobs: where jobs and their leases are kept.
        executor: gives the executor, started when the first job needs it.
        calendar, timer: the instants of commits; leases and waits.
        environment: whose transactions commit.
        machine: what the machine has.
        scratch: folder in which every attempt gets one of its own, gone with it.
        worker: who holds the leases.
        logs: where what jobs write is kept.
        lease: seconds without a sign of life after which a worker has lost its work.
    """

    def __init__(
        self,
        *,
        units: Units,
        jobs: Jobs,
        executor: Callable[[], Executor],
        calendar: Calendar,
        timer: Timer,
        environment: str,
        machine: Room,
        scratch: Path,
        worker: str,
        logs: StepLogs,
        lease: float = LEASE,
    ) -> None:
        self._units = units
        self._jobs = jobs
        self._calendar = calendar
        self._timer = timer
        self._environment = environment
        self._worker = worker
        self._logs = logs
        self._lease = lease
        self._commits: dict[str, Commit] = {}
        self._new: list[Job] = []  # not written yet
        self._least = float("inf")  # cores that a job needs
        self._attempts = Attempts(executor, machine, scratch, logs)
        self._runs: set[str] = set()
        self._extended = timer.wall()
        self._epoch = steady_epoch(timer)

    @property
    def busy(self) -> bool:
        """Whether any job is not over."""
        return bool(self._commits)

    def add(self, job: Job, commit: Commit) -> None:
        """Take a job; the next :meth:`step` writes it, with all others that were taken until then.

        Args:
            job: its id is free, or that of a job of an earlier process with the same work.
            commit: called in the transaction that ends the job, with what its function gave: the digest
                of the output.
        """
        self._commits[job.id] = commit
        self._runs.add(job.run)
        self._least = min(self._least, job.needs.cpus)
        self._new.append(msgspec.structs.replace(job, worker=self._worker))

    def whole(
        self, wanted: Sequence[tuple[Job, Commit]], watching: Watching | None = None
    ) -> list[str]:
        """Run jobs to their end, side by side.

        Args:
            wanted: the jobs, and what is called in the transactions that end them.
            watching: told again and again how many are over, and what one of the others said last; what it
                raises ends them all.

        Returns:
            what each gave, in order.

        Raises:
            NenrinError: of the first of them, in order, that failed; the others were kept.
        """
        for job, commit in wanted:
            self.add(job, commit)
        over: dict[str, Ended] = {}
        try:
            while self.busy:
                over |= {ended.job.id: ended for ended in self.step(LOOK)}
                if watching is not None:
                    watching(len(over), self.newest(next(iter(self._commits), "")))
        except BaseException:
            self.cancel()
            raise
        ended = [over[job.id] for job, _ in wanted]
        for each in ended:
            if each.error is not None:
                raise each.error
        self.forget()
        return [each.output for each in ended]

    def step(self, wait: float) -> list[Ended]:
        """Start what fits, wait up to ``wait`` seconds for something to end, and commit what did."""
        self._claim()
        given_up = self._look_at_leases()
        over = self._attempts.over(0.0 if given_up else wait)
        return [*given_up, *self._settle(over)]

    def forget(self) -> None:
        """Let go of the records of its jobs, which are over: what they gave is remembered elsewhere."""
        if self._runs:
            with self._unit() as unit:
                self._jobs.forget(unit, list(self._runs))

    def cancel(self) -> None:
        """End every job, and the processes that work on them."""
        self._new.clear()
        with self._unit() as unit:
            for run in self._runs:
                self._jobs.cancel(unit, run)
        for lease in self._attempts.leases:
            self._attempts.drop(lease)
        self._commits.clear()

    def _unit(self) -> Any:
        return self._units.write(self._environment, self._calendar.now())

    def _claim(self) -> None:
        """Write the jobs that were taken, and lease what fits."""
        taken: list[Job] | None = None
        while self._new or (taken != [] and self._attempts.free(len(self._commits), self._least)):
            with self._unit() as unit:
                if self._new:
                    self._jobs.add(unit, self._new)
                taken = self._leased(unit, len(self._commits))
            self._new.clear()
            for job in taken:
                self._attempts.begin(job)

    def _leased(self, unit: Unit, left: int) -> list[Job]:
        """What fits of ``left`` jobs that are not over, leased."""
        room = self._attempts.free(left, self._least)
        if room is None:
            return []
        now = self._epoch()
        until = now + self._lease
        return self._jobs.claim(unit, self._worker, room, now, until, list(self._runs))

    def _settle(self, over: list[Attempt]) -> list[Ended]:
        """Commit what attempts gave, and decide what comes after failures."""
        given, ended = list[tuple[Job, Any]](), list[Ended]()
        for attempt in over:
            job = attempt.job
            with about(run=job.run, step=job.name):
                try:
                    given.append((job, attempt.running.result.result()))
                except Exception as error:  # noqa: BLE001 - whatever it is, it ends the attempt
                    ended += self._failed(job, error)
                finally:
                    self._logs.forget(job.id)
                    shutil.rmtree(attempt.scratch, ignore_errors=True)
        return [*ended, *self._done_together(given)]

    def _done_together(self, given: list[tuple[Job, Any]]) -> list[Ended]:
        """Commit in one transaction; each by itself where one of them spoils it for the others."""
        try:
            return self._done(given)
        except Exception as error:
            if len(given) > 1:
                return [each for one in given for each in self._done_together([one])]
            if isinstance(error, _LostLeaseError):
                return []
            raise

    def _done(self, given: list[tuple[Job, Any]]) -> list[Ended]:
        if not given:
            return []
        ended = []
        with self._unit() as unit:
            for job, value in given:
                output = self._commits[job.id](unit, value)
                if not self._jobs.finish(unit, job.id, job.attempt, output):
                    raise _LostLeaseError
                ended.append(Ended(job=job, output=output))
            taken = self._leased(unit, len(self._commits) - len(given))  # one commit for both
        for job, _ in given:
            del self._commits[job.id]
            with about(run=job.run, step=job.name):
                _LOG.info("done")
        for job in taken:
            self._attempts.begin(job)
        return ended

    def _failed(self, job: Job, error: Exception) -> list[Ended]:
        """What is over with it: nothing where there is another attempt, or had been meanwhile."""
        lost = isinstance(error, WorkerLostError) and job.lost + 1 < LOSSES
        again = self._again(job, error)
        _LOG.warning("attempt %d failed: %s", job.attempt, error)
        said = error.as_dict() if isinstance(error, NenrinError) else {"message": str(error)}
        with self._unit() as unit:
            if lost:
                self._jobs.release(unit, leases=[(job.id, job.attempt)])
                unit.record("healed.rerun", job.name, {"why": "its worker was killed"})
            elif not self._jobs.fail(unit, job.id, job.attempt, said, again):
                return []
        if lost or again is not None:
            return []
        del self._commits[job.id]
        return [Ended(job=job, error=_explained(self._logs, job, error))]

    def newest(self, job: str) -> str:
        """What a job said last."""
        return self._logs.newest(job)

    def _again(self, job: Job, error: Exception) -> float | None:
        """When a job whose function raised may be taken again; None: never."""
        raised = error.raised if isinstance(error, StepError) else ()
        made = job.attempt - job.lost
        if made > job.retries.times or not set(raised) & set(job.retries.on):
            return None
        return self._epoch() + job.retries.wait(made)

    def _look_at_leases(self) -> list[Ended]:
        """Keep the leases of workers that were heard of; let go of the others.

        Gives the jobs that are given up: whose workers fall silent again and again.
        """
        now = self._timer.wall()
        silent = self._attempts.silent(now - self._lease)
        deadly = {lease: job for lease, job in silent.items() if job.lost + 1 >= LOSSES}
        for lease in silent:
            self._attempts.drop(lease)
        if silent or now - self._extended > self._lease / 3:
            self._extended = now
            with self._unit() as unit:
                for (name, attempt), job in deadly.items():
                    self._jobs.fail(unit, name, attempt, _silent(job).as_dict(), None)
                again = [lease for lease in silent if lease not in deadly]
                self._jobs.release(unit, leases=again)
                for lease in again:
                    why = {"why": "its worker was silent"}
                    unit.record("healed.rerun", silent[lease].name, why)
                self._jobs.extend(unit, self._attempts.leases, self._epoch() + self._lease)
        for job in deadly.values():
            del self._commits[job.id]
        return [Ended(job=job, error=_silent(job)) for job in deadly.values()]


def _explained(logs: StepLogs, job: Job, error: Exception) -> Exception:
    """The error with the way to what the step wrote, which ends with the traceback."""
    if isinstance(error, StepError):
        if error.trace:
            logs.append(job, error.trace)
        if logs.path(job).exists():
            error.hint = f"{error.hint}; what it wrote: nenrin logs {job.name}"
    return error


def _silent(job: Job) -> StepError:
    return WorkerLostError(
        f"{job.name} was given up: {LOSSES} workers gave no sign of life",
        hint="look for what stops the whole process, such as a debugger, or memory that is swapped out",
    )


class _LostLeaseError(Exception):
    """Rolls a commit back whose lease is held by another."""
