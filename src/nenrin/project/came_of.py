"""What came of a version: verdicts, rings, mixtures that hold it, when it served, what was taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from nenrin.core.actor import ACTOR
from nenrin.core.instants import iso
from nenrin.core.ledger import Event
from nenrin.gates.verdict import Verdict
from nenrin.registry.version import Version
from nenrin.serving.spans import Span, spans


def verdicts_on(verdicts: Sequence[Verdict], version: str) -> list[dict[str, Any]]:
    """The verdicts that name a version, oldest first, each with the part that the version had in it."""
    return [
        {
            "id": verdict.id,
            "role": role,
            "admitted": verdict.admitted,
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "at": iso(verdict.at),
        }
        for verdict in verdicts
        if (role := _role(verdict, version))
    ]


def admission(
    verdicts: Sequence[Verdict],
    versions: Mapping[str, Version],
    events: Sequence[Event],
    version: str,
) -> dict[str, Any]:
    """What let a version out.

    Returns:
        ``verdicts``: id of the newest that admitted it; where none was given on itself, as of a mixture, of
        those that admitted its members. ``ring``: the newest turn that shipped it, or what holds it; None
        where none did.
    """
    found = versions[version]
    judged = [version] if _admitted(verdicts, version) else found.parents
    given = [given for each in judged if (given := _admitted(verdicts, each))]
    holders = [holder.id for holder in versions.values() if version in holder.parents]
    rings = [ring for each in (*holders, version) for ring in rings_of(events, each)]
    return {
        "verdicts": list(dict.fromkeys(given)),
        "ring": max(rings, key=lambda ring: str(ring["at"]), default=None),
    }


def _admitted(verdicts: Sequence[Verdict], version: str) -> str:
    """Id of the newest verdict that admitted a version; empty where there is none."""
    given = [verdict.id for verdict in verdicts if verdict.admitted and verdict.ships == version]
    return given[-1] if given else ""


def rings_of(events: Sequence[Event], version: str) -> list[dict[str, Any]]:
    """The turns of the loop that shipped a version."""
    return [
        {
            "ring": event.body.get("ring"),
            "deployment": event.subject,
            "trigger": event.body.get("trigger"),
            "at": iso(event.at),
        }
        for event in events
        if event.kind == "look.taken" and event.body.get("ships") == version
    ]


def held_by(
    versions: Sequence[Version], events: Sequence[Event], version: str
) -> list[dict[str, Any]]:
    """The versions that a version is part of, the slots that it fills there, and when they served."""
    return [
        {
            "version": holder.id,
            "kind": holder.kind,
            "status": holder.status,
            "slots": slots_of(holder, version),
            "served": [served(span) for span in spans(events, holder.id)],
        }
        for holder in versions
        if version in holder.parents
    ]


def slots_of(holder: Version, version: str) -> list[str]:
    """The slots of a mixture that a version fills."""
    members = holder.facts.get("members")
    return [slot for slot, each in members.items() if each == version] if members else []


def served(span: Span) -> dict[str, Any]:
    """A stretch of serving, for people; ``until`` is null while it goes on."""
    return {
        "deployment": span.deployment,
        "from": iso(span.start),
        "until": None if span.end is None else iso(span.end),
        "weight": span.weight,
        "role": span.role,
        "why": span.why,
    }


def taken_back(events: Sequence[Event], version: str) -> list[dict[str, Any]]:
    """Roll-backs that took a version away, and the marks that it got, oldest first."""
    found = []
    for event in events:
        body = event.body
        said: dict[str, Any] | None = None
        if event.kind == "deployment.rolled_back" and version in (body.get("left") or ()):
            said = {"deployment": event.subject, "why": body.get("reason", "")}
        elif event.kind == "rollout.rolled_back" and version in (event.subject, *body["bad"]):
            said = {"why": f"the watch of {event.subject} alarmed", "to": body["to"]}
            if "safety" in body:
                said = {"why": f"{event.subject} was not safe", **body["safety"], "to": body["to"]}
        elif event.kind == "version.marked" and event.subject == version:
            said = {"why": body.get("reason", ""), "status": body["status"]}
        if said is not None:
            who = {ACTOR: body[ACTOR]} if ACTOR in body else {}
            found.append({"at": iso(event.at), "event": event.kind, **said, **who})
    return found


def about(events: Sequence[Event], what: str) -> list[dict[str, Any]]:
    """Events about a thing, oldest first: those of that subject, and those whose route names it."""
    return [
        {
            "at": iso(event.at),
            "event": event.kind,
            "sequence": event.sequence,
            **{word: event.body[word] for word in ("reason", ACTOR) if event.body.get(word)},
        }
        for event in events
        if event.subject == what
        or any(variant["version"] == what for variant in event.body.get("route", []))
    ]


def plain_verdict(environment: str, verdict: Verdict) -> dict[str, Any]:
    """A verdict with every number that it used."""
    told = {name: getattr(verdict, name) for name in _TOLD}
    return {
        "what": "verdict",
        "environment": environment,
        "verdict": verdict.id,
        **msgspec.to_builtins(told),
        "at": iso(verdict.at),
    }


_TOLD = ("judged", "ships", "against", "outcome", "admitted", "reason", "numbers")


def _role(verdict: Verdict, version: str) -> str:
    """What a version was in a verdict; empty: nothing."""
    for role, named in (("ships", verdict.ships), ("judged", verdict.judged)):
        if version == named:
            return role
    return next((role for role, named in verdict.against.items() if named == version), "")
