"""Alarms: a finding that stays open until it is gone, one a cause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from nenrin.core.digest import derived_id

Severity = Literal["ticket", "page"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a monitor found wrong on one look: nothing is stored yet.

    Attributes:
        kind: the cause, ``volume``, ``nulls``, ``calibration`` …; one finding a cause and subject.
        subject: name of the dataset or deployment that it is about.
        columns: columns that moved, most moved first; empty where it is about the whole.
        severity: ``ticket``, or ``page`` where it stops training or pulls a refresh forward.
        text: one sentence for people: what moved, how much, against what.
        numbers: what the sentence is made of.
    """

    kind: str
    subject: str
    columns: tuple[str, ...] = ()
    severity: Severity = "ticket"
    text: str
    numbers: dict[str, float] = {}


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """A finding over time.

    Attributes:
        id: derived from subject, kind and the instant of opening.
        finding: its newest form.
        opened: instant of the first look that found it, microseconds UTC.
        updated: instant of the newest look that found it.
        seen: number of looks that found it.
        resolved: instant of the first look that did not, or None while it is open.
    """

    id: str
    finding: Finding
    opened: int
    updated: int
    seen: int = 1
    resolved: int | None = None


def reconcile(standing: Iterable[Alarm], findings: Sequence[Finding], at: int) -> list[Alarm]:
    """The alarms that a look changes: opened, updated, and resolved ones.

    Args:
        standing: open alarms about the subjects that were looked at.
        findings: all that the look found about them.
        at: instant of the look.

    Returns:
        new records in a fixed order: those found (in the findings' order), then those resolved.
    """
    before = {(alarm.finding.subject, alarm.finding.kind): alarm for alarm in standing}
    changed = []
    for finding in findings:
        alarm = before.pop((finding.subject, finding.kind), None)
        if alarm is None:
            name = derived_id("alarm", finding.subject, finding.kind, at)
            changed.append(Alarm(id=name, finding=finding, opened=at, updated=at))
        else:
            changed.append(
                msgspec.structs.replace(alarm, finding=finding, updated=at, seen=alarm.seen + 1)
            )
    gone = sorted(before.values(), key=lambda alarm: alarm.id)
    return changed + [msgspec.structs.replace(alarm, resolved=at) for alarm in gone]
