"""Guards what goes out: judges it by live requests, rolls back at once what is not safe, and pauses.

Nothing is prepared for that: an unsafe version is taken back within a second of the evidence, whatever else
is at work; a turn that was under way then finds its state changed, and begins again. A backtest has no live
requests, and is never asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from nenrin.core.errors import ConflictError
from nenrin.core.unit import Unit
from nenrin.loop.by_whom import paused_by, rolled_back
from nenrin.loop.holding import hold, unsafe
from nenrin.loop.journal import Journals, keep, read, share
from nenrin.loop.ports import Step
from nenrin.loop.promoting import leave
from nenrin.loop.rollout import take_back
from nenrin.loop.safety import Safety, judge
from nenrin.loop.state import State
from nenrin.serving.deployments import Deployment
from nenrin.serving.observed import Observed

_LOG = logging.getLogger(__name__)

Observe = Callable[[str, str], Observed]
"""What the planes have counted of an environment's deployment."""


class Guarding:
    """Judges, rolls back and pauses rollouts.

    Args:
        rooms: where it reads and writes.
        observe: what the planes have counted.
        instant: where an environment's calendar is.
    """

    def __init__(self, rooms: Journals, observe: Observe, instant: Callable[[str], int]) -> None:
        self._units = rooms.units
        self._registry = rooms.registry
        self._serving = rooms.serving
        self._states = rooms.states
        self._observe = observe
        self._instant = instant

    def guard(self, environment: str) -> list[str]:
        """Roll back every version that is not safe; a sentence for each."""
        done = []
        for deployment in self._serving.list(environment):
            safety = self._judged(environment, deployment)
            if safety is None or not safety.breaches:
                continue
            try:
                said = self._answer(environment, deployment, safety)
            except ConflictError:  # a turn wrote meanwhile: the next look acts
                continue
            if said:
                _LOG.warning("%s", said)
                done.append(said)
        return done

    def show(self, environment: str, name: str) -> dict[str, Any]:
        """What live requests say of what goes out, how the versions' breakers stand, who paused, and what
        was rolled back last.

        Raises:
            NotFoundError: there is no such deployment.
        """
        deployment = self._serving.show(environment, name)
        known = self._goes_out(environment, deployment)
        safety = self._judged(environment, deployment) if known else None
        breakers = self.breakers(environment, name)
        return {
            "safety": safety.told() if safety else None,
            "breakers": breakers,
            "paused_by": paused_by(self._units, environment, deployment),
            "rolled_back": rolled_back(self._units, environment, name),
        }

    def breakers(self, environment: str, name: str) -> list[dict[str, Any]]:
        """The versions of a deployment that are not loaded, were left out, or had others answer for them."""
        return [
            {
                "version": each.version,
                "open": each.open,
                "opened": each.opened,
                "answered by others": each.instead,
                **({"lacked": each.lacked, "lacks": each.lacks} if each.lacked else {}),
                **({"not loaded": each.unloaded} if each.unloaded else {}),
            }
            for each in self._observe(environment, name).standings
        ]

    def problem(self, environment: str, name: str) -> str | None:
        """Why a data plane does not answer for a deployment as its route says."""
        return self._observe(environment, name).problems.get(name)

    def pause(self, environment: str, name: str, reason: str) -> dict[str, Any]:
        """Keep a rollout at its weight; an empty reason lets it go on.

        Raises:
            NotFoundError: there is no such deployment.
            ConflictError: nothing is rolled out.
        """
        with self._units.write(environment, self._instant(environment)) as unit:
            done = self._serving.pause(unit, name, reason=reason)
        route = {variant.version: variant.weight for variant in done.route.variants}
        told = {"paused": done.paused or None, "by": paused_by(self._units, environment, done)}
        return {"deployment": name, **told, "route": route}

    def _judged(self, environment: str, deployment: Deployment) -> Safety | None:
        """What live requests say; None where there are not two to compare."""
        if deployment.pair is None:
            return None
        splits = self._observe(environment, deployment.name).splits
        return judge(*deployment.pair, [s for s in splits if s.epoch == deployment.epoch])

    def _goes_out(self, environment: str, deployment: Deployment) -> bool:
        with self._units.read(environment) as unit:
            return _goes_out(deployment, read(self._states, unit, deployment.name))

    def _answer(self, environment: str, judged: Deployment, safety: Safety) -> str:
        """Take an unsafe version back, or say what a freeze holds; what was done, in words."""
        name = judged.name
        with self._units.write(environment, self._instant(environment)) as unit:
            deployment, state = (
                self._serving.current(unit, name),
                read(self._states, unit, name),
            )
            if deployment is None or deployment.epoch != judged.epoch:
                return ""
            if not _goes_out(deployment, state):
                return ""
            experiment = deployment.experiment
            if deployment.frozen and not (experiment and experiment.runs):
                self._hold(unit, deployment, state, safety)
                return ""
            self._take_back(unit, deployment, state, safety)
        return f"{safety.subject} of {name!r} was rolled back: {safety.why}"

    def _hold(
        self, unit: Unit, deployment: Deployment, state: State | None, safety: Safety
    ) -> None:
        if state is None:
            return
        step = Step(at=unit.at)
        hold(deployment.name, state, [unsafe(safety.subject)], deployment.frozen_since, step)
        if step.lines:
            _record(unit, step)
            keep(self._states, unit, deployment.name, state)

    def _take_back(
        self, unit: Unit, deployment: Deployment, state: State | None, safety: Safety
    ) -> None:
        """By the same path as the watch, in one unit of work; fits are left to the next turn."""
        name, subject = deployment.name, safety.subject
        step = Step(at=unit.at, why=f"not safe: {safety.why}", bad=[subject])
        to, evidence = safety.against, {"safety": safety.told()}
        watch = state.watch if state else None
        if state is not None and watch is not None and watch.subject == subject:
            step.bad, to = [], watch.ref
            state.refits = take_back(
                state,
                watch,
                unit.at,
                step,
                why=step.why,
                thawed=deployment.thawed,
                outcome="unsafe",
                evidence=evidence,
            )
            state.refit_at = unit.at
        else:
            if state is not None:
                step.bad += leave(state, subject, to, unit.at)
            body = {"to": to, "bad": step.bad, "probation": state.probation if state else []}
            step.record("rollout.rolled_back", subject, body | evidence)
        _record(unit, step)
        # code that it does not know of reads what the champion reads; the next turn says better
        self._serving.rollback(
            unit, name, reason=step.why, to=to, features=_features(deployment, to)
        )
        for version in dict.fromkeys(step.bad):
            self._registry.mark_bad(unit, version, step.why)
        if state is not None:
            if state.segments:
                share(self._serving, unit, name, state.segments[-1])
            keep(self._states, unit, name, state)


def _goes_out(deployment: Deployment, state: State | None) -> bool:
    """Whether a version is judged: a canary, or a champion that is watched."""
    watch = state.watch if state else None
    watched = watch is not None and watch.subject == deployment.champion
    return bool(deployment.route.challengers) or watched


def _features(deployment: Deployment, version: str) -> str:
    return "" if version in deployment.states else deployment.route.champion.features


def _record(unit: Unit, step: Step) -> None:
    for line in step.lines:
        unit.record(line.kind, line.subject, line.body)
