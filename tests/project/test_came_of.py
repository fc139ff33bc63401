"""What came of a version, from verdicts, versions and the ledger."""

from __future__ import annotations

from typing import Any

from nenrin.core.ledger import Event
from nenrin.gates.verdict import Verdict
from nenrin.project import came_of
from nenrin.registry.version import Version


def event(at: int, kind: str, subject: str, **body: Any) -> Event:
    return Event(
        environment="dev", sequence=at, at=at, kind=kind, subject=subject, body=body, hash=""
    )


def version(name: str, *parents: str, **facts: Any) -> Version:
    return Version(
        id=f"version-{name}",
        name="delay",
        kind="mixture" if parents else "model",
        environment="dev",
        content="c",
        at=0,
        parents=tuple(f"version-{parent}" for parent in parents),
        facts=facts,
    )


def verdict(number: int, ships: str, *, admitted: bool = True, **named: Any) -> Verdict:
    said: dict[str, Any] = {"judged": "version-twin", "against": {}, **named}
    return Verdict(
        id=f"verdict-{number}",
        deployment="delay",
        ships=f"version-{ships}",
        outcome="better",
        compared="paired",
        admitted=admitted,
        checks=(),
        numbers={},
        reason="r",
        at=number,
        **said,
    )


MIXED = version(
    "m", "a", "b", members={"history": "version-a", "anchor": "version-a", "t": "version-b"}
)
VERSIONS = {each.id: each for each in (version("a"), version("b"), version("twin"), MIXED)}
ROUTE = [{"version": "version-m", "weight": 100}]
EVENTS = [
    event(1, "look.taken", "delay", ring=1, ships="version-m", trigger="first"),
    event(2, "deployment.created", "delay", route=ROUTE),
    event(3, "rollout.rolled_back", "version-m", to="version-old", bad=["version-m", "version-b"]),
    event(4, "version.marked", "version-b", status="bad", reason="worse"),
    event(5, "deployment.rolled_back", "delay", route=[], left=["version-m"], reason="the watch"),
]


def test_a_verdict_names_versions_in_several_parts() -> None:
    given = [verdict(1, "a"), verdict(2, "b", against={"champion": "version-a"})]
    assert [(v["id"], v["role"]) for v in came_of.verdicts_on(given, "version-a")] == [
        ("verdict-1", "ships"),
        ("verdict-2", "champion"),
    ]
    assert [v["role"] for v in came_of.verdicts_on(given, "version-twin")] == ["judged", "judged"]
    assert came_of.verdicts_on(given, "version-m") == []


def test_what_lets_a_version_out() -> None:
    given = [verdict(1, "a", admitted=False), verdict(2, "a"), verdict(3, "b", admitted=False)]

    def out(name: str) -> tuple[list[str], int | None]:
        told = came_of.admission(given, VERSIONS, EVENTS, f"version-{name}")
        return told["verdicts"], told["ring"] and told["ring"]["ring"]

    assert out("a") == (["verdict-2"], 1)
    assert out("b") == ([], 1)
    assert out("m") == (["verdict-2"], 1)
    assert out("twin") == ([], None)


def test_mixtures_that_hold_a_version() -> None:
    [held] = came_of.held_by(list(VERSIONS.values()), EVENTS, "version-a")
    assert (held["version"], held["slots"]) == ("version-m", ["history", "anchor"])
    [span] = held["served"]
    assert (span["from"], span["until"]) == (
        "1970-01-01T00:00:00.000002Z",
        "1970-01-01T00:00:00.000005Z",
    )
    assert came_of.held_by(list(VERSIONS.values()), EVENTS, "version-m") == []


def test_what_was_taken_back() -> None:
    def kinds(name: str) -> list[str]:
        return [each["event"] for each in came_of.taken_back(EVENTS, f"version-{name}")]

    assert kinds("m") == ["rollout.rolled_back", "deployment.rolled_back"]
    assert kinds("b") == ["rollout.rolled_back", "version.marked"]
    assert kinds("a") == []
