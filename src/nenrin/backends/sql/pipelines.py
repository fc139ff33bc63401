"""The cache of steps in SQL."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec
from sqlalchemy import delete, insert, select

from nenrin.backends.sql.schema import step_results
from nenrin.backends.sql.unit import connection_of
from nenrin.core.unit import Unit

T = TypeVar("T")


class SqlResults(Generic[T]):
    """Results of steps by key, shared by all environments: a key names all it depends on.

    Args:
        kind: the results' type, anything that msgspec reads.
    """

    def __init__(self, kind: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(kind)

    def get(self, unit: Unit, key: str) -> T | None:
        """The result kept under ``key``."""
        query = select(step_results.c.body).where(step_results.c.key == key)
        body = connection_of(unit).execute(query).scalar()
        return None if body is None else self._decoder.decode(body)

    def put(self, unit: Unit, key: str, result: T) -> None:
        """Keep a result, in place of one of the same key."""
        body = msgspec.json.encode(result, order="deterministic").decode()
        connection = connection_of(unit)
        connection.execute(delete(step_results).where(step_results.c.key == key))
        connection.execute(insert(step_results), {"key": key, "at": unit.at, "body": body})
