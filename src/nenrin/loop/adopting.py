"""Adopting a backtest: its champion is proposed to a live environment, with the loop's memory."""

from __future__ import annotations

from typing import Any

from nenrin.core.errors import ConflictError, NotFoundError, RefusedError
from nenrin.core.instants import iso
from nenrin.core.unit import Unit, Units
from nenrin.gates.judge import judge
from nenrin.gates.service import GatesService
from nenrin.gates.verdict import Verdict
from nenrin.loop.compiling import compile_ahead
from nenrin.loop.evidence import JUDGED_DAYS, gather
from nenrin.loop.freezing import LIVE
from nenrin.loop.holding import refuse_frozen
from nenrin.loop.journal import LoopStates, keep, read, share
from nenrin.loop.living import Living
from nenrin.loop.opening import open_deployed
from nenrin.loop.ports import Prepared
from nenrin.loop.promoting import lead
from nenrin.loop.state import State
from nenrin.registry.service import RegistryService
from nenrin.serving.service import ServingService


class Adopting:
    """Brings backtests' champions into live environments."""

    def __init__(
        self,
        living: Living,
        *,
        units: Units,
        registry: RegistryService,
        gates: GatesService,
        serving: ServingService,
        states: LoopStates,
    ) -> None:
        self._living = living
        self._units = units
        self._registry = registry
        self._gates = gates
        self._serving = serving
        self._states = states

    def adopt(
        self, report: dict[str, Any], source: str, into: str, prepared: Prepared
    ) -> dict[str, Any]:
        """Deploy the champion where there is none; else let it challenge the one that serves.

        Raises:
            RefusedError: the environment has a champion, and this one was not shown to be better; or the
                backtest played faults into history, or left a safeguard out; or the deployment is frozen.
        """
        _check(report)
        name = prepared.declared.name
        with self._units.read(into) as unit:
            refuse_frozen(self._serving.current(unit, name))
        state = self._state(report, source, name)
        now = self._living.now(prepared)
        serving = self._living.state(into, name)
        if serving is not None:
            self._challenge(report, into, prepared, state, serving)
        state.now, state.written = now, serving.written if serving else 0
        segment = lead(state, state.champion, now)
        champion = [state.champion]
        compiled = compile_ahead(self._registry, into, prepared.compiles, state, champion)
        with self._units.write(into, now) as unit:
            refuse_frozen(self._serving.current(unit, name))
            versions = self._register(unit, source, prepared)
            for fit, outcome in compiled.items():
                self._registry.note(unit, fit, {"compiled": outcome})
            verdict = self._verdict(source, name, state.champion)
            if verdict is not None:
                self._gates.keep(unit, verdict)
            self._deploy(unit, prepared, state.champion, f"adopted from backtest {report['id']}")
            share(self._serving, unit, name, segment)
            keep(self._states, unit, name, state)
            body = {"backtest": report["id"], "ledger_head": report["ledger_head"]}
            unit.record("deployment.adopted", name, body)
        return {
            "environment": into,
            "deployment": name,
            "champion": state.champion,
            "stands_at": iso(now),
            "versions": versions,
        }

    def _state(self, report: dict[str, Any], source: str, name: str) -> State:
        with self._units.read(source) as unit:
            state = read(self._states, unit, name)
        if state is None:
            raise NotFoundError(
                f"backtest {report['id']} kept no state", hint="run it again: nenrin backtest"
            )
        return state

    def _register(self, unit: Unit, source: str, prepared: Prepared) -> int:
        """Bring every version of the backtest along, the bad ones as bad."""
        versions = self._registry.list(source)
        for version in versions:
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
        return len(versions)

    def _verdict(self, source: str, name: str, champion: str) -> Verdict | None:
        """The backtest's verdict on its champion: it travels along."""
        served = [champion, *self._registry.get(source, champion).parents]
        given = [v for v in self._gates.verdicts(source, name) if v.ships in served]
        return given[-1] if given else None

    def _deploy(self, unit: Unit, prepared: Prepared, version: str, reason: str) -> None:
        served = prepared.served
        if self._serving.current(unit, served.deployment) is None:
            self._serving.deploy(
                unit,
                served.deployment,
                model=served.model,
                version=version,
                revision=served.revision,
                request=served.request,
                features=served.answering(),
                example=served.example,
                reason=reason,
            )
        else:
            self._serving.promote(
                unit,
                served.deployment,
                version,
                reason=reason,
                features=served.answering(),
                revision=served.revision,
                request=served.request,
                example=served.example,
            )
        self._serving.set_log(unit, served.deployment, served.log)

    def _challenge(
        self,
        report: dict[str, Any],
        into: str,
        prepared: Prepared,
        state: State,
        serving: State,
    ) -> None:
        """An adopted champion is an ordinary challenger: it must be better than the one that serves."""
        if serving.champion == state.champion:
            raise ConflictError(
                f"{into} serves {state.champion} already", hint="nothing is to be done"
            )
        now = self._living.now(prepared)
        challenger = state.artefacts[state.champion]
        both = State.loads(serving.dumps())  # the challenger and its members are strangers there
        both.artefacts = {**state.artefacts, **both.artefacts}
        both.shares = {**state.shares, **both.shares}
        both.bad = list(dict.fromkeys([*both.bad, *state.bad]))
        deployed = open_deployed(prepared, now, LIVE, both)
        verdict = judge(
            deployment=prepared.declared.name,
            judged=challenger.version,
            ships=challenger.version,
            against={"champion": serving.champion, "anchor": serving.anchor},
            evidence=gather(
                deployed,
                challenger,
                deployed.closed_days(JUDGED_DAYS),
                champion=deployed.artefact(serving.champion),
                change="code",
            ),
            policy=prepared.policy,
            at=now,
        )
        with self._units.write(into, now) as unit:
            self._gates.keep(unit, verdict)
        if not verdict.admitted:
            raise RefusedError(
                verdict.reason,
                hint="the champion stays; nenrin gates check shows every number",
                where=report["id"],
            )


def _check(report: dict[str, Any]) -> None:
    """What was broken on purpose is for looking at."""
    staged = [*report["inject"], *(f"without {part}" for part in report["without"])]
    if staged:
        raise RefusedError(
            f"backtest {report['id']} was run with {', '.join(staged)}: its fits are not to be served",
            hint="adopt one without faults: nenrin backtest, then nenrin adopt newest",
            where=report["id"],
        )
