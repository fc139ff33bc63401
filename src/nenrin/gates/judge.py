"""Judging: from evidence and a policy to a verdict. Pure: nothing is stored here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from nenrin.core.digest import derived_id
from nenrin.core.figures import figure
from nenrin.gates.comparison import Comparison
from nenrin.gates.evidence import Evidence
from nenrin.gates.policy import Policy, waive
from nenrin.gates.verdict import Check, Verdict, Waiver


def judge(
    *,
    deployment: str,
    judged: str,
    ships: str,
    against: Mapping[str, str],
    evidence: Evidence,
    policy: Policy,
    at: int,
    waivers: Sequence[Waiver] = (),
) -> Verdict:
    """The gates' answer to a challenger.

    Args:
        deployment: name of the deployment.
        judged: id of the version whose scores the evidence has (the twin).
        ships: id of the version that goes out if admitted (the refit).
        against: ids by part: ``champion``, ``anchor``, ``baseline``; those that there are.
        evidence: what was found out.
        policy: the deployment's rules.
        at: business instant, microseconds UTC.
        waivers: those of the deployment; only running ones count.
    """
    numbers = evidence.numbers()
    checks = tuple(waive(policy.check(numbers), waivers, at))
    part, comparison = _main_comparison(evidence)
    outcome = "undecided" if comparison.verdict == "none" else comparison.verdict
    compared: Literal["paired", "none"] = "none" if comparison.verdict == "none" else "paired"
    verdict = Verdict(
        id="",
        deployment=deployment,
        judged=judged,
        ships=ships,
        against=dict(sorted(against.items())),
        outcome=outcome,
        compared=compared,
        admitted=all(check.admits for check in checks),
        checks=checks,
        numbers=numbers,
        reason=_reason(checks, part, comparison),
        at=at,
    )
    name = derived_id("verdict", msgspec.to_builtins(verdict))
    return msgspec.structs.replace(verdict, id=name)


def _main_comparison(evidence: Evidence) -> tuple[str, Comparison]:
    """The comparison with the champion; with the baseline where there is no champion."""
    if evidence.change == "first":
        return "baseline", evidence.baseline
    return "champion", evidence.champion


def _reason(checks: Sequence[Check], part: str, comparison: Comparison) -> str:
    failed = [check for check in checks if not check.admits]
    if failed and comparison.verdict == "none" and all(f"{part}." in c.rule for c in failed):
        names = ", ".join(check.name for check in failed)
        return f"refused: there are no rows yet on which the {part} can be compared ({names})"
    if failed:
        return f"refused: {'; '.join(_stopped(check) for check in failed)}"
    waived = [f"{check.name} waived by {check.waived_by}" for check in checks if check.waived_by]
    return "; ".join([f"admitted: {_spelled(part, comparison)}", *waived])


def _stopped(check: Check) -> str:
    failed = "cannot be decided, a number is missing" if check.outcome != "fail" else check.message
    return f"{check.name} ({failed or check.rule})"


def _spelled(part: str, comparison: Comparison) -> str:
    if comparison.verdict == "none":
        return f"nothing to compare with the {part} yet"
    mean, low, high = (
        figure(number, plus=True) for number in (comparison.mean, comparison.low, comparison.high)
    )
    how = f"{mean} [{low}, {high}]"
    units = f"{comparison.days} {comparison.unit}s"
    return f"{comparison.verdict} against the {part}, loss {how} over {units}"
