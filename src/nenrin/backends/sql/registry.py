"""The registry's versions and aliases in SQL."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from nenrin.backends.sql import schema
from nenrin.backends.sql.records import Records
from nenrin.backends.sql.unit import connection_of
from nenrin.core.unit import Unit
from nenrin.registry.version import Version


class SqlVersions:
    """The ``Versions`` of :mod:`nenrin.registry.ports`."""

    def __init__(self) -> None:
        self._records = Records(schema.versions, Version)

    def put(self, unit: Unit, version: Version) -> None:
        """Keep a version, in place of an earlier form of it."""
        self._records.put(unit, version.id, version.name, version)

    def get(self, unit: Unit, version_id: str) -> Version | None:
        """The version of that id."""
        return self._records.get(unit, version_id)

    def all(self, unit: Unit, name: str | None = None) -> list[Version]:
        """Versions of one name, or of all, in the order of their registration."""
        return self._records.all(unit, name)


class SqlAliases:
    """The ``Aliases`` of :mod:`nenrin.registry.ports`."""

    def put(self, unit: Unit, name: str, alias: str, version_id: str) -> None:
        """Point ``alias`` of ``name`` at a version."""
        key = {"environment": unit.environment, "name": name, "alias": alias}
        connection = connection_of(unit)
        connection.execute(delete(schema.aliases).filter_by(**key))
        connection.execute(insert(schema.aliases), {**key, "version": version_id})

    def all(self, unit: Unit, name: str) -> dict[str, str]:
        """Version ids by alias, sorted by alias."""
        table = schema.aliases
        query = select(table.c.alias, table.c.version).where(
            table.c.environment == unit.environment, table.c.name == name
        )
        found = sorted(map(tuple, connection_of(unit).execute(query)))
        return dict(found)
