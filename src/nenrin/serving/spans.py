"""When a version was served, as the ledger tells it: stretches of time with one weight."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from nenrin.core.ledger import Event


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch in which a version had one part in a deployment's route.

    Attributes:
        deployment: which one.
        start, end: business instants, microseconds UTC; ``end`` None: it goes on.
        weight: percent of the keys.
        role: ``champion`` or ``challenger``.
        why: the reason of the event that began it, where one was given.
    """

    deployment: str
    start: int
    end: int | None = None
    weight: int = 100
    role: str = "champion"
    why: str = ""


def spans(events: Iterable[Event], version: str) -> list[Span]:
    """When a version stood in any deployment's route, oldest first.

    Args:
        events: an environment's, in order; those with a route are read.
        version: its id.
    """
    done: list[Span] = []
    running: dict[str, Span] = {}
    for event in events:
        if "route" not in event.body:
            continue
        before = running.get(event.subject)
        now = _span(event, version)
        if before and now and (before.weight, before.role) == (now.weight, now.role):
            continue
        if before:
            done.append(msgspec.structs.replace(before, end=event.at))
            del running[event.subject]
        if now:
            running[event.subject] = now
    return sorted([*done, *running.values()], key=lambda span: (span.start, span.deployment))


def _span(event: Event, version: str) -> Span | None:
    """The stretch that an event begins for a version; None where its route does not name it."""
    for place, variant in enumerate(event.body["route"]):
        if variant["version"] == version:
            return Span(
                deployment=event.subject,
                start=event.at,
                weight=variant["weight"],
                role="challenger" if place else "champion",
                why=event.body.get("reason", ""),
            )
    return None
