"""A deployment: what clients address by name."""

from __future__ import annotations

from typing import Any

import msgspec

from nenrin.serving.experiment import Experiment
from nenrin.serving.masks import LogRules
from nenrin.serving.router import Route
from nenrin.serving.signature import RequestSignature


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one deployment in one environment.

    Attributes:
        name: what clients call it.
        environment: where it lives.
        model: name of the declared model (or prompt, …) whose versions it serves.
        revision: id of the project revision that it was declared in.
        route: who answers; its first variant is the champion.
        anchor: the version that every challenger is measured against, too.
        previous: the version that the champion replaced; where a rollback goes.
        previous_features: the feature state of that version.
        request: what a request holds.
        example: a raw row of plain JSON values, for documentation.
        frozen: no automatic change is made.
        frozen_since: business instant of the freeze, microseconds UTC; 0 if it is not frozen.
        frozen_why: what whoever froze it said.
        thawed: business instant of the newest thaw, microseconds UTC: what was held until then happens
            then, never earlier.
        paused: why its rollout stays at its weight; empty: it goes on.
        fallback: what is answered where no version does; None: an error.
        log: how its predictions are logged.
        experiment: the newest experiment, running or ended.
        epoch: how often the :attr:`pair` has changed: counts of live requests are of one epoch.
        at: business instant of the last change, microseconds UTC.
    """

    name: str
    environment: str
    model: str
    revision: str
    route: Route
    anchor: str
    request: RequestSignature
    at: int
    previous: str | None = None
    previous_features: str = ""
    example: dict[str, Any] = {}
    frozen: bool = False
    frozen_since: int = 0
    frozen_why: str = ""
    thawed: int = 0
    paused: str = ""
    fallback: float | str | None = None
    log: LogRules = LogRules()
    experiment: Experiment | None = None
    epoch: int = 0

    @property
    def champion(self) -> str:
        """The version that serves what no challenger takes."""
        return self.route.champion.version

    @property
    def pair(self) -> tuple[str, str] | None:
        """The version that live requests may judge and the one that it is compared with."""
        if self.route.challengers:
            return self.route.challengers[0].version, self.champion
        return (self.champion, self.previous) if self.previous else None

    @property
    def states(self) -> dict[str, str]:
        """The feature states of the versions that are loaded, and of the one that the champion replaced."""
        known = {self.previous: self.previous_features} if self.previous else {}
        return known | {variant.version: variant.features for variant in self.route.loaded}
