"""Rings: every turn of the loop, told from the ledger."""

from __future__ import annotations

from typing import Any

from nenrin.core.ledger import GENESIS, Event, seal
from nenrin.loop.rings import rings


def chain(*told: tuple[str, str, dict[str, Any]]) -> list[Event]:
    events: list[Event] = []
    for number, (kind, subject, body) in enumerate(told, start=1):
        previous = events[-1].hash if events else GENESIS
        events.append(
            seal(
                previous,
                environment="dev",
                sequence=number,
                at=number * 3_600_000_000,
                kind=kind,
                subject=subject,
                body=body,
            )
        )
    return events


def look(ships: str | None, ring: int = 1) -> tuple[str, str, dict[str, Any]]:
    body = {"ring": ring, "trigger": "schedule", "chosen": "history", "ships": ships}
    return "look.taken", "delay", body


def verdict(*, admitted: bool = True) -> tuple[str, str, dict[str, Any]]:
    body = {"admitted": admitted, "outcome": "undecided", "reason": "so it was", "numbers": {}}
    return "verdict.given", "v", body


def route(version: str, weight: int = 100) -> tuple[str, str, dict[str, Any]]:
    variants = [{"version": version, "weight": weight}]
    if weight < 100:
        variants = [{"version": "old", "weight": 100 - weight}, *variants]
    kind = "deployment.promoted" if weight == 100 else "deployment.canary"
    return kind, "delay", {"route": variants, "reason": "because"}


def closed(version: str, outcome: str) -> tuple[str, str, dict[str, Any]]:
    return "watch.closed", version, {"outcome": outcome}


def test_a_ring_has_its_verdict_rollout_and_outcome() -> None:
    told = [verdict(), look("a"), route("a", 20), route("a"), closed("a", "replaced")]
    (ring,) = rings(chain(*told))
    assert (ring["trigger"], ring["chosen"], ring["ships"]) == ("schedule", "history", "a")
    assert ring["verdict"] == {"admitted": True, "outcome": "undecided", "reason": "so it was"}
    assert [(step["what"], step["weight"]) for step in ring["rollout"]] == [
        ("canary", 20),
        ("promoted", 100),
    ]
    assert ring["outcome"] == "replaced by the next"
    assert ring["at"] == "1970-01-01T02:00:00Z"


def test_outcomes() -> None:
    blocked = ("look.blocked", "delay", {"trigger": "schedule", "checks": []})
    told = [
        *[verdict(), look("a"), route("a"), closed("a", "over")],
        *[verdict(), look("b", 2), route("b"), closed("b", "alarm")],
        *[verdict(admitted=False), look(None, 3)],
        blocked,
        *[verdict(), look("c", 4), route("c")],
        *[verdict(), look("d", 5)],
    ]
    assert [ring["outcome"] for ring in rings(chain(*told))] == [
        "watched to the end",
        "rolled back",
        "refused",
        "blocked by data",
        "served",
        "decided",
    ]


def test_a_version_rolled_back_by_hand_is_not_served() -> None:
    body = {"route": [{"version": "a", "weight": 100}], "left": ["b"], "reason": "by hand"}
    told = [
        *[verdict(), look("a"), route("a")],
        *[verdict(), look("b", 2), route("b", 20)],
        ("deployment.rolled_back", "delay", body),
    ]
    first, second = rings(chain(*told))
    assert (first["outcome"], second["outcome"]) == ("served", "rolled back")
    assert [(step["what"], step["weight"]) for step in first["rollout"]] == [("promoted", 100)]
    assert [(step["what"], step["weight"], step["reason"]) for step in second["rollout"]] == [
        ("canary", 20, "because"),
        ("rolled_back", 0, "by hand"),
    ]


def test_the_verdict_is_the_looks_own() -> None:
    found = rings(chain(verdict(admitted=False), look(None), look("a", 2), route("a")))
    assert found[0]["verdict"]["admitted"] is False
    assert found[1]["verdict"] == {}


def test_only_those_of_a_deployment() -> None:
    events = chain(verdict(), look("a"))
    assert len(rings(events, "delay")) == 1
    assert rings(events, "other") == []


def test_a_ring_has_what_its_version_earned() -> None:
    def day(worth: float | None, *versions: str) -> tuple[str, str, dict[str, Any]]:
        body: dict[str, Any] = {"versions": list(versions)}
        return "day.closed", "2013-04-01", body if worth is None else {**body, "value": worth}

    told = [look("a"), route("a"), day(2.0, "a"), look("b", 2), route("b"), day(3.0, "a", "b")]
    first, second = rings(chain(*told, day(4.0, "b"), day(None, "b"), day(9.0, "stranger")))
    assert (first["value"], second["value"]) == (2.0, 7.0)
    (plain,) = rings(chain(look("a"), route("a"), day(None, "a")))
    assert "value" not in plain
