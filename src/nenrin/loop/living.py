"""The loop of a live environment: its first version, what is due, what was adopted, what a person decides.

An environment whose data has ended is paused in time: its calendar stands at the end of its data until new
data moves it. There the rows of a load are answered by the routes of their time, as a replay does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from nenrin.core.calendar import Calendar
from nenrin.core.errors import ConflictError, NotFoundError, RefusedError
from nenrin.core.instants import DAY, NEVER, iso
from nenrin.core.unit import Units
from nenrin.gates.judge import judge
from nenrin.loop.deployed import Options
from nenrin.loop.evidence import JUDGED_DAYS, gather
from nenrin.loop.journal import LoopJournal, LoopStates
from nenrin.loop.opening import open_deployed
from nenrin.loop.ports import Prepared, Progress, Replay
from nenrin.loop.state import Segment, State
from nenrin.loop.turn import Loop
from nenrin.registry.service import RegistryService
from nenrin.serving.service import ServingService

LIVE = Options(takes=0)  # process time passes by itself while a live refresh is computed


def stands_at(end: int, now: int) -> int | None:
    """Where a calendar stands whose data has ended more than a day ago; None: it goes with the machine's."""
    return end if now - end > DAY else None


class Living:
    """What :class:`nenrin.loop.service.LoopService` does in live environments."""

    def __init__(
        self,
        *,
        units: Units,
        replay: Replay,
        journal: Callable[[str, Prepared], LoopJournal],
        registry: RegistryService,
        serving: ServingService,
        states: LoopStates,
        calendar: Calendar,
    ) -> None:
        self._units = units
        self._replay = replay
        self._journal = journal
        self._registry = registry
        self._serving = serving
        self._states = states
        self._calendar = calendar

    def turn(
        self, environment: str, prepared: Prepared, progress: Progress | None
    ) -> dict[str, Any]:
        """The first look where there is none yet; else everything that is due."""
        now = self._now(prepared)
        state = self._state(environment, prepared.declared.name)
        deployed = open_deployed(prepared, now, LIVE, state)
        loop = Loop(deployed, self._journal(environment, prepared), now)
        steps = loop.tick(now)
        self._refresh_features(environment, prepared)
        verdicts = [verdict for step in steps for verdict in step.verdicts]
        if progress:
            progress("loop", 1, 1, f"{len(steps)} steps")
        return {
            "environment": environment,
            "deployment": prepared.declared.name,
            "now": iso(now),
            "champion": deployed.state.champion,
            "metric": prepared.task.metric,
            "settle": deployed.state.settle,
            "steps": [line.kind for step in steps for line in step.lines],
            "verdict": msgspec.to_builtins(verdicts[-1]) if verdicts else None,
            "data": prepared.data,
        }

    def tick(self, environment: str) -> int:
        """Everything that is due in every deployment that serves there."""
        done = 0
        for deployment in self._serving.list(environment):
            state = self._state(environment, deployment.name)
            if state is None or deployment.frozen:
                continue
            prepared = self._replay.prepare(
                environment, deployment.name, load=False, progress=None
            )
            now = self._now(prepared)
            deployed = open_deployed(prepared, now, LIVE, state)
            done += len(Loop(deployed, self._journal(environment, prepared), now).tick(now))
            self._refresh_features(environment, prepared)
        return done

    def adopt(
        self, report: dict[str, Any], source: str, into: str, prepared: Prepared
    ) -> dict[str, Any]:
        """Bring a backtest's champion and the loop's memory into an environment.

        Raises:
            RefusedError: the environment has a champion, and this one was not shown to be better.
        """
        name = prepared.declared.name
        with self._units.read(source) as unit:
            data = self._states.get(unit, name)
        if data is None:
            raise NotFoundError(
                f"backtest {report['id']} kept no state", hint="run it again: nenrin backtest"
            )
        state = State.loads(data)
        now = self._now(prepared)
        before = next((d for d in self._serving.list(into) if d.name == name), None)
        if before is not None:
            self._challenge(report, into, prepared, state)
        versions = {v.id: v for v in self._registry.list(source)}
        state.segments = [Segment(now, ((state.champion, 100),))]
        state.watch, state.pending, state.stage_at, state.stages_left = None, None, NEVER, ()
        with self._units.write(into, now) as unit:
            for version in sorted(versions.values(), key=lambda v: (v.at, v.id)):
                self._registry.register(
                    unit,
                    name=version.name,
                    kind=version.kind,
                    content=version.content,
                    revision=prepared.served.revision,
                    parents=version.parents,
                    facts=version.facts,
                )
                if version.status == "bad":
                    self._registry.mark_bad(unit, version.id, "marked bad in the backtest")
            reason = f"adopted from backtest {report['id']}"
            if before is None:
                self._serving.deploy(
                    unit,
                    name,
                    model=prepared.served.model,
                    version=state.champion,
                    revision=prepared.served.revision,
                    request=prepared.served.request,
                    features=prepared.served.features,
                    example=prepared.served.example,
                    reason=reason,
                )
            else:
                self._serving.promote(
                    unit,
                    name,
                    state.champion,
                    reason=reason,
                    features=prepared.served.features,
                    revision=prepared.served.revision,
                )
            self._states.put(unit, name, state.dumps())
            body = {"backtest": report["id"], "ledger_head": report["ledger_head"]}
            unit.record("deployment.adopted", name, body)
        return {
            "environment": into,
            "deployment": name,
            "champion": state.champion,
            "stands_at": iso(now),
            "versions": len(versions),
        }

    def promote(self, environment: str, deployment: str, version: str) -> dict[str, Any]:
        """Serve an archived version, if the gate finds it no worse than the champion."""
        prepared = self._replay.prepare(environment, deployment, load=False, progress=None)
        state = self._must(environment, deployment)
        if version not in state.artefacts:
            raise NotFoundError(
                f"{version} was never fitted for {deployment!r}",
                hint="nenrin models list shows its versions",
            )
        if version in state.bad:
            raise RefusedError(
                f"{version} is marked bad", hint="nenrin why tells why; choose another version"
            )
        now = self._now(prepared)
        deployed = open_deployed(prepared, now, LIVE, state)
        artefact = state.artefacts[version]
        verdict = judge(
            deployment=deployment,
            judged=version,
            ships=version,
            against={"champion": state.champion, "anchor": state.anchor, "baseline": "prior"},
            evidence=gather(
                deployed, artefact, deployed.closed_days(JUDGED_DAYS), change="promote"
            ),
            policy=prepared.policy,
            at=now,
        )
        if not verdict.admitted:
            raise RefusedError(verdict.reason, hint="nenrin gates check shows every number")
        state.champion = version
        state.segments = [*state.segments, Segment(now, ((version, 100),))]
        state.probation = [name for name in state.probation if name != artefact.recipe]
        state.watch, state.pending, state.stage_at, state.stages_left = None, None, NEVER, ()
        with self._units.write(environment, now) as unit:
            done = self._serving.promote(
                unit,
                deployment,
                version,
                reason="promoted by hand",
                features=prepared.served.features,
            )
            self._states.put(unit, deployment, state.dumps())
        return {"deployment": deployment, "champion": done.champion, "reason": verdict.reason}

    def rollback(self, environment: str, deployment: str) -> dict[str, Any]:
        """Serve what was served before, at once; the recipe of what is left is on probation."""
        state = self._state(environment, deployment)
        with self._units.write(environment, self._calendar.now()) as unit:
            before = self._serving.current(unit, deployment)
            done = self._serving.rollback(unit, deployment, reason="rolled back by hand")
            if state is not None and before is not None:
                left = before.route.variants[-1].version
                at = max(unit.at, state.segments[-1].start) if state.segments else unit.at
                artefact = state.artefacts.get(left)
                state.champion = done.champion
                state.segments = [*state.segments, Segment(at, ((done.champion, 100),))]
                state.watch, state.pending = None, None
                state.stage_at, state.stages_left = NEVER, ()
                if artefact is not None and left != done.champion:
                    state.bad = [*state.bad, left]
                    state.probation = [*state.probation, artefact.recipe]
                    self._registry.mark_bad(unit, left, "rolled back by hand")
                self._states.put(unit, deployment, state.dumps())
        return {"deployment": deployment, "champion": done.champion}

    def status(self, environment: str) -> dict[str, Any]:
        """Every deployment: what serves, what is watched, and what is due."""
        now = self._calendar.now()
        lines = []
        for deployment in self._serving.list(environment):
            state = self._state(environment, deployment.name)
            line: dict[str, Any] = {
                "name": deployment.name,
                "champion": deployment.champion,
                "route": [
                    {"version": v.version, "weight": v.weight} for v in deployment.route.variants
                ],
                "anchor": deployment.anchor,
                "frozen": deployment.frozen,
                "since": iso(deployment.at),
            }
            if state is not None:
                line |= _told(state)
            lines.append(line)
        sequence, head = self._units.head(environment)
        return {
            "environment": environment,
            "now": iso(now),
            "deployments": lines,
            "ledger": {"events": sequence, "head": head},
        }

    def _challenge(
        self, report: dict[str, Any], into: str, prepared: Prepared, state: State
    ) -> None:
        """An adopted champion is an ordinary challenger: it must be better than the one that serves."""
        serving = self._must(into, prepared.declared.name)
        if serving.champion == state.champion:
            raise ConflictError(
                f"{into} serves {state.champion} already", hint="nothing is to be done"
            )
        deployed = open_deployed(prepared, self._now(prepared), LIVE, serving)
        challenger = state.artefacts[state.champion]
        verdict = judge(
            deployment=prepared.declared.name,
            judged=challenger.version,
            ships=challenger.version,
            against={"champion": serving.champion, "anchor": serving.anchor},
            evidence=gather(
                deployed, challenger, deployed.closed_days(JUDGED_DAYS), change="code"
            ),
            policy=prepared.policy,
            at=self._now(prepared),
        )
        if not verdict.admitted:
            raise RefusedError(
                verdict.reason,
                hint="the champion stays; nenrin rings tells what was compared",
                where=report["id"],
            )

    def _refresh_features(self, environment: str, prepared: Prepared) -> None:
        """Point what is served at the newest feature state: new data came."""
        with self._units.write(environment, self._now(prepared)) as unit:
            deployment = self._serving.current(unit, prepared.declared.name)
            if deployment is not None:
                states = {
                    variant.version: prepared.served.features
                    for variant in deployment.route.variants
                }
                self._serving.set_features(unit, prepared.declared.name, states)

    def _now(self, prepared: Prepared) -> int:
        now = self._calendar.now()
        stands = stands_at(prepared.end, now)
        return now if stands is None else stands

    def _state(self, environment: str, deployment: str) -> State | None:
        with self._units.read(environment) as unit:
            data = self._states.get(unit, deployment)
        return None if data is None else State.loads(data)

    def _must(self, environment: str, deployment: str) -> State:
        state = self._state(environment, deployment)
        if state is None:
            raise NotFoundError(
                f"nothing is served as {deployment!r} in {environment!r}",
                hint="run it first: nenrin run, or nenrin adopt",
            )
        return state


def _told(state: State) -> dict[str, Any]:
    """The loop's memory, for people."""
    watch = state.watch
    return {
        "rings": state.rings,
        "recipe": state.artefacts[state.champion].recipe if state.champion else None,
        "next_look": iso(min(state.next_look, state.pulled)),
        "probation": state.probation,
        "alarm_since": iso(state.alarm) if state.alarm != NEVER else None,
        "watch": {
            "subject": watch.subject,
            "ref": watch.ref,
            "evidence": watch.wealth.mean,
            "blocks": watch.blocks,
        }
        if watch
        else None,
    }
