"""Tables of records: frozen structs kept as JSON, found by id, by name, or in the order written."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Table, delete, insert, select, update

from nenrin.backends.sql.unit import connection_of
from nenrin.core.errors import DataError, NotFoundError
from nenrin.core.unit import Unit

T = TypeVar("T")


class Records(Generic[T]):
    """One table of records of one type, in the environment of the unit that is given.

    Args:
        table: a table made for records in :mod:`nenrin.backends.sql.schema`.
        kind: the records' type, anything that msgspec reads.
    """

    def __init__(self, table: Table, kind: type[T]) -> None:
        self._table = table
        self._decoder = msgspec.json.Decoder(kind)

    def add(self, unit: Unit, key: str, name: str, record: T) -> None:
        """Keep a record; one of that id that is kept already stays as it is.

        Raises:
            DataError: the record would not read back, for instance a NaN where a number belongs.
        """
        if self.get(unit, key) is None:
            self._insert(unit, key, self._row(unit, name, record))

    def put(self, unit: Unit, key: str, name: str, record: T) -> None:
        """Keep a record in place of the one of that id, or as a new one.

        Raises:
            DataError: the record would not read back.
        """
        row = self._row(unit, name, record)
        changed = connection_of(unit).execute(
            update(self._table)
            .where(self._table.c.environment == unit.environment, self._table.c.id == key)
            .values(**row)
        )
        if changed.rowcount == 0:
            self._insert(unit, key, row)

    def renew(self, unit: Unit, key: str, name: str, record: T) -> None:
        """Keep a record as the newest, in place of the one of that id.

        Raises:
            DataError: the record would not read back.
        """
        connection_of(unit).execute(
            delete(self._table).where(
                self._table.c.environment == unit.environment, self._table.c.id == key
            )
        )
        self._insert(unit, key, self._row(unit, name, record))

    def get(self, unit: Unit, key: str) -> T | None:
        """The record of that id, ``None`` if there is none."""
        found = self._select(unit, self._table.c.id == key)
        return found[0] if found else None

    def must(self, unit: Unit, key: str) -> T:
        """The record of that id.

        Raises:
            NotFoundError: there is none.
        """
        found = self.get(unit, key)
        if found is None:
            kind = self._table.name.removesuffix("s").replace("_", " ")
            raise NotFoundError(
                f"there is no {kind} {key} in {unit.environment}",
                hint="list what is there, and mind the environment",
                where=key,
            )
        return found

    def latest(self, unit: Unit, name: str) -> T | None:
        """The record of that name that is last in the order written."""
        found = self._select(unit, self._table.c.name == name, newest=True)
        return found[0] if found else None

    def all(self, unit: Unit, name: str | None = None) -> list[T]:
        """Every record, or those of a name, in the order written (``put`` keeps a place)."""
        return self._select(unit, *([self._table.c.name == name] if name is not None else []))

    def _select(self, unit: Unit, *where: Any, newest: bool = False) -> list[T]:
        position = self._table.c.position
        query = select(self._table.c.body).where(self._table.c.environment == unit.environment)
        query = query.where(*where).order_by(position.desc() if newest else position)
        if newest:
            query = query.limit(1)
        bodies = connection_of(unit).execute(query).scalars()
        return [self._decoder.decode(body) for body in bodies]

    def _insert(self, unit: Unit, key: str, row: dict[str, Any]) -> None:
        where = {"environment": unit.environment, "id": key}
        connection_of(unit).execute(insert(self._table), {**where, **row})

    def _row(self, unit: Unit, name: str, record: T) -> dict[str, Any]:
        body = msgspec.json.encode(record, order="deterministic")
        try:
            self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise DataError(
                f"this {type(record).__name__} cannot be kept: {error}",
                hint="a number may be NaN or infinite: say what it stands for, or leave it out",
            ) from error
        return {"name": name, "at": unit.at, "body": body.decode()}
