"""What the gates need from a store."""

from __future__ import annotations

from typing import Protocol

from nenrin.core.unit import Unit
from nenrin.gates.verdict import Verdict


class Verdicts(Protocol):
    """Keeps verdicts of the unit's environment. Adapter: ``nenrin.backends.sql.gates``."""

    def add(self, unit: Unit, record: Verdict) -> None:
        """Keep a verdict; one that is kept already stays as it is."""
        ...

    def get(self, unit: Unit, verdict_id: str) -> Verdict:
        """The verdict of that id.

        Raises:
            NotFoundError: there is none.
        """
        ...

    def all(self, unit: Unit, deployment: str | None = None) -> list[Verdict]:
        """Verdicts of one deployment, or of all, oldest first."""
        ...


class Marks(Protocol):
    """Which versions of the unit's environment are marked bad. Adapter: ``nenrin.backends.sql.gates``."""

    def bad(self, unit: Unit, version_id: str) -> bool:
        """Whether that version is never to be served again."""
        ...
