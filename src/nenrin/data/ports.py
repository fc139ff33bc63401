"""What this room needs kept: the records of versions. Adapter: ``nenrin.backends.sql.data``."""

from __future__ import annotations

from typing import Protocol

from nenrin.core.unit import Unit
from nenrin.data.versions import DatasetVersion


class DatasetVersions(Protocol):
    """Dataset versions of the unit's environment."""

    def add(self, unit: Unit, record: DatasetVersion) -> None:
        """Keep a version; it is never changed."""
        ...

    def latest(self, unit: Unit, name: str) -> DatasetVersion | None:
        """The version of dataset ``name`` with the highest number, or None."""
        ...

    def get(self, unit: Unit, version_id: str) -> DatasetVersion | None:
        """The version with this id, or None."""
        ...

    def all(self, unit: Unit, name: str | None = None) -> list[DatasetVersion]:
        """Versions, of one dataset or of all, by name and number."""
        ...
