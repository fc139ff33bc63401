"""Jobs: the contract, and what is left when a process dies."""

from __future__ import annotations

import pytest

from nenrin.backends.sql.database import Database
from nenrin.backends.sql.jobs import SqlJobs
from nenrin.testing.jobs import ROOM, JobsContract, job


class TestSqlJobs(JobsContract):
    """The contract of jobs."""

    @pytest.fixture
    def jobs(self) -> SqlJobs:
        return SqlJobs()


def test_leases_outlive_their_process(url: str) -> None:
    jobs = SqlJobs()
    with Database(url) as units, units.write("dev", 0) as unit:
        jobs.add(unit, [job(1), job(2)])
        jobs.claim(unit, "first", ROOM, 0.0, 10.0)
        jobs.finish(unit, "job-2", 1, "digest")
    with Database(url) as units, units.write("dev", 0) as unit:
        assert jobs.release(unit) == 1
        assert [each.state for each in jobs.of_run(unit, "run-1")] == ["waiting", "done"]
