"""The gates' verbs: judge a challenger and keep the verdict, look verdicts up, try a policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from nenrin.core.digest import digest
from nenrin.core.errors import NotFoundError
from nenrin.core.unit import Unit, Units
from nenrin.gates.evidence import Evidence, read_policy
from nenrin.gates.judge import judge
from nenrin.gates.policy import Policy
from nenrin.gates.ports import Marks, Verdicts
from nenrin.gates.verdict import Verdict, Waiver


class GatesService:
    """Says yes or no, once, and keeps what it said.

    Args:
        units: opens units of work.
        records: keeps verdicts.
        marks: knows which versions are bad.
    """

    def __init__(self, units: Units, records: Verdicts, marks: Marks) -> None:
        self._units = units
        self._records = records
        self._marks = marks

    def judge(
        self,
        unit: Unit,
        *,
        deployment: str,
        judged: str,
        ships: str,
        against: Mapping[str, str],
        evidence: Evidence,
        policy: Policy | None = None,
        waivers: Sequence[Waiver] = (),
    ) -> Verdict:
        """Judge a challenger at the unit's instant and keep the verdict; see :func:`judge`."""
        verdict = judge(
            deployment=deployment,
            judged=judged,
            ships=ships,
            against=against,
            evidence=evidence,
            policy=policy or read_policy(),
            at=unit.at,
            waivers=waivers,
        )
        self.keep(unit, verdict)
        return verdict

    def keep(self, unit: Unit, verdict: Verdict) -> None:
        """Keep a verdict that was given elsewhere, with its event ``verdict.given``."""
        self._records.add(unit, verdict)
        unit.record(
            "verdict.given",
            verdict.id,
            {
                "deployment": verdict.deployment,
                "judged": verdict.judged,
                "ships": verdict.ships,
                "against": verdict.against,
                "outcome": verdict.outcome,
                "compared": verdict.compared,
                "admitted": verdict.admitted,
                "reason": verdict.reason,
                "checks": {check.name: check.outcome for check in verdict.checks},
                "numbers": verdict.numbers,
                "digest": digest(msgspec.to_builtins(verdict)),
            },
        )

    def verdict(self, environment: str, verdict_id: str) -> Verdict:
        """A verdict by its id.

        Raises:
            NotFoundError: there is none.
        """
        with self._units.read(environment) as unit:
            return self._records.get(unit, verdict_id)

    def verdicts(self, environment: str, deployment: str | None = None) -> list[Verdict]:
        """Verdicts of a deployment, or of all, oldest first."""
        with self._units.read(environment) as unit:
            return self._records.all(unit, deployment)

    def check(
        self, environment: str, deployment: str, policy: Policy | None = None
    ) -> dict[str, Any]:
        """What a policy says to the newest challenger's numbers; nothing is kept or changed.

        Returns:
            plain values: ``deployment``, ``verdict`` (id, outcome, admitted, reason, at) as it was
            given, ``rules`` as written, ``checks`` by ``policy``, ``bad`` for a version that has been
            marked so since, and ``admitted``: every check admits it, and it is not bad.

        Raises:
            NotFoundError: the deployment has no verdict yet.
        """
        with self._units.read(environment) as unit:
            verdicts = self._records.all(unit, deployment)
            bad = bool(verdicts) and self._marks.bad(unit, verdicts[-1].ships)
        if not verdicts:
            raise NotFoundError(
                f"deployment {deployment!r} has no verdict in {environment!r} yet",
                hint="a verdict comes with the first training: nenrin run, or nenrin backtest",
                where=deployment,
            )
        verdict, rules = verdicts[-1], policy or read_policy()
        checks = rules.check(verdict.numbers)
        given = ("id", "judged", "ships", "outcome", "admitted", "reason", "at")
        return {
            "deployment": deployment,
            "verdict": {name: getattr(verdict, name) for name in given},
            "rules": msgspec.to_builtins(rules.rules),
            "checks": msgspec.to_builtins(checks),
            "bad": bad,
            "admitted": not bad and all(check.admits for check in checks),
        }
