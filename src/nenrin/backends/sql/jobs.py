"""Jobs and their leases in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, and_, delete, false, or_, select, update
from sqlalchemy.dialects.sqlite import insert as insert_new

from nenrin.backends.sql.schema import jobs
from nenrin.backends.sql.unit import connection_of
from nenrin.core.jobs import Job, Room, fitting
from nenrin.core.unit import Unit

_OPEN = ("waiting", "leased")
_COLUMNS = ("id", "run", "state", "priority", "ready", "attempt", "worker")


class SqlJobs:
    """The ``Jobs`` of :mod:`nenrin.core.jobs`; those of all environments in one queue."""

    def add(self, unit: Unit, jobs_: Sequence[Job]) -> None:
        """Take jobs. Those that wait or are leased stay as they are; those that are over begin anew."""
        connection = connection_of(unit)
        rows = [{**_columns(job), "until": 0.0} for job in jobs_]
        if rows:
            ids = [job.id for job in jobs_]
            connection.execute(delete(jobs).where(jobs.c.id.in_(ids), jobs.c.state.not_in(_OPEN)))
            query = insert_new(jobs).on_conflict_do_nothing(index_elements=["id"])
            connection.execute(query, rows)

    def claim(self, unit: Unit, worker: str, room: Room, now: float, until: float) -> list[Job]:
        """Lease the first waiting jobs that fit, until an instant; each begins a new attempt."""
        query = (
            select(jobs)
            .where(jobs.c.state == "waiting", jobs.c.ready <= now)
            .order_by(jobs.c.priority.desc(), jobs.c.position)
            .limit(room.jobs)
        )
        connection = connection_of(unit)
        taken = [
            msgspec.structs.replace(job, state="leased", attempt=job.attempt + 1, worker=worker)
            for job in fitting([_job(row) for row in connection.execute(query)], room)
        ]
        for job in taken:
            change = {"state": "leased", "attempt": job.attempt, "worker": worker, "until": until}
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(change))
        return taken

    def extend(self, unit: Unit, leases: Sequence[tuple[str, int]], until: float) -> None:
        """Keep leases, pairs of job id and attempt, that are still held."""
        for job, attempt in leases:
            query = update(jobs).where(_held(job, attempt)).values(until=until)
            connection_of(unit).execute(query)

    def finish(self, unit: Unit, job: str, attempt: int, output: str) -> bool:
        """Mark a job done, if this attempt holds the lease; whether it does."""
        return self._end(unit, job, attempt, {"state": "done", "output": output, "error": {}})

    def fail(
        self, unit: Unit, job: str, attempt: int, error: dict[str, Any], again: float | None
    ) -> bool:
        """End an attempt that failed, if it holds the lease; whether it does."""
        state = "failed" if again is None else "waiting"
        return self._end(
            unit, job, attempt, {"state": state, "ready": again or 0.0, "error": error}
        )

    def release(
        self,
        unit: Unit,
        *,
        leases: Sequence[tuple[str, int]] | None = None,
        before: float | None = None,
    ) -> int:
        """Let jobs wait again whose worker has gone; how many."""
        query = select(jobs).where(jobs.c.state == "leased")
        if leases is not None:
            query = query.where(or_(false(), *[_held(job, attempt) for job, attempt in leases]))
        if before is not None:
            query = query.where(jobs.c.until < before)
        found = [_job(row) for row in connection_of(unit).execute(query)]
        for job in found:
            self._put(unit, msgspec.structs.replace(job, state="waiting", lost=job.lost + 1))
        return len(found)

    def cancel(self, unit: Unit, run: str) -> list[Job]:
        """End every job of a run that is not over; those that were leased."""
        of_run = [job for job in self.of_run(unit, run) if job.state in _OPEN]
        for job in of_run:
            self._put(unit, msgspec.structs.replace(job, state="cancelled"))
        return [job for job in of_run if job.state == "leased"]

    def get(self, unit: Unit, job: str) -> Job | None:
        """The job of that id."""
        row = connection_of(unit).execute(select(jobs).where(jobs.c.id == job)).first()
        return None if row is None else _job(row)

    def leased(self, unit: Unit) -> list[Job]:
        """Every job that is leased."""
        query = select(jobs).where(jobs.c.state == "leased").order_by(jobs.c.position)
        return [_job(row) for row in connection_of(unit).execute(query)]

    def of_run(self, unit: Unit, run: str) -> list[Job]:
        """The jobs of a run, in the order in which they were added."""
        query = select(jobs).where(jobs.c.run == run).order_by(jobs.c.position)
        return [_job(row) for row in connection_of(unit).execute(query)]

    def forget(self, unit: Unit, runs: Sequence[str]) -> None:
        """Let go of the jobs of runs that are over."""
        connection_of(unit).execute(delete(jobs).where(jobs.c.run.in_(list(runs))))

    def _end(self, unit: Unit, job: str, attempt: int, change: dict[str, Any]) -> bool:
        row = connection_of(unit).execute(select(jobs).where(_held(job, attempt))).first()
        if row is not None:
            self._put(unit, msgspec.structs.replace(_job(row), **change))
        return row is not None

    def _put(self, unit: Unit, job: Job) -> None:
        connection_of(unit).execute(update(jobs).where(jobs.c.id == job.id).values(_columns(job)))


def _held(job: str, attempt: int) -> Any:
    return and_(jobs.c.id == job, jobs.c.attempt == attempt, jobs.c.state == "leased")


def _columns(job: Job) -> dict[str, Any]:
    found = {name: getattr(job, name) for name in _COLUMNS}
    return {**found, "body": msgspec.json.encode(job, order="deterministic").decode()}


_DECODER = msgspec.json.Decoder(Job)


def _job(row: Row[Any]) -> Job:
    """The job of a row; what a claim changes stands in the columns alone."""
    job = _DECODER.decode(row.body)
    return msgspec.structs.replace(
        job, state=row.state, attempt=row.attempt, worker=row.worker, ready=row.ready
    )
