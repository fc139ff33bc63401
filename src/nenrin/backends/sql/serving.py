"""Serving's deployments in SQL."""

from __future__ import annotations

from nenrin.backends.sql.records import Records
from nenrin.backends.sql.schema import deployments
from nenrin.core.unit import Unit
from nenrin.serving.deployments import Deployment


class SqlDeployments:
    """The ``Deployments`` of :mod:`nenrin.serving.ports`."""

    def __init__(self) -> None:
        self._records = Records(deployments, Deployment)

    def put(self, unit: Unit, deployment: Deployment) -> None:
        """Write the record, in place of the one of that name."""
        self._records.put(unit, deployment.name, deployment.name, deployment)

    def get(self, unit: Unit, name: str) -> Deployment | None:
        """The deployment of that name."""
        return self._records.get(unit, name)

    def all(self, unit: Unit) -> list[Deployment]:
        """Every deployment of the environment, by name."""
        return sorted(self._records.all(unit), key=lambda deployment: deployment.name)
