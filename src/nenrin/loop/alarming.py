"""Alarms of a deployment: what its monitors find opens one alarm a cause, is updated, and resolved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from nenrin.core.instants import DAY, iso
from nenrin.loop.deployed import Deployed
from nenrin.loop.ports import Step
from nenrin.loop.state import State
from nenrin.monitoring.alarms import Alarm, Finding, reconcile
from nenrin.monitoring.calibration_alarm import CalibrationFinding, calibration_alarm
from nenrin.monitoring.prediction_shift import (
    DAYS,
    REACH,
    REFERENCE_DAYS,
    USUAL_AFTER,
    ShiftFinding,
    prediction_shift,
    shift_waits,
)
from nenrin.stats.shift import POINTS

CALIBRATION = "calibration"
SHIFT = "prediction shift"
ANSWERS = frozenset({CALIBRATION, SHIFT})


def watch_answers(deployed: Deployed, at: int, step: Step) -> bool:
    """Look at the answers of the days that have closed; whether calibration is off."""
    calibration, shift = _calibration(deployed), _shift(deployed)
    standing = [alarm for alarm in deployed.state.alarms if alarm.finding.kind in ANSWERS]
    since = next((alarm.opened for alarm in standing if alarm.finding.kind == SHIFT), None)
    usual = shift.alarm and since is not None and at - since >= USUAL_AFTER * DAY
    _remember(deployed, shift, opens=since is None, usual=usual)
    told = [
        (calibration.alarm, calibration.told(deployed.name)),
        (shift.alarm and not usual, shift.told(deployed.name, usual=usual)),
    ]
    found = [finding for alarms, finding in told if alarms]
    _keep(deployed, standing, found, at, step, gone=[finding for _, finding in told])
    return calibration.alarm


def watch_data(deployed: Deployed, found: Sequence[Finding], at: int, step: Step) -> None:
    """Take in what the data tests found, day by day: of each cause the newest page, else the newest."""
    causes: dict[tuple[str, str], Finding] = {}
    for finding in found:
        known = causes.get((finding.subject, finding.kind), finding)
        if finding.severity == "page" or known.severity == "ticket":
            causes[finding.subject, finding.kind] = finding
    standing = [alarm for alarm in deployed.state.alarms if alarm.finding.kind not in ANSWERS]
    _keep(deployed, standing, list(causes.values()), at, step)


def told_alarms(state: State) -> dict[str, Any]:
    """The open alarms, and what the comparison of answers waits for, for people."""
    alarms = [
        {
            "cause": alarm.finding.kind,
            "subject": alarm.finding.subject,
            "severity": alarm.finding.severity,
            "since": iso(alarm.opened),
            "text": alarm.finding.text,
        }
        for alarm in state.alarms
    ]
    return {"alarms": alarms, "shift_waits": shift_waits(*state.compared) if state.compared else ""}


def _keep(
    deployed: Deployed,
    standing: Sequence[Alarm],
    found: Sequence[Finding],
    at: int,
    step: Step,
    gone: Sequence[Finding] = (),
) -> None:
    """Open, update and resolve alarms, each with an event.

    Args:
        deployed: whose alarms they are.
        standing: the open alarms that were looked at: one that is not found again is resolved.
        found: all that was found, one a cause.
        at: instant of the look.
        step: gets the events.
        gone: what was measured of causes, found or not: told with the end of an alarm.
    """
    others = [alarm for alarm in deployed.state.alarms if alarm not in standing]
    measured = {(finding.subject, finding.kind): finding for finding in gone}
    changed = reconcile(standing, found, at)
    for alarm in changed:
        finding, opened = alarm.finding, {"opened": iso(alarm.opened), "seen": alarm.seen}
        if alarm.resolved is not None:
            finding = measured.get((finding.subject, finding.kind), finding)
            step.record("alarm.resolved", _name(finding), _body(finding) | opened)
        elif alarm.seen == 1:
            step.record("alarm.opened", _name(finding), _body(finding))
        else:
            step.record("alarm.updated", _name(finding), _body(finding) | opened)
    deployed.state.alarms = others + [alarm for alarm in changed if alarm.resolved is None]


def _name(finding: Finding) -> str:
    """What an alarm is called: its cause, with the dataset that it is about."""
    return finding.kind if finding.kind in ANSWERS else f"{finding.subject} {finding.kind}"


def _body(finding: Finding) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(finding)
    numbers = {name: value for name, value in finding.numbers.items() if math.isfinite(value)}
    return body | {"columns": list(finding.columns), "numbers": numbers}


def _calibration(deployed: Deployed) -> CalibrationFinding:
    days = [day for day in deployed.closed_days(7) if day >= _begun(deployed)]
    means = np.array([_bias(deployed, day) for day in days], dtype=np.float64)
    return calibration_alarm(means, floor=deployed.bias_floor)


def _bias(deployed: Deployed, day: int) -> float:
    ground = deployed.ground
    lo, hi = ground.day_rows(day)
    closing = ground.day_closing(day, deployed.state.settle)
    rest = ground.labels(lo, hi, closing) - deployed.served(lo, hi).p
    finite = rest[np.isfinite(rest)]
    return float(np.mean(finite)) if len(finite) else float("nan")


def _shift(deployed: Deployed) -> ShiftFinding:
    """The newest days beside the days before them that no alarm covers, of those served as a whole."""
    state, begun = deployed.state, _begun(deployed)
    whole = begun + (deployed.ground.day_start(begun) < state.segments[0].start)
    days = [day for day in deployed.closed_days(DAYS + REACH) if day >= whole]
    recent = [day for day in days if day >= state.next_day - DAYS]
    before = [day for day in days[: len(days) - len(recent)] if day not in state.shifted]
    standing = any(alarm.finding.kind == SHIFT for alarm in state.alarms)
    return prediction_shift(
        _points(deployed, before[-REFERENCE_DAYS:]), _points(deployed, recent), standing=standing
    )


def _points(deployed: Deployed, days: Sequence[int]) -> np.ndarray:
    """Points of the answers of those days that have any, float64 (days, 100)."""
    found = [points for day in days if len(points := deployed.answer_points(day))]
    return np.stack(found) if found else np.empty((0, POINTS))


def _remember(deployed: Deployed, shift: ShiftFinding, *, opens: bool, usual: bool) -> None:
    """Which days are no reference, and how many were compared."""
    state = deployed.state
    covered = deployed.closed_days(DAYS if opens else 1) if shift.alarm else range(0)
    kept = [day for day in state.shifted if day >= state.next_day - DAYS - REACH]
    state.shifted = [] if usual else sorted({*kept, *covered})
    state.compared = (shift.days, shift.reference)


def _begun(deployed: Deployed) -> int:
    return deployed.ground.day_at(deployed.state.segments[0].start)
