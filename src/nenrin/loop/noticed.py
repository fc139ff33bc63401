"""Whether injected faults were noticed: the first sign that the loop gave after each, and what they cost.

A sign is an alarm, a look that broken data blocked, a fit that was refused, or a roll-back; one that the same
window gives without the faults, at the same instant and of the same thing, is none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

from nenrin.core.figures import figure
from nenrin.core.instants import HOUR, iso, local_midnight
from nenrin.loop.backtest import Played
from nenrin.loop.report import told

SIGNS = ("alarm.opened", "look.blocked", "fit.refused", "rollout.rolled_back")


def signs(
    played: Played,
    faults: Sequence[tuple[str, str]],
    zone: str,
    undisturbed: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """What was noticed of each fault.

    Args:
        played: the replay.
        faults: (text, local date of its beginning) of each.
        zone: in which the dates are meant.
        undisturbed: the lines of :func:`nenrin.loop.report.history_of` without the faults, if they are known.

    Returns:
        ``fault``, ``begins``, ``noticed`` (an instant, or None), ``hours`` after it began, ``by`` (the kind
        of the event), ``subject`` and ``text`` for people.
    """
    usual = {(line["at"], line["version"]) for line in undisturbed}
    return [
        _sign(played, text, local_midnight(date.fromisoformat(day), zone), usual)
        for text, day in faults
    ]


def costs(
    totals: Mapping[str, Mapping[str, Any]],
    undisturbed: Mapping[str, Mapping[str, Any]],
    column: str,
) -> dict[str, float]:
    """By policy: the loss of a row more than in the same window without the faults."""
    return {
        name: total[column] - undisturbed[name][column]
        for name, total in totals.items()
        if name in undisturbed
    }


def sentences(found: Sequence[Mapping[str, Any]], cost: Mapping[str, float]) -> list[str]:
    """What people are told: how each fault was noticed, and what all of them cost."""
    said = [
        f"{each['fault']}: first noticed {each['hours']:.0f} h after it began, by {each['by']} of "
        f"{each['subject']}: {each['text']}."
        if each["noticed"]
        else f"{each['fault']} was not noticed."
        for each in found
    ]
    others = {name: value for name, value in cost.items() if name not in ("loop", "hindsight")}
    if cost and not any(cost.values()):
        said.append("Against the same window undisturbed it changed no policy's loss.")
    elif "loop" in cost and others:
        worst = max(others, key=lambda name: others[name])
        said.append(
            f"Against the same window undisturbed it cost the loop {figure(cost['loop'], plus=True)} a row, "
            f"and {worst.replace('_', ' ')} {figure(others[worst], plus=True)}."
        )
    return said


def _sign(
    played: Played, text: str, begins: int, usual: Collection[tuple[str, str]]
) -> dict[str, Any]:
    found: dict[str, Any] = {"fault": text, "begins": iso(begins), "noticed": None}
    for step in played.steps:
        for event in step.lines if step.at >= begins else ():
            if event.kind in SIGNS and (iso(step.at), event.subject) not in usual:
                return found | {
                    "noticed": iso(step.at),
                    "hours": (step.at - begins) / HOUR,
                    "by": event.kind,
                    "subject": event.subject,
                    "text": told(event.kind, event.body),
                }
    return found
