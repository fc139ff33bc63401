"""Keeps what the loop did: versions, verdicts, events, routes and state, in one unit of work a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from nenrin.core.environment import is_backtest
from nenrin.core.errors import ConflictError, OvertakenError
from nenrin.core.instants import DAY
from nenrin.core.store import ContentStore
from nenrin.core.unit import Unit, Units
from nenrin.gates.service import GatesService
from nenrin.loop.compiling import about_to_serve, compile_ahead
from nenrin.loop.ports import Compiles, Prepared, Served, Step
from nenrin.loop.state import Segment, State
from nenrin.registry.service import RegistryService
from nenrin.serving.deployments import Deployment
from nenrin.serving.service import ServingService


class LoopStates(Protocol):
    """Keeps the loop's state by deployment. Adapter: ``nenrin.backends.sql.loop``."""

    def get(self, unit: Unit, deployment: str) -> bytes | None:
        """The state last written, None before the first."""
        ...

    def put(self, unit: Unit, deployment: str, state: bytes) -> None:
        """Write the state, in place of the one before."""
        ...


class LoopJournal:
    """Writes the loop's steps into one environment.

    Args:
        environment: where it writes.
        served: what the deployment is known by.
        units, registry, gates, serving, states, store: the rooms' own ways to write.
        compiles: compiles what is about to be served; None: models are not compiled.
    """

    def __init__(
        self,
        environment: str,
        served: Served,
        *,
        units: Units,
        registry: RegistryService,
        gates: GatesService,
        serving: ServingService,
        states: LoopStates,
        store: ContentStore,
        compiles: Compiles | None = None,
    ) -> None:
        self._environment = environment
        self._served = served
        self._units = units
        self._registry = registry
        self._gates = gates
        self._serving = serving
        self._states = states
        self._store = store
        self._compiles = compiles

    def commit(self, step: Step, state: State, *, by_hand: bool = False) -> None:
        """Write the step and the state after it, once what is about to be served is compiled.

        Raises:
            ConflictError: the step changes who answers, nobody asked for that by name, and the deployment
                was frozen meanwhile; or the state was changed meanwhile.
        """
        compiled = self._compiled(step, state, by_hand)
        with self._units.write(self._environment, step.at) as unit:
            for _, fit in step.fits:
                self._registry.register(
                    unit,
                    name=self._served.model,
                    kind="model",
                    content=fit.model,
                    revision=self._served.revision,
                    parents=fit.parents,
                    facts=fit.facts,
                )
            for mixture, content in step.mixtures:
                self._registry.register(
                    unit,
                    name=self._served.deployment,
                    kind=mixture.recipe,
                    content=self._store.put(content.dumps()),
                    revision=self._served.revision,
                    parents=content.parents,
                )
            for version, outcome in compiled.items():
                self._registry.note(unit, version, {"compiled": outcome})
            for verdict in step.verdicts:
                self._gates.keep(unit, verdict)
            for line in step.lines:
                unit.record(line.kind, line.subject, line.body)
            for version in step.bad:
                self._registry.mark_bad(unit, version, step.why)
            if step.route is not None:
                self._thawed(unit, by_hand)
                self._route(unit, step.route, step.why, bool(step.bad), state.anchor)
                share(self._serving, unit, self._served.deployment, step.route)
            keep(self._states, unit, self._served.deployment, state)

    def _compiled(self, step: Step, state: State, by_hand: bool) -> dict[str, dict[str, Any]]:
        """What came of compiling; what goes back, or out by a person's word, waits for nothing."""
        if by_hand or (step.route is not None and step.bad):
            return {}
        versions = about_to_serve(step, state)
        return compile_ahead(self._registry, self._environment, self._compiles, state, versions)

    def remember(self, state: State, at: int) -> None:
        """Keep the state alone: nothing happened that the ledger should know."""
        with self._units.write(self._environment, at) as unit:
            keep(self._states, unit, self._served.deployment, state)

    def log_as_declared(self, at: int) -> None:
        """Log predictions as the project says it now, whatever else a turn decides."""
        with self._units.read(self._environment) as unit:
            now = self._serving.current(unit, self._served.deployment)
        if now is None or now.log == self._served.log:
            return
        with self._units.write(self._environment, at) as unit:
            self._serving.set_log(unit, self._served.deployment, self._served.log)

    def _thawed(self, unit: Unit, by_hand: bool) -> None:
        now = self._serving.current(unit, self._served.deployment)
        if now is not None and now.frozen and not by_hand:
            raise ConflictError(
                f"{now.name!r} was frozen while the loop was at work: nothing is changed",
                hint=f"it goes on after nenrin deployments unfreeze {now.name}",
                where=now.name,
            )

    def _route(
        self, unit: Unit, segment: Segment, why: str, rolled_back: bool, anchor: str
    ) -> None:
        """Serve what the loop routed: a first version, a canary, a promotion, or a roll-back."""
        name = self._served.deployment
        before = self._serving.current(unit, name)
        champion = segment.variants[0][0]
        if before is not None and segment.variants == tuple(
            (variant.version, variant.weight) for variant in before.route.variants
        ):
            return  # only the shares have moved
        features = self._answering(before, segment.variants[-1][0], rolled_back)
        if before is None:
            self._serving.deploy(
                unit,
                name,
                model=self._served.model,
                version=champion,
                revision=self._served.revision,
                request=self._served.request,
                features=features,
                anchor=anchor,
                example=self._served.example,
                reason=why,
            )
            self._serving.set_log(unit, name, self._served.log)
        elif len(segment.variants) > 1:
            version, weight = segment.variants[1]
            self._serving.canary(
                unit,
                name,
                version,
                weight,
                features=features,
                reason=why,
                request=self._served.request,
            )
        elif rolled_back:
            self._serving.rollback(unit, name, reason=why, to=champion, features=features)
        else:
            self._serving.promote(
                unit,
                name,
                champion,
                reason=why,
                features=features,
                anchor=anchor,
                revision=self._served.revision,
                request=self._served.request,
                example=self._served.example,
            )

    def _answering(self, before: Deployment | None, version: str, rolled_back: bool) -> str:
        """The feature state by which a version answers from now on.

        One that answers no request keeps what is new from serving, and nothing from going back: to the
        state that a version had, or else to that of the champion.
        """
        served = self._served
        if served.unanswered is None or is_backtest(self._environment):
            return served.features
        known = before.states if before is not None else {}
        if before is not None and (version in known or rolled_back):
            return known.get(version, before.route.champion.features)
        return served.answering()


