"""The data room's dataset versions in SQL."""

from __future__ import annotations

from nenrin.backends.sql.records import Records
from nenrin.backends.sql.schema import dataset_versions
from nenrin.core.unit import Unit
from nenrin.data.versions import DatasetVersion


class SqlDatasetVersions:
    """The ``DatasetVersions`` of :mod:`nenrin.data.ports`."""

    def __init__(self) -> None:
        self._records = Records(dataset_versions, DatasetVersion)

    def add(self, unit: Unit, record: DatasetVersion) -> None:
        """Keep a version; it is never changed."""
        self._records.add(unit, record.id, record.dataset, record)

    def latest(self, unit: Unit, name: str) -> DatasetVersion | None:
        """The version of dataset ``name`` with the highest number: the one added last."""
        return self._records.latest(unit, name)

    def get(self, unit: Unit, version_id: str) -> DatasetVersion | None:
        """The version with this id."""
        return self._records.get(unit, version_id)

    def all(self, unit: Unit, name: str | None = None) -> list[DatasetVersion]:
        """Versions, of one dataset or of all, by name and number."""
        found = self._records.all(unit, name)
        return sorted(found, key=lambda version: (version.dataset, version.number))
