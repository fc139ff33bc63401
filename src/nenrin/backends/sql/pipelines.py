"""The cache of steps in SQL."""

from __future__ import annotations

import msgspec
from sqlalchemy import select, update

from nenrin.backends.sql.engines import insert_new
from nenrin.backends.sql.schema import step_results
from nenrin.backends.sql.unit import shared_connection_of
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
        body = shared_connection_of(unit).execute(query).scalar()
        return None if body is None else self._decoder.decode(body)

    def put(self, unit: Unit, key: str, result: StepResult) -> None:
        """Remember ``result`` under ``key``, in place of what was there."""
        body = msgspec.json.encode(result, order="deterministic").decode()
        connection = shared_connection_of(unit)
        row = {"at": unit.at, "body": body}
        known = update(step_results).where(step_results.c.key == key).values(row)
        if connection.execute(known).rowcount == 0:
            connection.execute(insert_new(step_results), {"key": key, **row})

    def naming(self, unit: Unit, digest: str) -> list[StepResult]:
        """What is remembered of steps and names ``digest`` anywhere, oldest first."""
        bodies = step_results.c.body
        query = select(step_results.c.at, bodies).where(bodies.contains(digest))
        found = sorted(map(tuple, shared_connection_of(unit).execute(query)))
        return [self._decoder.decode(body) for _, body in found]