@dataclass(frozen=True)
class Journals:
    """Makes the journal of an environment: what all of them write with."""

    units: Units
    registry: RegistryService
    gates: GatesService
    serving: ServingService
    states: LoopStates
    store: ContentStore

    def __call__(self, environment: str, prepared: Prepared) -> LoopJournal:
        """The journal of a deployment there."""
        return LoopJournal(
            environment,
            prepared.served,
            units=self.units,
            registry=self.registry,
            gates=self.gates,
            serving=self.serving,
            states=self.states,
            store=self.store,
            compiles=None if is_backtest(environment) else prepared.compiles,
        )


def read(states: LoopStates, unit: Unit, deployment: str) -> State | None:
    """The state of a deployment; None before the first."""
    data = states.get(unit, deployment)
    return None if data is None else State.loads(data)


class _Written(msgspec.Struct):
    written: int = 0


def keep(states: LoopStates, unit: Unit, deployment: str, state: State) -> None:
    """Write a state in place of the one that it was made from.

    Raises:
        OvertakenError: another thread or another host has written since.
    """
    kept = states.get(unit, deployment)
    before = msgspec.json.decode(kept, type=_Written).written if kept else 0
    if before != state.written:
        raise OvertakenError(
            f"the loop of {deployment!r} went on meanwhile: nothing is changed",
            hint="look at nenrin status, and do it again",
            where=deployment,
        )
    state.written += 1
    states.put(unit, deployment, state.dumps())


def share(serving: ServingService, unit: Unit, deployment: str, segment: Segment) -> None:
    """Let a deployment's versions answer as a segment says: by their shares, recalibrated or not."""
    platt = segment.recalibration
    recalibration = (platt.a, platt.b) if platt else None
    serving.share(unit, deployment, dict(segment.blends), recalibration)


def settle_of(states: LoopStates, unit: Unit, deployment: str) -> int:
    """Microseconds after the end of a day at which it closes; a day before the loop has measured it."""
    state = read(states, unit, deployment)
    return DAY if state is None else state.settle
