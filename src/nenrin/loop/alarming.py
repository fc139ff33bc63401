"""Alarms of a deployment: what its monitors find opens one alarm a cause, is updated, and resolved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from nenrin.core.instants import iso
from nenrin.loop.deployed import Deployed
from nenrin.loop.ports import Step
from nenrin.loop.state import State
from nenrin.monitoring.alarms import Alarm, Finding, reconcile
from nenrin.monitoring.calibration_alarm import CalibrationFinding, calibration_alarm
from nenrin.monitoring.prediction_shift import DAYS, REACH, follow, shift_waits

CALIBRATION = "calibration"
SHIFT = "prediction shift"
ANSWERS = frozenset({CALIBRATION, SHIFT})


def watch_answers(deployed: Deployed, at: int, step: Step) -> bool:
    """Look at the answers of the days that have closed; whether calibration is off."""
    state = deployed.state
    calibration = _calibration(deployed)
    state.shifts, shift = follow(state.shifts, _points(deployed))
    state.compared = (shift.days, shift.reference)
    standing = [alarm for alarm in state.alarms if alarm.finding.kind in ANSWERS]
    told = [
        (calibration.alarm, calibration.told(deployed.name)),
        (shift.alarm, shift.told(deployed.name)),
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


def _points(deployed: Deployed) -> dict[int, np.ndarray]:
    """Points of the closed days that a comparison may read, by day: days served as a whole, with answers."""
    begun = _begun(deployed)
    whole = begun + (deployed.ground.day_start(begun) < deployed.state.segments[0].start)
    days = deployed.closed_days(DAYS + REACH)
    points = {day: deployed.answer_points(day) for day in days if day >= whole}
    return {day: each for day, each in points.items() if len(each)}


def _begun(deployed: Deployed) -> int:
    return deployed.ground.day_at(deployed.state.segments[0].start)
