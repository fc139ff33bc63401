"""Experiments on a deployment: start, show, stop; and the weights of a bandit, by the loop's tick.

The planes only read weights. While an experiment runs the deployment is frozen (:mod:`nenrin.loop.holding`);
a version that live requests show not to be safe is taken back all the same (:mod:`nenrin.loop.guarding`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import polars as pl

from nenrin.core.digest import digest
from nenrin.core.errors import ConflictError, NotFoundError, RefusedError, RequestError
from nenrin.core.instants import DAY, iso
from nenrin.core.unit import Unit
from nenrin.loop.beside import beside, reads
from nenrin.loop.exposures import (
    Measured,
    analysed,
    first_exposures,
    planned,
    since_start,
    started,
)
from nenrin.loop.holding import refuse_frozen
from nenrin.loop.journal import Journals, settle_of
from nenrin.loop.living import one_by_one
from nenrin.loop.ports import Replay
from nenrin.serving.deployments import Deployment
from nenrin.serving.experiment import (
    BANDIT,
    STRATEGIES,
    Experiment,
    Stretch,
    dealt,
    moved,
    refuse_second,
)
from nenrin.serving.exposing import refuse_unreadable
from nenrin.stats.thompson import FLOOR, weights

_LOG = logging.getLogger(__name__)

Measure = Callable[[str, Deployment, Experiment, int, int], Measured]
"""Answers of an environment's deployment, with an experiment's outcome, by a settle age and an instant."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment is asked to be; as :class:`nenrin.serving.experiment.Experiment` has it.

    Attributes:
        challengers: versions beside the champion.
        weight: percent of the keys that they share evenly.
    """

    challengers: tuple[str, ...]
    weight: int = 50
    strategy: str = "fixed"
    outcome: str = ""
    lower: bool | None = None
    days: int = 14
    effect: float | None = None


class Experiments:
    """Starts, shows, moves and stops experiments.

    Args:
        rooms: where it reads and writes.
        replay: makes versions of other revisions ready.
        measure: what became of the answers.
        instant: where an environment's calendar is.
        stands: where it stands because data has ended; None: it goes with the machine's.
    """

    def __init__(
        self,
        rooms: Journals,
        replay: Replay,
        measure: Measure,
        instant: Callable[[str], int],
        stands: Callable[[str], int | None],
    ) -> None:
        self._units, self._serving, self._states = rooms.units, rooms.serving, rooms.states
        self._registry = rooms.registry
        self._replay = replay
        self._measure = measure
        self._instant = instant
        self._stands = stands
        self._weighed: dict[tuple[str, str], int] = {}

    def start(self, environment: str, name: str, asked: Asked) -> dict[str, Any]:
        """Let versions answer side by side from now on.

        Raises:
            NotFoundError: there is no such deployment or version.
            RequestError: weights, strategy or days do not fit.
            RefusedError: a version is bad or no fit for it; the deployment is frozen; its exposures would
                not be known; or its calendar stands.
            ConflictError: an experiment or a rollout is on already.
        """
        deployment = self._serving.show(environment, name)
        weight = _checked(asked)
        self._free(environment, deployment)
        found = [
            beside(self._registry, environment, deployment, each) for each in asked.challengers
        ]
        states = [
            reads(self._registry, self._replay, environment, deployment, each) for each in found
        ]
        experiment = Experiment(
            versions=(deployment.champion, *asked.challengers),
            stretches=(Stretch(self._instant(environment), weight),),
            strategy=asked.strategy,
            outcome=asked.outcome,
            lower=not asked.outcome if asked.lower is None else asked.lower,
            days=asked.days,
            effect=asked.effect,
        )
        plan = planned(experiment, self._measured(environment, deployment, experiment))
        with self._units.write(environment, experiment.started) as unit:
            now = self._serving.current(unit, name)
            if now is None or now.route != deployment.route or now.frozen:
                raise ConflictError(
                    f"{name!r} has changed meanwhile: nothing is started",
                    hint="look at nenrin status, and start it again",
                )
            request = deployment.request
            for each in states:
                request = request.widened(each[1])
            features = [each[0] for each in states]
            done = self._serving.experiment(unit, name, experiment, features, request)
        return {"deployment": name, **_told(done, experiment), "plan": plan}

    def weigh(self, environment: str, name: str, weight: int) -> dict[str, Any]:
        """Give a running experiment's challengers another weight; keys that need not move stay.

        Raises:
            NotFoundError: there is no such deployment, or never was an experiment.
            RequestError: the weight cannot be dealt.
            ConflictError: it has ended, or is a bandit, or its weight was moved meanwhile.
        """
        deployment, experiment = self._newest(environment, name)
        if not experiment.runs:
            raise ConflictError(f"the experiment on {name!r} has ended", hint="start another")
        if experiment.strategy == BANDIT:
            raise ConflictError(
                f"the bandit on {name!r} moves its weights by itself",
                hint=f"nenrin experiments stop {name} ends it",
            )
        told = dealt(weight, len(experiment.versions) - 1)
        with self._units.write(environment, self._instant(environment)) as unit:
            now = self._serving.current(unit, name)
            if now is None or now.experiment != experiment:
                raise ConflictError(
                    f"the experiment on {name!r} has changed meanwhile",
                    hint=f"look at nenrin experiments show {name}, and weigh it again",
                )
            if told != experiment.stretches[-1].weights:
                deployment = self._weighed_by(unit, now, moved(experiment, unit, told, ""))
        return {"deployment": name, **_told(deployment, deployment.experiment or experiment)}

    def show(self, environment: str, name: str) -> dict[str, Any]:
        """The newest experiment, and what it has shown until now.

        Raises:
            NotFoundError: there is no such deployment, or never was an experiment.
        """
        deployment, experiment = self._newest(environment, name)
        told = {"deployment": name, **_told(deployment, experiment)}
        return told | analysed(experiment, self._measured(environment, deployment, experiment))

    def exposures(self, environment: str, name: str) -> list[dict[str, Any]]:
        """Every key of the newest experiment, the version that it got first, and when."""
        deployment, experiment = self._newest(environment, name)
        rows = since_start(experiment, self._measured(environment, deployment, experiment))
        first = first_exposures(rows)
        return [
            {"key": unit, "version": version, "first_exposed": iso(at)}
            for unit, version, at in first.select("unit", "version", "at").iter_rows()
        ]

    def stop(self, environment: str, name: str) -> dict[str, Any]:
        """Let the champion answer everything again, and the loop go on.

        Raises:
            NotFoundError: there is no such deployment, or never was an experiment.
            ConflictError: it has ended already.
        """
        with self._units.write(environment, self._instant(environment)) as unit:
            deployment = self._serving.current(unit, name)
            experiment = deployment.experiment if deployment else None
            if deployment is None or experiment is None or not experiment.runs:
                self._newest(environment, name)
                raise ConflictError(f"the experiment on {name!r} has ended", hint="start another")
            champion = msgspec.structs.replace(deployment.route.champion, weight=100)
            route = msgspec.structs.replace(deployment.route, variants=(champion,))
            done = self._serving.set_route(unit, name, route, reason="stopped by hand")
        return {"deployment": name, **_told(done, done.experiment or experiment)}

    def tick(self, environment: str) -> int:
        """Weigh every bandit anew whose newest day has closed; how many weights changed."""

        def ticked(deployment: Deployment) -> int:
            experiment = deployment.experiment
            if experiment is None or not experiment.runs or experiment.strategy != BANDIT:
                return 0
            place, hour = (environment, deployment.name), self._instant(environment) // (DAY // 24)
            if self._weighed.get(place) == hour:
                return 0  # reading the log takes time, and days close but once
            self._weighed[place] = hour
            said = self._weigh(environment, deployment, experiment)
            if said:
                _LOG.info("%s", said)
            return 1 if said else 0

        return one_by_one(self._serving.list(environment), ticked)

    def _weigh(self, environment: str, deployment: Deployment, experiment: Experiment) -> str:
        rows = since_start(experiment, self._measured(environment, deployment, experiment))
        known = rows.filter(pl.col("closed") & pl.col("value").is_finite())
        newest = known["day"].max()
        if newest is None or str(newest) <= experiment.read:
            return ""
        sign = -1.0 if experiment.lower else 1.0
        told = weights(
            sign * known["value"].to_numpy(),
            known["arm"].to_numpy(),
            known["day"].to_physical().to_numpy(),
            len(experiment.versions),
            seed=int(digest([deployment.name, experiment.started, str(newest)])[:12], 16),
        )
        if told is None or told == experiment.stretches[-1].weights:
            return ""
        with self._units.write(environment, self._instant(environment)) as unit:
            now = self._serving.current(unit, deployment.name)
            if now is None or now.experiment != experiment:
                return ""  # it was stopped or moved meanwhile
            self._weighed_by(unit, now, moved(experiment, unit, told, str(newest)))
        return f"the bandit on {deployment.name!r} weighs {told} by {known.height:,} rewards"

    def _weighed_by(self, unit: Unit, now: Deployment, experiment: Experiment) -> Deployment:
        states = [variant.features for variant in now.route.challengers]
        return self._serving.experiment(unit, now.name, experiment, states)

    def _free(self, environment: str, deployment: Deployment) -> None:
        """Refuse what cannot be an experiment, whatever the versions."""
        refuse_second(deployment.experiment, deployment.name)
        refuse_frozen(deployment)
        refuse_unreadable(deployment)
        if deployment.route.challengers:
            raise ConflictError(
                f"{deployment.name!r} rolls {deployment.route.challengers[0].version} out",
                hint="wait for its end, or nenrin deployments rollback",
                where=deployment.name,
            )
        if self._stands(environment) is not None:
            raise RefusedError(
                f"the calendar of {environment!r} stands, for its data has ended: no day would pass",
                hint="load new data first: nenrin run",
            )

    def _measured(
        self, environment: str, deployment: Deployment, experiment: Experiment
    ) -> Measured:
        with self._units.read(environment) as unit:
            settle = settle_of(self._states, unit, deployment.name)
        now = self._instant(environment)
        return self._measure(environment, deployment, experiment, settle, now)

    def _newest(self, environment: str, name: str) -> tuple[Deployment, Experiment]:
        deployment = self._serving.show(environment, name)
        if deployment.experiment is None:
            raise NotFoundError(
                f"there never was an experiment on {name!r}",
                hint=f"nenrin experiments start {name} --version VERSION",
            )
        return deployment, deployment.experiment


def _checked(asked: Asked) -> tuple[int, ...]:
    """The weights of what is asked.

    Raises:
        RequestError: weights, strategy, outcome or days do not fit.
    """
    weight = dealt(asked.weight, len(asked.challengers))
    if asked.strategy not in STRATEGIES:
        raise RequestError(
            f"{asked.strategy!r} is no strategy", hint=f"one of {', '.join(STRATEGIES)}"
        )
    if asked.strategy == BANDIT and len(weight) * FLOOR > 100 - len(weight):
        raise RequestError(
            f"a bandit over {len(weight)} versions leaves nothing to learn with",
            hint=f"each keeps {FLOOR} %: name fewer versions",
        )
    if asked.days < 1 or asked.effect == 0:
        raise RequestError(
            "an experiment takes a day or more, and looks for an effect that is not 0",
            hint="--days 14 --effect 0.01",
        )
    if asked.outcome and asked.outcome.count(".") != 1:
        raise RequestError(
            f"{asked.outcome!r} is no column of a dataset", hint="--outcome orders.amount"
        )
    return weight


def _told(deployment: Deployment, experiment: Experiment) -> dict[str, Any]:
    """An experiment's facts, and who answers now."""
    route: Sequence[dict[str, Any]] = [
        {"version": variant.version, "weight": variant.weight}
        for variant in deployment.route.variants
    ]
    return {**started(experiment), "route": route}
