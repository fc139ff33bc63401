"""Jobs and their leases in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, and_, bindparam, delete, false, or_, select, update

from nenrin.backends.sql.engines import insert_new
from nenrin.backends.sql.schema import jobs
from nenrin.backends.sql.unit import shared_connection_of
from nenrin.core.jobs import Job, Room, fitting
from nenrin.core.unit import Unit

_OPEN = ("waiting", "leased")
_COLUMNS = (
    "id",
    "run",
    "state",
    "ready",
    "attempt",
    "lost",
    "worker",
    "output",
)


class SqlJobs:
    """The ``Jobs`` of :mod:`nenrin.core.jobs`; those of all environments in one queue."""

    def add(self, unit: Unit, jobs_: Sequence[Job]) -> None:
        """Take jobs. Those that wait or are leased stay as they are; those that are over begin anew."""
        connection = shared_connection_of(unit)
        rows = [{**_columns(job), "until": 0.0} for job in jobs_]
        if rows:
            ids = [job.id for job in jobs_]
            connection.execute(delete(jobs).where(jobs.c.id.in_(ids), jobs.c.state.not_in(_OPEN)))
            connection.execute(insert_new(jobs), rows)

    def claim(
        self,
        unit: Unit,
        worker: str,
        room: Room,
        now: float,
        until: float,
        runs: Sequence[str] | None = None,
    ) -> list[Job]:
        """Lease the first waiting jobs that fit, until an instant; each begins a new attempt."""
        query = (
            select(jobs)
            .where(jobs.c.state == "waiting", jobs.c.ready <= now)
            .order_by(jobs.c.rank, jobs.c.position)
            .limit(room.jobs)
            .with_for_update(skip_locked=True)  # nothing on SQLite, where the unit is alone
        )
        if runs is not None:
            query = query.where(jobs.c.run.in_(list(runs)))
        connection = shared_connection_of(unit)
        taken = fitting([_job(row) for row in connection.execute(query)], room)
        if taken:
            leased = {"state": "leased", "worker": worker, "until": until}
            change = {**leased, "attempt": jobs.c.attempt + 1}
            ids = [job.id for job in taken]
            connection.execute(update(jobs).where(jobs.c.id.in_(ids)).values(change))
        return [
            msgspec.structs.replace(job, state="leased", attempt=job.attempt + 1, worker=worker)
            for job in taken
        ]

    def extend(self, unit: Unit, leases: Sequence[tuple[str, int]], until: float) -> None:
        """Keep leases, pairs of job id and attempt, that are still held."""
        for job, attempt in leases:
            query = update(jobs).where(_held(job, attempt)).values(until=until)
            shared_connection_of(unit).execute(query)

    def finish(self, unit: Unit, job: str, attempt: int, output: str) -> bool:
        """Mark a job done, if this attempt holds the lease; whether it does."""
        values = {"of": job, "at": attempt, "gave": output}
        return shared_connection_of(unit).execute(_FINISH, values).rowcount == 1

    def fail(
        self, unit: Unit, job: str, attempt: int, error: dict[str, Any], again: float | None
    ) -> bool:
        """End an attempt that failed, if it holds the lease; whether it does."""
        change = {
            "state": "failed" if again is None else "waiting",
            "ready": again or 0.0,
            "error": msgspec.json.encode(error).decode(),
        }
        query = update(jobs).where(_held(job, attempt)).values(change)
        return shared_connection_of(unit).execute(query).rowcount == 1

    def release(
        self,
        unit: Unit,
        *,
        leases: Sequence[tuple[str, int]] | None = None,
        before: float | None = None,
    ) -> int:
        """Let jobs wait again whose worker has gone; how many."""
        query = update(jobs).where(jobs.c.state == "leased")
        if leases is not None:
            query = query.where(or_(false(), *[_held(job, attempt) for job, attempt in leases]))
        if before is not None:
            query = query.where(jobs.c.until < before)
        change = {"state": "waiting", "lost": jobs.c.lost + 1}
        return shared_connection_of(unit).execute(query.values(change)).rowcount

    def cancel(self, unit: Unit, run: str) -> list[Job]:
        """End every job of a run that is not over; those that were leased."""
        leased = [job for job in self.of_run(unit, run) if job.state == "leased"]
        query = update(jobs).where(jobs.c.run == run, jobs.c.state.in_(_OPEN))
        shared_connection_of(unit).execute(query.values(state="cancelled"))
        return leased

    def get(self, unit: Unit, job: str) -> Job | None:
        """The job of that id."""
        row = shared_connection_of(unit).execute(select(jobs).where(jobs.c.id == job)).first()
        return None if row is None else _job(row)

    def open(self, unit: Unit) -> list[Job]:
        """Every job that waits or is leased."""
        query = select(jobs).where(jobs.c.state.in_(_OPEN)).order_by(jobs.c.position)
        return [_job(row) for row in shared_connection_of(unit).execute(query)]

    def of_run(self, unit: Unit, run: str) -> list[Job]:
        """The jobs of a run, in the order in which they were added."""
        query = select(jobs).where(jobs.c.run == run).order_by(jobs.c.position)
        return [_job(row) for row in shared_connection_of(unit).execute(query)]

    def forget(self, unit: Unit, runs: Sequence[str]) -> None:
        """Let go of the jobs of runs that are over."""
        shared_connection_of(unit).execute(delete(jobs).where(jobs.c.run.in_(list(runs))))


def _held(job: Any, attempt: Any) -> ColumnElement[bool]:
    return and_(jobs.c.id == job, jobs.c.attempt == attempt, jobs.c.state == "leased")


_FINISH = (
    update(jobs)
    .where(_held(bindparam("of"), bindparam("at")))
    .values(state="done", output=bindparam("gave"), error="{}")
)


def _columns(job: Job) -> dict[str, Any]:
    found = {name: getattr(job, name) for name in _COLUMNS}
    error = msgspec.json.encode(job.error).decode()
    body = msgspec.json.encode(job, order="deterministic").decode()
    return {**found, "rank": -job.priority, "error": error, "body": body}


_DECODER = msgspec.json.Decoder(Job)


def _job(row: Row[Any]) -> Job:
    """The job of a row; what changes stands in the columns alone."""
    changed = {name: getattr(row, name) for name in _COLUMNS}
    error = msgspec.json.decode(row.error)
    return msgspec.structs.replace(_DECODER.decode(row.body), **changed, error=error)
