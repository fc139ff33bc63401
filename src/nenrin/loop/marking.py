"""Marking a version bad: it is never served again, and a mixture that it is a member of goes on without it.

Its share goes to the other members in proportion, at once; its slot is filled again at the next look.
"""

from __future__ import annotations

from collections.abc import Callable

from nenrin.core.errors import RefusedError
from nenrin.core.unit import Unit, Units
from nenrin.loop.journal import LoopStates, keep, read, share
from nenrin.loop.mixture import blend_of, seat
from nenrin.loop.promoting import extend
from nenrin.registry.service import RegistryService
from nenrin.serving.deployments import Deployment
from nenrin.serving.service import ServingService


class Marking:
    """Takes bad versions out of what is served.

    Args:
        units, registry, serving, states: what it reads and writes.
        instant: where an environment's calendar is.
    """

    def __init__(
        self,
        *,
        units: Units,
        registry: RegistryService,
        serving: ServingService,
        states: LoopStates,
        instant: Callable[[str], int],
    ) -> None:
        self._units = units
        self._registry = registry
        self._serving = serving
        self._states = states
        self._instant = instant

    def mark_bad(self, environment: str, version: str, reason: str) -> list[str]:
        """Mark a version bad.

        Returns:
            the deployments that it answered in, as a member of a mixture.

        Raises:
            NotFoundError: the environment has no such version.
            RefusedError: nobody would answer in its place.
        """
        deployments = self._serving.list(environment)
        with self._units.write(environment, self._instant(environment)) as unit:
            self._registry.mark_bad(unit, version, reason)
            return [each.name for each in deployments if self._leaves(unit, each, version)]

    def _leaves(self, unit: Unit, deployment: Deployment, version: str) -> bool:
        """Take a version out of a deployment; whether it was a member there."""
        state = read(self._states, unit, deployment.name)
        if state is None:
            _refuse_last(deployment, version, [v.version for v in deployment.route.variants])
            return False
        if version not in state.artefacts:
            return False
        state.bad = list(dict.fromkeys([*state.bad, version]))
        _refuse_last(
            deployment,
            version,
            [
                m.version
                for served, _ in state.segments[-1].variants
                for m in blend_of(state, served)
            ],
        )
        member = any(
            part.version == version
            for variant in deployment.route.variants
            for part in variant.members
        )
        seat(state)
        if member:
            segment = extend(state, unit.at, state.segments[-1].variants)
            share(self._serving, unit, deployment.name, segment)
        keep(self._states, unit, deployment.name, state)
        return member


def _refuse_last(deployment: Deployment, version: str, answering: list[str]) -> None:
    """Refuse to take away a version that answers alone.

    Raises:
        RefusedError: it does.
    """
    if version in answering or version in [v.version for v in deployment.route.variants]:
        raise RefusedError(
            f"{version} answers for {deployment.name!r}, and nothing else would in its place",
            hint=f"roll back instead, nenrin deployments rollback {deployment.name}: that marks it bad too",
            where=deployment.name,
        )
