"""Rings: every turn of the loop, told from the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nenrin.core.instants import iso
from nenrin.core.ledger import Event

_OUTCOMES = {
    "alarm": "rolled back",
    "replaced": "replaced by the next",
    "over": "watched to the end",
}


def rings(events: Iterable[Event], deployment: str | None = None) -> list[dict[str, Any]]:
    """The rings of an environment, oldest first.

    Each has ``ring``, ``at``, ``deployment``, ``trigger``, ``chosen``, ``ships``, the race (``best``,
    ``elected``, ``means``, ``standings``), ``verdict`` (``admitted``, ``outcome``, ``reason``), ``rollout``
    (instants and reasons), ``outcome`` and, where ``nr.value`` was declared, ``value``: what the answers of
    the closed days were worth at whose end its version served.
    """
    found: list[dict[str, Any]] = []
    by_version: dict[str, dict[str, Any]] = {}
    verdict: dict[str, Any] = {}
    for event in events:
        if event.kind == "verdict.given":
            verdict = {name: event.body.get(name) for name in ("admitted", "outcome", "reason")}
        elif event.kind in ("look.taken", "look.blocked"):
            ring = {
                **event.body,
                "at": iso(event.at),
                "deployment": event.subject,
                "verdict": verdict,
                "rollout": [],
                "outcome": "blocked by data" if event.kind == "look.blocked" else "",
            }
            found.append(ring)
            ships, verdict = event.body.get("ships"), {}
            if ships:
                by_version[ships] = ring
            elif event.kind == "look.taken":
                ring["outcome"] = "refused"
        elif event.kind.startswith("deployment."):
            _rolled_out(event, by_version)
        elif event.kind == "day.closed":
            _earned(event, by_version)
        elif event.kind == "watch.closed" and event.subject in by_version:
            by_version[event.subject]["outcome"] = _OUTCOMES[event.body["outcome"]]
    for ring in found:
        ring["outcome"] = ring["outcome"] or ("served" if ring["rollout"] else "decided")
    return [ring for ring in found if deployment in (None, ring["deployment"])]


def _earned(event: Event, by_version: dict[str, dict[str, Any]]) -> None:
    """Give a day's worth to the ring whose version served at its end."""
    served = event.body.get("versions") or [""]
    ring = by_version.get(served[-1])
    if ring is not None and "value" in event.body:
        ring["value"] = ring.get("value", 0.0) + event.body["value"]


def _rolled_out(event: Event, by_version: dict[str, dict[str, Any]]) -> None:
    """Give the event to the ring of the version that it brings, or of those that it takes away."""
    what, reason = event.kind.split(".", 1)[1], event.body.get("reason", "")
    said = {"at": iso(event.at), "what": what, "reason": reason}
    if what == "rolled_back":
        for version in event.body.get("left") or []:
            if version in by_version:
                ring = by_version[version]
                ring["rollout"].append({**said, "weight": 0})
                ring["outcome"] = "rolled back"
        return
    route = event.body.get("route") or []
    newest = route[-1] if route else {"version": ""}
    if newest["version"] in by_version:
        by_version[newest["version"]]["rollout"].append({**said, "weight": newest["weight"]})
