"""Project revisions in SQL."""

from __future__ import annotations

from nenrin.backends.sql.records import Records
from nenrin.backends.sql.schema import revisions
from nenrin.core.unit import Unit
from nenrin.project.revision import Revision


class SqlRevisions:
    """Revisions of the unit's environment; the one added last is the active one."""

    def __init__(self) -> None:
        self._records = Records(revisions, Revision)

    def add(self, unit: Unit, record: Revision) -> None:
        """Keep a revision; one that is kept already becomes the newest."""
        self._records.renew(unit, record.id, "", record)

    def latest(self, unit: Unit) -> Revision | None:
        """The revision that was added last."""
        return self._records.latest(unit, "")

    def get(self, unit: Unit, revision_id: str) -> Revision:
        """The revision of that id.

        Raises:
            NotFoundError: there is none.
        """
        return self._records.must(unit, revision_id)

    def all(self, unit: Unit) -> list[Revision]:
        """Every revision, oldest first."""
        return self._records.all(unit)
