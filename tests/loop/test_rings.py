"""Rings: every turn of the loop, told from the ledger."""

from __future__ import annotations

from typing import Any

from nenrin.core.ledger import GENESIS, Event, seal
from nenrin.loop.rings import brief, rings


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


Told = tuple[str, str, dict[str, Any]]


def look(ships: str | None, ring: int = 1, **more: Any) -> Told:
    body = {"ring": ring, "trigger": "schedule", "chosen": "history", "ships": ships}
    return "look.taken", "delay", body | more


def verdict(name: str = "v", *, admitted: bool = True, ships: str = "a") -> Told:
    body = {
        "deployment": "delay",
        "judged": "twin",
        "ships": ships,
        "against": {"champion": "old"},
        "outcome": "undecided",
        "compared": "paired",
        "admitted": admitted,
        "reason": "so it was",
        "checks": {"not worse": "pass" if admitted else "fail"},
        "numbers": {"champion.mean": 0.25},
        "digest": "d",
    }
    return "verdict.given", name, body


def registered(version: str, rows: str = "r") -> Told:
    parents = ["recipe:history", "look:2021-01-01T00:00:00Z", f"data:flights:{rows}"]
    return "version.registered", version, {"parents": parents, "revision": "revision-1"}


def loaded(dataset: str, load: str) -> Told:
    return "dataset.loaded", dataset, {"id": load}


def alarm(kind: str, bias: float, subject: str = "delay", cause: str = "calibration") -> Told:
    body = {"kind": cause, "subject": subject, "text": f"off by {bias}", "numbers": {"bias": bias}}
    return f"alarm.{kind}", cause, body


def route(version: str, weight: int = 100) -> tuple[str, str, dict[str, Any]]:
    variants = [{"version": version, "weight": weight}]
    if weight < 100:
        variants = [{"version": "old", "weight": 100 - weight}, *variants]
    kind = "deployment.promoted" if weight == 100 else "deployment.canary"
    return kind, "delay", {"route": variants, "reason": "because"}


def closed(version: str, outcome: str) -> tuple[str, str, dict[str, Any]]:
    return "watch.closed", version, {"outcome": outcome}


def test_a_ring_has_its_verdict_rollout_and_outcome() -> None:
    made = {"fits": {"history": "a"}, "verdicts": ["v"]}
    told = [verdict(), look("a", **made), route("a", 20), route("a"), closed("a", "replaced")]
    (ring,) = rings(chain(*told))
    assert (ring["trigger"], ring["chosen"], ring["ships"]) == ("schedule", "history", "a")
    (given,) = ring["verdicts"]
    assert given == {
        "recipe": "history",
        "id": "v",
        "judged": "twin",
        "ships": "a",
        "against": {"champion": "old"},
        "outcome": "undecided",
        "compared": "paired",
        "admitted": True,
        "reason": "so it was",
        "checks": {"not worse": "pass"},
        "numbers": {"champion.mean": 0.25},
    }
    (short,) = brief(ring)["verdicts"]
    assert (short["id"], short["reason"]) == ("v", "so it was")
    assert not {"checks", "numbers"} & short.keys()
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


def test_the_verdicts_are_the_looks_own() -> None:
    by_hand = verdict("by hand", ships="z")
    told = [verdict("v", admitted=False), look(None, verdicts=["v"]), by_hand, look("a", 2)]
    first, second = rings(chain(*told))
    assert [(each["id"], each["admitted"]) for each in first["verdicts"]] == [("v", False)]
    assert second["verdicts"] == []


def test_a_mixture_has_the_verdict_of_every_slot() -> None:
    fits = {"history": "a", "trailing 90d": "b"}
    given = [verdict("v"), verdict("w", ships="b", admitted=False), verdict("x", ships="anchor-1")]
    told = [*given, look("mix", fits=fits, verdicts=["v", "w", "x"])]
    (ring,) = rings(chain(*told))
    assert [(each["recipe"], each["admitted"]) for each in ring["verdicts"]] == [
        ("history", True),
        ("trailing 90d", False),
        ("anchor", True),
    ]


