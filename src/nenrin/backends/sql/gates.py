"""The gates' verdicts in SQL."""

from __future__ import annotations

from nenrin.backends.sql.records import Records
from nenrin.backends.sql.registry import SqlVersions
from nenrin.backends.sql.schema import verdicts
from nenrin.core.unit import Unit
from nenrin.gates.verdict import Verdict


class SqlVerdicts:
    """The ``Verdicts`` of :mod:`nenrin.gates.ports`."""

    def __init__(self) -> None:
        self._records = Records(verdicts, Verdict)

    def add(self, unit: Unit, record: Verdict) -> None:
        """Keep a verdict; one that is kept already stays as it is."""
        self._records.add(unit, record.id, record.deployment, record)

    def get(self, unit: Unit, verdict_id: str) -> Verdict:
        """The verdict of that id.

        Raises:
            NotFoundError: there is none.
        """
        return self._records.must(unit, verdict_id)

    def all(self, unit: Unit, deployment: str | None = None) -> list[Verdict]:
        """Every verdict, or those on a deployment, oldest first."""
        return self._records.all(unit, deployment)


class SqlMarks:
    """The ``Marks`` of :mod:`nenrin.gates.ports`, as the registry keeps them."""

    def __init__(self) -> None:
        self._versions = SqlVersions()

    def bad(self, unit: Unit, version_id: str) -> bool:
        """Whether that version is never to be served again."""
        version = self._versions.get(unit, version_id)
        return version is not None and version.status == "bad"
