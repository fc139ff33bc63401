"""What the database keeps of things that can be made again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, func, select

from nenrin.backends.sql.copying import digests_of
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.schema import jobs, metadata, step_results
from nenrin.backends.sql.unit import connection_of
from nenrin.core.environment import DEFAULT
from nenrin.core.pruning import Old
from nenrin.core.unit import Unit
from nenrin.pipelines.ports import StepResult

_OPEN = ("waiting", "leased")
_AT_A_TIME = 500


class SqlRetained:
    """The ``Retained`` of :mod:`nenrin.core.pruning`."""

    def __init__(self, units: Database) -> None:
        self._units = units

    def results(self) -> list[Old]:
        """Results that are not the newest of their step, oldest first.

        The newest of each step stands under a name of its own as well, and says its key.
        """
        with self._units.read(DEFAULT) as unit:
            rows = connection_of(unit).execute(select(step_results)).all()
        newest = {
            msgspec.json.decode(row.body, type=StepResult).key
            for row in rows
            if row.key.startswith("newest ")
        }
        old = [
            Old(row.key, row.at)
            for row in rows
            if row.key not in newest and not row.key.startswith("newest ")
        ]
        return sorted(old, key=lambda result: (result.at, result.key))

    def named(self, without: Sequence[str]) -> set[str]:
        """Every digest that the state names, the results of these keys left out."""
        left_out = set(without)
        named: set[str] = set()
        with self._units.read(DEFAULT) as unit:
            connection = connection_of(unit).execution_options(yield_per=_AT_A_TIME)
            for table in metadata.sorted_tables:
                for row in connection.execute(select(table)):
                    if table is not step_results or row.key not in left_out:
                        named |= digests_of(row)
        return named

    def ended_jobs(self) -> int:
        """How many jobs are over."""
        query = select(func.count()).select_from(jobs).where(jobs.c.state.not_in(_OPEN))
        with self._units.read(DEFAULT) as unit:
            return connection_of(unit).execute(query).scalar_one()

    def drop(self, unit: Unit, results: Sequence[str]) -> None:
        """Let go of results, and of the jobs that are over."""
        connection = connection_of(unit)
        for start in range(0, len(results), _AT_A_TIME):
            keys = list(results[start : start + _AT_A_TIME])
            connection.execute(delete(step_results).where(step_results.c.key.in_(keys)))
        connection.execute(delete(jobs).where(jobs.c.state.not_in(_OPEN)))
