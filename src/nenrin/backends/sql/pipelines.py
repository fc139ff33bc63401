"""The cache of steps in SQL."""

from __future__ import annotations

import msgspec
from sqlalchemy import delete, insert, select

from nenrin.backends.sql.schema import step_results
from nenrin.backends.sql.unit import connection_of
from nenrin.core.unit import Unit
from nenrin.pipelines.ports import StepResult


class SqlResults:
    """The ``Results`` of :mod:`nenrin.pipelines.ports`.

    All environments share them: a key names everything that a result depends on.
    """

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(StepResult)

    def get(self, unit: Unit, key: str) -> StepResult | None:
        """What was remembered under ``key``."""
        query = select(step_results.c.body).where(step_results.c.key == key)
        body = connection_of(unit).execute(query).scalar()
        return None if body is None else self._decoder.decode(body)

    def put(self, unit: Unit, key: str, result: StepResult) -> None:
        """Remember ``result`` under ``key``, in place of what was there."""
        body = msgspec.json.encode(result, order="deterministic").decode()
        connection = connection_of(unit)
        connection.execute(delete(step_results).where(step_results.c.key == key))
        connection.execute(insert(step_results), {"key": key, "at": unit.at, "body": body})

    def naming(self, unit: Unit, digest: str) -> list[StepResult]:
        """What is remembered of steps and names ``digest`` anywhere, oldest first."""
        bodies = step_results.c.body
        query = select(bodies).where(bodies.contains(digest)).order_by(step_results.c.at, bodies)
        found = connection_of(unit).execute(query).scalars()
        return [self._decoder.decode(body) for body in found]
