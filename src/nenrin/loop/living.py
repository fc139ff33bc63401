"""The loop of a live environment: its first version, what is due, what was adopted, what a person decides.

An environment whose data has ended is paused in time: its calendar stands at the end of its data until new
data moves it. There the rows of a load are answered by the routes of their time, as a replay does.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from nenrin.core.calendar import Calendar, stands_at
from nenrin.core.digest import derived_id
from nenrin.core.errors import ConflictError, NotFoundError, RefusedError
from nenrin.core.instants import NEVER, iso
from nenrin.core.leases import Ours
from nenrin.core.logs import about
from nenrin.core.store import ContentStore
from nenrin.core.unit import Units
from nenrin.gates.judge import judge
from nenrin.loop.by_whom import paused_by, refused_code, routed
from nenrin.loop.compiling import UNCOMPILED, compile_served
from nenrin.loop.deployed import Deployed
from nenrin.loop.evaluation import evaluate
from nenrin.loop.first import code_look, hold_out
from nenrin.loop.freezing import LIVE, Freezing
from nenrin.loop.healing import Healing
from nenrin.loop.holding import (
    Held,
    by_hand,
    frozen_line,
    held,
    hold,
    is_due,
    new_code,
    refresh,
    stays_frozen,
    unsaid,
)
from nenrin.loop.journal import LoopJournal, LoopStates, keep, read, share
from nenrin.loop.marking import Marking
from nenrin.loop.mixture import recipes_of
from nenrin.loop.opening import open_deployed
from nenrin.loop.ports import Prepared, Progress, Replay, Step
from nenrin.loop.promoting import archived, evidence_for, lead, leave
from nenrin.loop.rings import rings
from nenrin.loop.schedule import skip_missed_looks
from nenrin.loop.state import State
from nenrin.loop.telling import calendar_words, canary_of, told_state, told_turn, warnings
from nenrin.loop.timeless import NOTHING_TO_TRAIN, change_due, waits_for
from nenrin.loop.timeless import turn as timeless_turn
from nenrin.loop.turn import Loop
from nenrin.loop.unchanged import fits_the_same
from nenrin.registry.service import RegistryService
from nenrin.serving.deployments import Deployment
from nenrin.serving.router import Variant
from nenrin.serving.service import ServingService

_LOG = logging.getLogger(__name__)
HEALED = ("healed.rerouted", "healed.rebuilt", "healed.restarted", "healed.rerun", UNCOMPILED)


def one_by_one(deployments: Sequence[Deployment], turn: Callable[[Deployment], int]) -> int:
    """The steps of every deployment's turn; one that fails keeps no other from its own.

    Raises:
        Exception: what the first of them raised, once all had their turn; the others' are logged.
    """
    done = 0
    failed: list[tuple[str, Exception]] = []
    for deployment in deployments:
        try:
            done += turn(deployment)
        except Exception as error:  # noqa: BLE001 - raised below
            failed.append((deployment.name, error))
    for name, other in failed[1:]:
        _LOG.error("the turn of %s failed", name, exc_info=other)
    if failed:
        raise failed[0][1]
    return done


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
        store: ContentStore,
    ) -> None:
        self._units = units
        self._replay = replay
        self._journal = journal
        self._registry = registry
        self._serving = serving
        self._states = states
        self._calendar = calendar
        self._store = store
        self._seen: dict[tuple[str, str], tuple[str, ...]] = {}
        self.marking = Marking(
            units=units,
            registry=registry,
            serving=serving,
            states=states,
            instant=self.instant,
        )
        self.healing = Healing(
            units=units,
            store=store,
            registry=registry,
            serving=serving,
            states=states,
            replay=replay,
            instant=self.instant,
            marking=self.marking,
        )
        self.freezing = Freezing(units, serving, self.instant, self._seen)

    def turn(
        self, environment: str, prepared: Prepared, progress: Progress | None
    ) -> dict[str, Any]:
        """The first version, new code, or whatever is due; and what came of it, for people."""
        now = self.now(prepared)
        if progress:
            progress("loop", 0, 1, "")
        if self.state(environment, prepared.declared.name) is None:
            prepared.served.answering()  # nothing is fitted that could not answer
        self._journal(environment, prepared).log_as_declared(now)
        turned = (self._timed if prepared.timed else self._timeless)(environment, prepared, now)
        self._refresh_features(environment, prepared)
        if progress:
            progress("loop", 1, 1, "")
        state = self._must(environment, prepared.declared.name)
        told = {
            "environment": environment,
            "deployment": prepared.declared.name,
            "model": prepared.served.model,
            "revision": prepared.served.revision,
            "task": prepared.task.kind,
            "metric": prepared.task.metric,
            "now": iso(now),
            "champion": state.champion or None,
            "canary": canary_of(state),
            "rows": len(prepared.table),
            "data": prepared.data,
            "warnings": warnings(prepared),
            "frozen": self.freezing.why(environment, prepared.declared.name),
            **turned,
        }
        if told["evaluation"]:
            told = self._kept(environment, told, now)
        route = routed(self._serving, self._registry, environment, prepared.declared.name)
        due, cost = self._due(prepared, state, now), prepared.costs()
        before = state.refused == prepared.project and not told["verdict"]
        refused = refused_code(self._units, environment, prepared.declared.name) if before else None
        return {**told, "route": route, "refused": refused, "due": due, "cost": cost}

    def _kept(self, environment: str, told: dict[str, Any], now: int) -> dict[str, Any]:
        """What a turn found, kept under its digest, which the event ``run.finished`` names."""
        plain = msgspec.json.decode(msgspec.json.encode(told))  # JSON has no NaN, nor has a digest
        told = {"run": derived_id("run", plain), **plain}
        with self._units.write(environment, now) as unit:
            body = {"run": told["run"], "result": self._store.put(msgspec.json.encode(told))}
            unit.record("run.finished", told["deployment"], body)
        return told

    def _due(self, prepared: Prepared, state: State, now: int) -> str:
        """What starts the next refresh, for people."""
        if not prepared.timed:
            return waits_for(prepared, state, now)
        look = min(state.next_look, state.pulled)
        if look != NEVER:
            return f"the next look is due at {iso(look)}"
        return "no look is due" if prepared.trains else NOTHING_TO_TRAIN

    def tick(self, environment: str, ours: Ours) -> int:
        """What is due in every deployment that serves there, while it is ours; how many steps it took."""

        def ticked(deployment: Deployment) -> int:
            state = self.state(environment, deployment.name) if ours() else None
            if state is None or not self._anything_due(environment, deployment, state):
                return 0
            with about(environment=environment, deployment=deployment.name):
                return self._ticked(environment, deployment.name)

        return one_by_one(self._serving.list(environment), ticked)

    def _ticked(self, environment: str, deployment: str) -> int:
        prepared = self._replay.prepare(environment, deployment, load=False, progress=None)
        self._seen[environment, deployment] = self._replay.loaded(environment)
        steps = len(self.turn(environment, prepared, None)["steps"])
        _LOG.info("a tick took %d steps", steps)
        return steps

    def promote(
        self, environment: str, deployment: str, version: str, reason: str
    ) -> dict[str, Any]:
        """Serve an archived version, if the gate finds it no worse than the champion."""
        prepared = self._replay.prepare(environment, deployment, load=False, progress=None)
        state = self._must(environment, deployment)
        artefact = archived(state, self._registry.get(environment, version), prepared)
        if version == state.champion:
            raise ConflictError(f"{deployment!r} serves {version} already", hint="choose another")
        now = self.now(prepared)
        state.artefacts = {**state.artefacts, version: artefact}
        verdict = judge(
            deployment=deployment,
            judged=version,
            ships=version,
            against={"champion": state.champion, "anchor": state.anchor, "baseline": "prior"},
            evidence=evidence_for(prepared, state, artefact, now, LIVE, self._store),
            policy=prepared.policy,
            at=now,
        )
        step = Step(at=now, verdicts=[verdict], why=by_hand("promoted", reason))
        if verdict.admitted:
            served = recipes_of(artefact)
            state.probation = [name for name in state.probation if name not in served]
            step.route = lead(state, version, now)
        self._journal(environment, prepared).commit(step, state, by_hand=True)
        if not verdict.admitted:
            raise RefusedError(
                f"{verdict.reason}; {state.champion} goes on serving",
                hint=f"nenrin gates check {deployment} shows every number",
            )
        self._refresh_features(environment, prepared)
        said = stays_frozen(self._serving.show(environment, deployment))
        return {"deployment": deployment, "champion": version, "reason": verdict.reason, **said}

    def rollback(self, environment: str, deployment: str, reason: str) -> dict[str, Any]:
        """Serve what was served before, at once; the recipe of what is left is on probation."""
        why = by_hand("rolled back", reason)
        with self._units.write(environment, self.instant(environment)) as unit:
            state = read(self._states, unit, deployment)
            before = self._serving.current(unit, deployment)
            to = _earlier(state) if before and not before.previous else None
            done = self._serving.rollback(unit, deployment, reason=why, to=to)
            left = before.route.variants[-1].version if before else done.champion
            bad = [left] if left != done.champion else []
            if state is not None:
                bad += leave(state, left, done.champion, unit.at)
                share(self._serving, unit, deployment, state.segments[-1])
                keep(self._states, unit, deployment, state)
            for version in bad:
                self._registry.mark_bad(unit, version, why)
        return {"deployment": deployment, "champion": done.champion, **stays_frozen(done)}

    def status(self, environment: str) -> dict[str, Any]:
        """Every deployment: what serves, what is watched, and what is due."""
        stands, lines = self.stands(environment), []
        now = self._calendar.now() if stands is None else stands
        here = Counter(ring["deployment"] for ring in rings(self._units.events(environment)))
        for deployment in self._serving.list(environment):
            state = self.state(environment, deployment.name)
            line: dict[str, Any] = {
                "name": deployment.name,
                "champion": deployment.champion,
                "route": [
                    {"version": v.version, "weight": v.weight} for v in deployment.route.variants
                ],
                "anchor": deployment.anchor,
                "since": iso(deployment.at),
                **frozen_line(deployment, state, now),
                "paused_by": paused_by(self._units, environment, deployment),
            }
            if state is not None:
                line |= {"rings": here[deployment.name], **told_state(state)}
            lines.append(line)
        sequence, head = self._units.head(environment)
        healed = [self._units.find(environment, kind=kind, limit=1) for kind in HEALED]
        return {
            "environment": environment,
            "now": iso(now),
            "calendar": calendar_words(stands),
            "deployments": lines,
            "healed": [
                {"at": iso(event.at), "action": event.kind, "what": event.subject, **event.body}
                for events in healed
                for event in events
            ],
            "ledger": {"events": sequence, "head": head},
        }

    def _timed(self, environment: str, prepared: Prepared, now: int) -> dict[str, Any]:
        """Turn a deployment whose rows have a time."""
        name = prepared.declared.name
        state = self.state(environment, name)
        journal = self._journal(environment, prepared)
        options = self.freezing.options(environment, name)
        deployed = judged_by = open_deployed(prepared, now, options, state)
        steps = []
        if state is not None and _is_new(state, prepared):
            params = deployed.trainer.tune(now, *hold_out(deployed, now))
            rows = len(prepared.table)
            if fits_the_same(deployed.trainer, deployed.declared, state, params, rows):
                state.code = prepared.project
                journal.remember(state, now)
            elif options.frozen is not None:
                found = [*held(state, now), new_code(prepared.project)]
                return _hold(journal, name, state, found, options.frozen, now)
            else:
                steps.append(self._new_code(deployed, prepared, now))
                journal.commit(steps[0], state)
        serving = _by_what_serves(self._replay, self._registry, environment, prepared, state)
        if serving is not prepared:
            prepared, journal = serving, self._journal(environment, serving)
            deployed = open_deployed(prepared, now, options, state)
        loop = Loop(deployed, journal, now)
        steps += loop.tick(min(now, int(deployed.ground.table.asked[-1])))
        skip_missed_looks(deployed, now)
        steps += loop.tick(now)
        if (deployed.state.table, deployed.state.now) != (prepared.table_digest, now):
            deployed.state.table, deployed.state.now = prepared.table_digest, now
            journal.remember(deployed.state, now)
        judged = judged_by.judged
        return told_turn(
            steps,
            evaluate(judged, prepared.task.kind, prepared.task.metric) if judged else None,
            judged_by.column_aucs,
        )

    def _new_code(self, deployed: Deployed, prepared: Prepared, now: int) -> Step:
        """Judge other code against what serves, which is scored on its own row table."""
        state = deployed.state
        old = self._replay.on_table(prepared, state.table) if state.table else prepared
        former = open_deployed(old, now, LIVE, State.loads(state.dumps()))
        step = Step(at=now)
        if code_look(deployed, former, now, step):
            state.code = prepared.project
        else:
            state.refused = prepared.project
        return step

    def _timeless(self, environment: str, prepared: Prepared, now: int) -> dict[str, Any]:
        """Turn a deployment whose rows have no time."""
        name = prepared.declared.name
        state, frozen = (
            self.state(environment, name),
            self.freezing.options(environment, name).frozen,
        )
        prepared = _by_what_serves(self._replay, self._registry, environment, prepared, state)
        if state is not None and frozen is not None:
            change, labelled = change_due(prepared, state, now)
            found = {None: [], "code": [new_code(prepared.project)]}.get(
                change, [refresh(labelled)]
            )
            journal = self._journal(environment, prepared)
            return _hold(journal, name, state, found, frozen, now)
        turned = timeless_turn(prepared, state, now, self._store)
        if turned is None:
            if state is not None and state.code != prepared.project:
                state.code = prepared.project  # it makes no difference
                self._journal(environment, prepared).remember(state, now)
            return told_turn([], None, {})
        self._journal(environment, prepared).commit(turned.step, turned.state)
        return told_turn([turned.step], turned.evaluation, turned.column_aucs)

    def instant(self, environment: str) -> int:
        """Where an environment's calendar is."""
        stands = self.stands(environment)
        return self._calendar.now() if stands is None else stands

    def _anything_due(self, environment: str, deployment: Deployment, state: State) -> bool:
        """Whether data came since the last tick, or an instant of the machine's calendar is due."""
        if self._seen.get((environment, deployment.name)) != self._replay.loaded(environment):
            return True
        machine = self._calendar.now()
        if stands_at(self._replay.data_end(environment) or machine, machine) is not None:
            return False
        if deployment.frozen:
            return bool(unsaid(state, held(state, machine), deployment.frozen_since))
        return is_due(state, machine, paused=bool(deployment.paused))

    def _refresh_features(self, environment: str, prepared: Prepared) -> None:
        """Point what is served at the newest feature state, each version at that of its own code."""
        name = prepared.declared.name
        deployment = next((d for d in self._serving.list(environment) if d.name == name), None)
        if deployment is None:
            return
        states = {
            variant.version: self._features(environment, prepared, variant)
            for variant in deployment.route.loaded
        }
        with self._units.write(environment, self.now(prepared)) as unit:
            self._serving.set_features(unit, name, states, prepared.served.request.lookup)
            declared = prepared.declared
            self._serving.declare(unit, name, prepared.served.request, declared.fallback)
        compile_served(self._units, self._registry, prepared, deployment)

    def _features(self, environment: str, prepared: Prepared, variant: Variant) -> str:
        """The feature state that a version reads: by the code of the revision that made it.

        Where that one answers no request, it goes on by the one that it has.
        """
        revision, served = (
            self._registry.get(environment, variant.version).revision,
            prepared.served,
        )
        if revision not in ("", served.revision):
            served = self._replay.by_revision(environment, revision, prepared.declared.name).served
        return variant.features if served.unanswered else served.features

    def stands(self, environment: str) -> int | None:
        """The instant at which an environment's calendar stands; None: it goes with the machine's."""
        end, machine = self._replay.data_end(environment), self._calendar.now()
        stands = None if end is None else stands_at(end, machine)
        if stands is None:
            return None
        states = [self.state(environment, each.name) for each in self._serving.list(environment)]
        return max((state.now for state in states if state), default=0) or stands

    def now(self, prepared: Prepared) -> int:
        """The environment's instant: the machine's, or the end of rows and labels that have ended."""
        now = self._calendar.now()
        return now if stands_at(prepared.newest, now) is None else prepared.end

    def state(self, environment: str, deployment: str) -> State | None:
        """What the loop remembers of a deployment there; None before its first look."""
        with self._units.read(environment) as unit:
            return read(self._states, unit, deployment)

    def _must(self, environment: str, deployment: str) -> State:
        state = self.state(environment, deployment)
        if state is None:
            raise NotFoundError(
                f"nothing is served as {deployment!r} in {environment!r}",
                hint="run it first: nenrin run, or nenrin adopt",
            )
        return state


