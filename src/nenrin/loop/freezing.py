"""Freezing: from now on nothing changes by itself, in one deployment or in all of an environment."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec

from nenrin.core.errors import NotFoundError
from nenrin.core.instants import iso
from nenrin.core.unit import Units
from nenrin.loop.deployed import Options
from nenrin.serving.deployments import Deployment
from nenrin.serving.service import ServingService

LIVE = Options(takes=0)  # process time passes by itself while a live refresh is computed


class Freezing:
    """Freezes and thaws deployments.

    Args:
        units, serving: where it writes.
        instant: where an environment's calendar is.
        seen: what the loop has seen of each deployment; of one that thaws it forgets that, and looks again.
    """

    def __init__(
        self,
        units: Units,
        serving: ServingService,
        instant: Callable[[str], int],
        seen: MutableMapping[tuple[str, str], Any],
    ) -> None:
        self._units = units
        self._serving = serving
        self._instant = instant
        self._seen = seen

    def freeze(self, environment: str, deployment: str | None, reason: str) -> list[dict[str, Any]]:
        """Stop every change that nobody made by hand, of a deployment or of all that are there.

        Raises:
            NotFoundError: there is no such deployment, or none at all.
        """
        names = self._names(environment, deployment)
        with self._units.write(environment, self._instant(environment)) as unit:
            return [_told(self._serving.freeze(unit, name, reason=reason)) for name in names]

    def unfreeze(
        self, environment: str, deployment: str | None, reason: str
    ) -> list[dict[str, Any]]:
        """Let the loop act again: what was held happens at its next tick.

        Raises:
            NotFoundError: there is no such deployment, or none at all.
        """
        names = self._names(environment, deployment)
        with self._units.write(environment, self._instant(environment)) as unit:
            done = [_told(self._serving.unfreeze(unit, name, reason=reason)) for name in names]
        for name in names:
            self._seen.pop((environment, name), None)
        return done

    def options(self, environment: str, deployment: str) -> Options:
        """How the loop is run there: what a freeze holds, and since when."""
        found = self._current(environment, deployment)
        if found is None:
            return LIVE
        frozen = found.frozen_since if found.frozen else None
        paused = bool(found.paused)
        return msgspec.structs.replace(LIVE, frozen=frozen, paused=paused, thawed=found.thawed)

    def why(self, environment: str, deployment: str) -> str | None:
        """What whoever froze a deployment said; None where it is not frozen."""
        found = self._current(environment, deployment)
        return found.frozen_why if found is not None and found.frozen else None

    def _current(self, environment: str, deployment: str) -> Deployment | None:
        with self._units.read(environment) as unit:
            return self._serving.current(unit, deployment)

    def _names(self, environment: str, deployment: str | None) -> list[str]:
        if deployment is not None:
            return [deployment]
        names = [each.name for each in self._serving.list(environment)]
        if not names:
            raise NotFoundError(
                f"nothing is deployed in {environment!r}", hint="deploy something: nenrin run"
            )
        return names


def _told(deployment: Deployment) -> dict[str, Any]:
    return {
        "deployment": deployment.name,
        "frozen": deployment.frozen,
        "since": iso(deployment.frozen_since) if deployment.frozen else None,
        "reason": deployment.frozen_why or None,
    }
