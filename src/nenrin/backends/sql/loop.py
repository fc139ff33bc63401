"""The loop's state and its backtests in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert, select

from nenrin.backends.sql.records import Records
from nenrin.backends.sql.schema import backtests, loop_states
from nenrin.backends.sql.unit import connection_of
from nenrin.core.unit import Unit


class SqlLoopStates:
    """What the loop remembers of each deployment, as bytes that only the loop reads."""

    def get(self, unit: Unit, deployment: str) -> bytes | None:
        """The state last written, ``None`` before the first."""
        query = select(loop_states.c.body).where(
            loop_states.c.environment == unit.environment, loop_states.c.deployment == deployment
        )
        return connection_of(unit).execute(query).scalar()

    def put(self, unit: Unit, deployment: str, state: bytes) -> None:
        """Write the state, in place of the one before."""
        connection = connection_of(unit)
        key = {"environment": unit.environment, "deployment": deployment}
        connection.execute(delete(loop_states).filter_by(**key))
        connection.execute(insert(loop_states), {**key, "body": state})


class SqlBacktests:
    """Reports of backtests, in the environment that was replayed."""

    def __init__(self) -> None:
        self._records = Records(backtests, dict[str, Any])

    def add(self, unit: Unit, backtest: str, at: int, body: dict[str, Any]) -> None:
        """Keep a report, in place of an earlier run of the same backtest.

        Args:
            unit: the unit of the environment that was replayed.
            backtest: its id.
            at: business instant at which the replay ended.
            body: the report, plain values.
        """
        self._records.put(unit, backtest, "", {"id": backtest, "at": at, "body": body})

    def get(self, unit: Unit, backtest: str) -> dict[str, Any] | None:
        """The report of that backtest."""
        found = self._records.get(unit, backtest)
        return found and found["body"]

    def all(self, unit: Unit) -> list[dict[str, Any]]:
        """Every report, oldest first."""
        return [found["body"] for found in self._records.all(unit)]