def test_a_look_that_changes_nothing_takes_nothing_from_the_ring_before() -> None:
    again = look("mix", 2, champion="mix", chosen=None)
    told = [look("mix"), route("mix"), again, closed("mix", "over")]
    kept = look("mix", 3, champion="mix")
    assert [ring["outcome"] for ring in rings(chain(*told, kept))] == [
        "watched to the end",
        "refused",
        "unchanged",
    ]


def test_a_ring_has_the_loads_and_the_rows_of_its_fits() -> None:
    fits = {"fits": {"history": "a"}}
    told = [
        *[loaded("flights", "data-1"), loaded("other", "data-9")],
        *[registered("a", "r1"), look("a", **fits)],
        *[loaded("flights", "data-2"), ("look.blocked", "delay", {"trigger": "schedule"})],
    ]
    taken, blocked = rings(chain(*told))
    assert taken["data"] == {"flights": {"load": "data-1", "rows": "r1"}}
    assert blocked["data"] == {"flights": {"load": "data-2"}, "other": {"load": "data-9"}}
    opened = ("backtest.opened", "delay", {"data": {"flights": "data-7"}})
    (ring,) = rings(chain(opened, registered("a", "r3"), look("a", **fits)))
    assert ring["data"] == {"flights": {"load": "data-7", "rows": "r3"}}


def test_a_fit_that_was_refused_says_why() -> None:
    refused = ("fit.refused", "b", {"recipe": "trailing 90d", "flaws": ["it answers NaN"]})
    (ring,) = rings(chain(refused, look("a", fits={"history": "a", "trailing 90d": "b"})))
    assert ring["fits"] == {
        "history": {"version": "a", "flaws": []},
        "trailing 90d": {"version": "b", "flaws": ["it answers NaN"]},
    }


def test_what_set_a_ring_off() -> None:
    told = [
        *[registered("a"), look("a", trigger="first", labels=70)],
        look("b", 2),
        *[alarm("opened", 0.04), alarm("opened", 0.9, "other"), alarm("opened", 0.8, "w", "nulls")],
        *[alarm("updated", 0.05), look("c", 3, trigger="alarm")],
        look("d", 4, trigger="new labels", labels=80),
        look("e", 5, trigger="new labels", labels=90),
    ]
    found = [ring["evidence"] for ring in rings(chain(*told))]
    assert found[0] == {"revision": "revision-1"}
    assert found[1] == {"after": "1970-01-01T02:00:00Z"}
    assert found[2] == {
        "alarm": "calibration",
        "at": "1970-01-01T07:00:00Z",
        "text": "off by 0.05",
        "numbers": {"bias": 0.05},
    }
    assert found[4] == {"labels": 90, "before": 80}


def test_a_ring_has_its_watch() -> None:
    opened = ("watch.opened", "a", {"ref": "old", "margin": 0.01, "cap": 0.1, "ring": 1})
    ended = ("watch.closed", "a", {"outcome": "alarm", "blocks": 12, "wealth": 33.0, "ref": "old"})
    back = {"to": "old", "bad": ["a"], "probation": ["history"], "wealth": 33.0}
    told = [look("a"), opened, ended, ("rollout.rolled_back", "a", back)]
    (ring,) = rings(chain(*told))
    assert ring["watch"] == {
        "against": "old",
        "margin": 0.01,
        "cap": 0.1,
        "opened": "1970-01-01T02:00:00Z",
        "closed": "1970-01-01T03:00:00Z",
        "outcome": "alarm",
        "blocks": 12,
        "wealth": 33.0,
        "rolled_back": {"to": "old", "bad": ["a"], "probation": ["history"]},
    }
    assert ring["outcome"] == "rolled back"
    (plain,) = rings(chain(look("a"), route("a")))
    assert plain["watch"] is None


def test_a_ring_has_every_number_of_what_was_not_safe() -> None:
    safety = {"subject": "a", "against": "old", "requests": [200, 800], "metrics": []}
    ended = ("watch.closed", "a", {"outcome": "unsafe", "blocks": 0, "wealth": 1.0, "ref": "old"})
    back = {"to": "old", "bad": ["a"], "probation": ["history"], "wealth": 1.0, "safety": safety}
    (ring,) = rings(chain(look("a"), ended, ("rollout.rolled_back", "a", back)))
    assert ring["outcome"] == "rolled back"
    assert ring["watch"]["outcome"] == "unsafe"
    assert ring["watch"]["rolled_back"]["safety"] == safety


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