def _by_what_serves(
    replay: Replay,
    registry: RegistryService,
    environment: str,
    prepared: Prepared,
    state: State | None,
) -> Prepared:
    """The deployment by the code that serves where this code was refused, which then fits nothing."""
    if state is None or state.refused != prepared.project:
        return prepared
    revision = registry.get(environment, state.champion).revision
    if revision in ("", prepared.served.revision):
        return prepared
    return replay.by_revision(environment, revision, prepared.declared.name)


def _is_new(state: State, prepared: Prepared) -> bool:
    """Whether the code is another than that which serves, and than that which was refused last."""
    return bool(state.champion) and prepared.project not in (state.code, state.refused)


def _hold(
    journal: LoopJournal, deployment: str, state: State, found: list[Held], frozen: int, now: int
) -> dict[str, Any]:
    """Do nothing, and tell the ledger what would have been done."""
    step = Step(at=now)
    hold(deployment, state, found, frozen, step)
    if step.lines:
        journal.commit(step, state)
    return told_turn([step] if step.lines else [], None, {})


def _earlier(state: State | None) -> str | None:
    """The version that was last served to all before the champion, if it is not marked bad."""
    for segment in reversed(state.segments if state else []):
        version = segment.variants[0][0]
        if state and version != state.champion and version not in state.bad:
            return version
    return None
