"""The ledger's pure part: events and their hash chain.

Each environment has one chain. An event's hash covers the hash before it and its own canonical bytes, so
a changed, removed, reordered or inserted event is found by walking the chain (Haber and Stornetta, "How to
Time-Stamp a Digital Document", 1991). Events hold decisions and digests; what was measured on a machine
is an observation and stays outside.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from nenrin.core.digest import canonical, digest_bytes

GENESIS = "0" * 64


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ledger.

    Attributes:
        environment: the chain it belongs to.
        sequence: 1, 2, 3 … within the environment, in the order of sealing.
        at: business instant, microseconds UTC.
        kind: what happened, ``noun.verb`` in the past tense (``version.registered``).
        subject: the name or id of the thing it happened to.
        body: plain values: decisions and digests, never measurements of a machine, never personal data.
        hash: chain hash, 64 hexadecimal digits.
    """

    environment: str
    sequence: int
    at: int
    kind: str
    subject: str
    body: dict[str, Any]
    hash: str


def seal(
    previous: str,
    *,
    environment: str,
    sequence: int,
    at: int,
    kind: str,
    subject: str,
    body: dict[str, Any],
) -> Event:
    """The event that follows the chain hash ``previous``.

    The environment's own name is left out of the hash: two backtests that decide the same have the same
    head, whatever they are called.
    """
    return Event(
        environment=environment,
        sequence=sequence,
        at=at,
        kind=kind,
        subject=subject,
        body=body,
        hash=chained(previous, sequence, at, kind, subject, canonical(body)),
    )


def chained(previous: str, sequence: int, at: int, kind: str, subject: str, body: bytes) -> str:
    """The chain hash of the event that follows ``previous``, its body given in canonical bytes."""
    payload = canonical([sequence, at, kind, subject, msgspec.Raw(body)])
    return digest_bytes(previous.encode() + payload)


class Kept(msgspec.Struct, frozen=True):
    """What the state beside the ledger says of one environment.

    Attributes:
        sequence, hash: the newest event, as noted when it was sealed; 0 and ``GENESIS`` without a note.
        rows: whether the environment has state: a deployment, a version, …
        untold: names of what is there though no event tells of it.
    """

    sequence: int = 0
    hash: str = GENESIS
    rows: bool = False
    untold: tuple[str, ...] = ()


class Break(msgspec.Struct, frozen=True):
    """A place where the chain does not hold: the sequence expected there, and what is wrong."""

    sequence: int
    problem: str


def verify(events: Iterable[Event]) -> tuple[str, list[Break]]:
    """Walk one environment's events in order of sequence.

    Returns:
        the chain hash of the last event (the head), and every break found; an empty list means that the
        events from the first to the head are those that were sealed. What a chain alone cannot show is
        that events were cut off its end: compare the head with one kept elsewhere.
    """
    previous, expected, breaks = GENESIS, 1, []
    for event in events:
        if event.sequence != expected:
            breaks.append(Break(expected, f"found event {event.sequence} where {expected} belongs"))
            expected = event.sequence
        again = seal(
            previous,
            environment=event.environment,
            sequence=event.sequence,
            at=event.at,
            kind=event.kind,
            subject=event.subject,
            body=event.body,
        )
        if again.hash != event.hash:
            breaks.append(Break(event.sequence, "its content does not give its hash"))
        previous, expected = event.hash, expected + 1
    return previous, breaks
