"""When a version served, told from the routes in the ledger."""

from __future__ import annotations

from typing import Any

from nenrin.core.ledger import Event
from nenrin.serving.spans import Span, spans


def event(at: int, kind: str, *route: tuple[str, int], **body: Any) -> Event:
    variants = [{"version": version, "weight": weight} for version, weight in route]
    told = {**body, "route": variants} if route else body
    return Event(
        environment="dev", sequence=at, at=at, kind=kind, subject="delay", body=told, hash=""
    )


HISTORY = [
    event(1, "deployment.created", ("a", 100), reason="first"),
    event(2, "deployment.shared", ("a", 100)),
    event(3, "deployment.routed", ("a", 80), ("b", 20), reason="canary"),
    event(4, "look.taken", ships="a"),
    event(5, "deployment.promoted", ("b", 100), reason="better"),
    event(6, "deployment.rolled_back", ("a", 100), reason="worse"),
]


def test_stretches_follow_weight_and_role() -> None:
    assert spans(HISTORY, "a") == [
        Span(deployment="delay", start=1, end=3, why="first"),
        Span(deployment="delay", start=3, end=5, weight=80, why="canary"),
        Span(deployment="delay", start=6, why="worse"),
    ]
    assert spans(HISTORY, "b") == [
        Span(deployment="delay", start=3, end=5, weight=20, role="challenger", why="canary"),
        Span(deployment="delay", start=5, end=6, why="better"),
    ]
    assert spans(HISTORY, "c") == []
