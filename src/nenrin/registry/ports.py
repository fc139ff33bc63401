"""What the registry needs kept. Adapters: ``nenrin.backends.sql.registry``."""

from __future__ import annotations

from typing import Protocol

from nenrin.core.unit import Unit
from nenrin.registry.version import Version


class Versions(Protocol):
    """Versions of the unit's environment."""

    def put(self, unit: Unit, version: Version) -> None:
        """Keep a version, in place of an earlier form of it."""
        ...

    def get(self, unit: Unit, version_id: str) -> Version | None:
        """The version of that id, or None."""
        ...

    def all(self, unit: Unit, name: str | None = None) -> list[Version]:
        """Versions of one name, or of all, in the order of their registration."""
        ...


class Aliases(Protocol):
    """Names that move from version to version, in the unit's environment."""

    def put(self, unit: Unit, name: str, alias: str, version_id: str) -> None:
        """Point ``alias`` of ``name`` at a version."""
        ...

    def all(self, unit: Unit, name: str) -> dict[str, str]:
        """Version ids by alias, sorted by alias."""
        ...
