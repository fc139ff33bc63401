"""Contract suite for stores of jobs.

An adapter proves itself by a test class with the fixtures ``units`` and ``jobs``::

    class TestMyJobs(JobsContract):
        @pytest.fixture
        def jobs(self):
            return MyJobs()
"""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from nenrin.core.jobs import Job, Jobs, Needs, Room
from nenrin.core.unit import Units

ROOM = Room(cpus=100.0, memory=2**40, jobs=100)


def job(number: int, **more: Any) -> Job:
    """Job ``number`` of a run."""
    plain = Job(id=f"job-{number}", run="run-1", name=f"step {number}", call="m:f")
    return msgspec.structs.replace(plain, **more)


class JobsContract:
    """What every ``Jobs`` does. Needs the fixtures ``units``, empty, and ``jobs``."""

    @pytest.fixture
    def add(self, units: Units, jobs: Jobs) -> Any:
        """Adds jobs."""

        def add(*added: Job) -> None:
            with units.write("dev", 0) as unit:
                jobs.add(unit, added)

        return add

    @pytest.fixture
    def claim(self, units: Units, jobs: Jobs) -> Any:
        """Claims jobs for ten seconds from an instant."""

        def claim(worker: str = "a", room: Room = ROOM, now: float = 0.0) -> list[Job]:
            with units.write("dev", 0) as unit:
                return jobs.claim(unit, worker, room, now, now + 10)

        return claim

    @pytest.fixture
    def get(self, units: Units, jobs: Jobs) -> Any:
        """Reads one job."""

        def get(name: str) -> Job | None:
            with units.read("dev") as unit:
                return jobs.get(unit, name)

        return get

    def test_the_most_urgent_first_then_the_oldest(self, add: Any, claim: Any) -> None:
        """Priority, then age."""
        add(job(1), job(2, priority=5), job(3), job(4, priority=5))
        assert [taken.id for taken in claim()] == ["job-2", "job-4", "job-1", "job-3"]

    def test_a_job_is_leased_once(self, add: Any, claim: Any, get: Any) -> None:
        """To the first who asks."""
        add(job(1, payload={"a": [1, "b"]}))
        (taken,) = claim("a")
        assert claim("b") == []
        assert get("job-1") == taken
        assert (taken.state, taken.worker, taken.attempt) == ("leased", "a", 1)
        assert taken.payload == {"a": [1, "b"]}

    def test_a_job_under_way_is_not_added_again(
        self, units: Units, jobs: Jobs, add: Any, claim: Any, get: Any
    ) -> None:
        """One that is over begins anew."""
        add(job(1))
        claim()
        add(job(1), job(2))
        assert get("job-1").state == "leased"
        assert [taken.id for taken in claim()] == ["job-2"]
        with units.write("dev", 0) as unit:
            jobs.finish(unit, "job-1", 1, "digest")
        add(job(1))
        assert [(taken.id, taken.attempt) for taken in claim()] == [("job-1", 1)]

    def test_only_what_fits_is_taken_and_nothing_overtakes(self, add: Any, claim: Any) -> None:
        """Or a job that needs much would wait for ever."""
        add(job(1, needs=Needs(2.0)), job(2, needs=Needs(2.0)), job(3))
        assert [taken.id for taken in claim(room=Room(3.0, 0, 9))] == ["job-1"]
        assert [taken.id for taken in claim(room=Room(3.0, 0, 9))] == ["job-2", "job-3"]

    def test_memory_is_counted(self, add: Any, claim: Any) -> None:
        """Of those jobs that name it."""
        add(job(1, needs=Needs(1.0, 600)), job(2, needs=Needs(1.0, 600)))
        assert len(claim(room=Room(8.0, 1000, 9))) == 1
        assert len(claim(room=Room(8.0, 400, 9))) == 0
        assert len(claim(room=Room(8.0, 1000, 9))) == 1

    def test_a_job_waits_until_it_is_ready(
        self, units: Units, jobs: Jobs, add: Any, claim: Any, get: Any
    ) -> None:
        """A failed attempt is made again after a while, or never."""
        add(job(1))
        claim()
        error = {"message": "broken", "where": "a.py:1"}
        with units.write("dev", 0) as unit:
            assert jobs.fail(unit, "job-1", 1, error, 60.0)
        assert claim(now=59.0) == []
        assert get("job-1").error == error
        assert [taken.attempt for taken in claim(now=60.0)] == [2]
        with units.write("dev", 0) as unit:
            assert jobs.fail(unit, "job-1", 2, error, None)
        assert get("job-1").state == "failed"
        assert claim(now=1e9) == []

    def test_of_two_leases_one_commits(
        self, units: Units, jobs: Jobs, add: Any, claim: Any, get: Any
    ) -> None:
        """The one that is held; the other is refused, whatever it brings."""
        add(job(1))
        claim("a", now=0.0)
        with units.write("dev", 0) as unit:
            assert jobs.release(unit, before=9.0) == 0
            assert jobs.release(unit, before=10.5) == 1
        (again,) = claim("b", now=11.0)
        assert (again.attempt, again.lost) == (2, 1)
        with units.write("dev", 0) as unit:
            assert not jobs.finish(unit, "job-1", 1, "late")
            assert not jobs.fail(unit, "job-1", 1, {}, None)
            assert jobs.finish(unit, "job-1", 2, "digest")
            assert not jobs.finish(unit, "job-1", 2, "twice")
        assert (get("job-1").state, get("job-1").output) == ("done", "digest")

    def test_a_lease_can_be_kept(self, units: Units, jobs: Jobs, add: Any, claim: Any) -> None:
        """By whoever holds it."""
        add(job(1), job(2))
        claim(now=0.0)
        with units.write("dev", 0) as unit:
            jobs.extend(unit, [("job-1", 1), ("job-2", 7)], 100.0)
            assert jobs.release(unit, before=50.0) == 1
        assert [taken.id for taken in claim(now=50.0)] == ["job-2"]

    def test_what_a_dead_worker_held_waits_again(
        self, units: Units, jobs: Jobs, add: Any, claim: Any
    ) -> None:
        """And what others hold does not."""
        add(job(1), job(2))
        claim("a", Room(1.0, 0, 9))
        claim("b", Room(1.0, 0, 9))
        with units.write("dev", 0) as unit:
            assert [each.worker for each in jobs.open(unit)] == ["a", "b"]
            assert jobs.release(unit, leases=[("job-1", 1), ("job-2", 9)]) == 1
        assert [taken.id for taken in claim("c")] == ["job-1"]

    def test_a_cancelled_run_ends(
        self, units: Units, jobs: Jobs, add: Any, claim: Any, get: Any
    ) -> None:
        """What is done stays done; whoever still works on the rest is refused."""
        add(job(1), job(2), job(3), job(4, run="run-2"))
        claim(room=Room(2.0, 0, 9))
        with units.write("dev", 0) as unit:
            jobs.finish(unit, "job-1", 1, "digest")
            assert [stopped.id for stopped in jobs.cancel(unit, "run-1")] == ["job-2"]
            assert not jobs.finish(unit, "job-2", 1, "late")
        assert [get(f"job-{n}").state for n in (1, 2, 3, 4)] == [
            "done",
            "cancelled",
            "cancelled",
            "waiting",
        ]

    def test_runs_are_listed_and_forgotten(
        self, units: Units, jobs: Jobs, add: Any, get: Any
    ) -> None:
        """In the order in which they were added."""
        add(job(2), job(1), job(3, run="run-2"))
        with units.write("dev", 0) as unit:
            assert [each.id for each in jobs.of_run(unit, "run-1")] == ["job-2", "job-1"]
            jobs.forget(unit, ["run-1"])
            assert jobs.of_run(unit, "run-1") == []
        assert get("job-3") is not None

    def test_jobs_of_some_runs_are_claimed(self, units: Units, jobs: Jobs, add: Any) -> None:
        """And others wait for those who asked for them."""
        add(job(1), job(2, run="run-2"), job(3, run="run-3"))
        with units.write("dev", 0) as unit:
            taken = jobs.claim(unit, "a", ROOM, 0.0, 10.0, ["run-2", "run-3"])
        assert [each.id for each in taken] == ["job-2", "job-3"]

    def test_workers_that_claim_at_once_share(self, units: Units, jobs: Jobs, add: Any) -> None:
        """Every job is taken once."""
        add(*(job(number) for number in range(60)))
        taken: list[str] = []

        def work(worker: str) -> None:
            while True:
                with units.write("dev", 0) as unit:
                    found = jobs.claim(unit, worker, Room(1.0, 0, 1), 0.0, 10.0)
                if not found:
                    return
                taken.extend(each.id for each in found)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(taken) == sorted(f"job-{number}" for number in range(60))
