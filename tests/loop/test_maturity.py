"""The items of both maturity models on made facts: missing, configured, proven, and not to be known."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

import nenrin
from nenrin.cli.app import COMMANDS, load
from nenrin.core.instants import DAY
from nenrin.core.ledger import Event
from nenrin.gates.verdict import Verdict
from nenrin.loop.maturity import needs
from nenrin.loop.maturity.assessing import RECENT, SCALES, UNKNOWN, assess, look_at, spelled
from nenrin.loop.maturity.facts import Answers, Declared, Facts, Snapshot
from nenrin.loop.maturity.items import Item, Need, Next
from nenrin.serving.prediction import Prediction

NOW = 1_000 * DAY
ITEMS = {item.id: item for scale in SCALES for item in scale.items}
EVERYTHING = Declared(
    datasets=("flights",),
    views=("sky",),
    deployments=("delay",),
    timed=True,
    trained=True,
    canary=True,
)
FIT = ["recipe:history", "look:2024-01-01T00:00:00Z", "cutoff:2024-01-01T00:00:00Z"]


def chain(*told: tuple[str, str, dict[str, Any]], environment: str = "dev", ago: int = 1) -> Any:
    """Events of an environment, a minute apart, the first ``ago`` days before now."""
    return tuple(
        Event(
            environment=environment,
            sequence=number,
            at=NOW - ago * DAY + number * 60_000_000,
            kind=kind,
            subject=subject,
            body=body,
            hash="",
        )
        for number, (kind, subject, body) in enumerate(told, 1)
    )


def facts(*told: tuple[str, str, dict[str, Any]], ago: int = 1, **given: Any) -> Facts:
    known = {"environment": "dev", "now": NOW, "declared": EVERYTHING, **given}
    return Facts(events=chain(*told, ago=ago), **known)


def look(trigger: str, ships: str | None = "version-2") -> tuple[str, str, dict[str, Any]]:
    return ("look.taken", "delay", {"trigger": trigger, "ships": ships})


def goes_out(
    version: str, kind: str = "deployment.promoted", reason: str = "fast lane", part: int = 100
) -> tuple[str, str, dict[str, Any]]:
    rest = [] if part == 100 else [{"version": "version-1", "weight": 100 - part}]
    route = [*rest, {"version": version, "weight": part, "features": "f" * 64}]
    return (kind, "delay", {"route": route, "reason": reason})


def registered(version: str, *parents: str, revision: str = "revision-1") -> Any:
    return ("version.registered", version, {"parents": list(parents), "revision": revision})


def answer(version: str, number: int, features: dict[str, Any] | None = None) -> Prediction:
    return Prediction(
        number=number,
        id=f"prediction-{number}",
        deployment="delay",
        version=version,
        variant=0,
        key="",
        asked=NOW,
        at=NOW,
        answer=0.5,
        row={},
        features=features or {},
    )


BACKTEST = ("backtest.reported", "bt-1", {"ledger_head": "h"})
ALARM = ("alarm.opened", "calibration", {"bias": 0.1})
BLOCKED = ("look.blocked", "delay", {"trigger": "schedule", "checks": [{"cause": "volume"}]})
DATA = "data:flights:aa"
ACTIVE = ("revision.activated", "revision-1", {})
SERVING = {"delay": "version-2"}
CHECKED = {"champion.verdict": "better", "slices.checked": 3.0}
COMMITTED = Snapshot(id="revision-1", python="3.11", packages=9, commit="c0ffee")


def verdict(**given: Any) -> Verdict:
    known: dict[str, Any] = {"admitted": True, "numbers": CHECKED, **given}
    return Verdict(
        id="verdict-1",
        deployment="delay",
        judged="version-2",
        ships="version-2",
        against={},
        outcome="better",
        compared="paired",
        checks=(),
        reason="",
        at=NOW,
        **known,
    )


def in_prod(*told: tuple[str, str, dict[str, Any]], ago: int = 0) -> dict[str, Any]:
    return {"prod": chain(*told, environment="prod", ago=ago)}


PROOFS: dict[str, tuple[Facts, Facts]] = {
    "G1.1": (facts(("run.finished", "delay", {})), facts(look("first"))),
    "G1.2": (facts(look("schedule")), facts(look("schedule", None), look("first"))),
    "G1.3": (
        facts(ACTIVE, active=COMMITTED, others=in_prod(ACTIVE)),
        facts(ACTIVE, active=COMMITTED, others=in_prod(("revision.activated", "revision-2", {}))),
    ),
    "G1.4": (facts(registered("version-1")), facts(registered("version-1", revision=""))),
    "G1.5": (
        facts(goes_out("version-2")),
        facts(
            goes_out("version-2", reason="promoted by hand"),
            goes_out("version-3", reason="adopted from backtest bt-1"),
        ),
    ),
    "G1.6": (facts(BLOCKED), facts(look("new code"))),
    "G1.7": (facts(BACKTEST, blocked=chain(BLOCKED, environment="backtest/bt-1")), facts(BACKTEST)),
    "G1.8": (
        facts(verdicts=(verdict(),)),
        facts(verdicts=(verdict(admitted=False), verdict(numbers={"slices.checked": 3.0}))),
    ),
    "G1.9": (
        facts(goes_out("version-2", "deployment.routed", part=20)),
        facts(goes_out("version-2", "deployment.routed")),
    ),
    "G1.10": (
        facts(answers=Answers(first=answer("a", 1), newest=answer("a", 1, {"temp": 3.0}))),
        facts(answers=Answers(first=answer("a", 1), newest=answer("a", 1))),
    ),
    "G1.11": (facts(registered("version-1", *FIT, DATA)), facts(registered("version-1", *FIT))),
    "G1.12": (
        facts(look("first"), look("schedule"), look("alarm")),
        facts(look("first"), look("schedule")),
    ),
    "G2.1": (
        facts(
            ACTIVE,
            registered("version-2"),
            ("run.finished", "delay", {}),
            goes_out("version-2"),
            active=COMMITTED,
            folder_commit="c0ffee",
            champions=SERVING,
        ),
        facts(ACTIVE, active=COMMITTED, folder_commit="c0ffee"),
    ),
    "G2.2": (
        facts(ALARM, look("alarm"), goes_out("version-2")),
        facts(ALARM, look("alarm"), goes_out("version-2", reason="promoted by hand")),
    ),
    "G2.5": (
        facts(ACTIVE, look("first"), look("schedule"), others=in_prod(ACTIVE)),
        facts(ACTIVE, look("first"), others=in_prod(ACTIVE)),
    ),
    "M1.2": (
        facts(ACTIVE, active=COMMITTED, folder_commit="c0ffee"),
        facts(
            ACTIVE,
            active=msgspec.structs.replace(COMMITTED, dirty=True),
            folder_commit="c0ffee",
        ),
    ),
    "M1.4": (facts(("verdict.given", "verdict-1", {})), facts(look("first"))),
    "M1.5": (facts(("dataset.loaded", "flights", {})), facts(look("first"))),
    "M2.1": (facts(look("new labels", None)), facts(BLOCKED)),
    "M2.2": (facts(registered("version-1", *FIT)), facts(registered("version-1"))),
    "M2.3": (facts(("run.finished", "delay", {})), facts()),
    "M2.4": (facts(registered("version-1")), facts(registered("version-1", revision=""))),
    "M2.5": (facts(registered("version-1")), facts()),
    "M2.6": (facts(answers=Answers(first=answer("a", 1), newest=answer("a", 1))), facts()),
    "M2.7": (facts(ACTIVE, active=COMMITTED), facts()),
    "M2.8": (
        facts(goes_out("version-2")),
        facts(("deployment.created", "delay", {"route": [{"version": "version-2"}]})),
    ),
    "M2.9": (facts(look("first")), facts()),
    "M2.10": (
        facts(BACKTEST, ("backtest.reported", "bt-1-2", {"ledger_head": "h"})),
        facts(BACKTEST, ("backtest.reported", "bt-2", {"ledger_head": "other"})),
    ),
    "M3.1": (facts(goes_out("version-2")), facts(goes_out("version-2", reason="by hand"))),
    "M3.2": (
        facts(goes_out("version-2", "deployment.routed", part=20)),
        facts(goes_out("version-2")),
    ),
    "M3.4": (
        facts(
            ("dataset.loaded", "flights", {}),
            registered("version-1", *FIT, DATA),
            registered("version-2", "version-1"),
            champions=SERVING,
        ),
        facts(
            registered("version-1", *FIT, DATA),
            registered("version-2", "version-1"),
            champions=SERVING,
        ),
    ),
    "M3.6": (
        facts(BACKTEST, others=in_prod(("deployment.adopted", "delay", {}))),
        facts(BACKTEST, others=in_prod(goes_out("version-2"))),
    ),
    "M4.1": (facts(look("alarm")), facts(look("schedule"), look("alarm", None))),
    "M4.2": (facts(("day.closed", "2024-01-01", {"loss": 0.5})), facts(look("first"))),
    "M4.3": (facts(ALARM, look("alarm", None)), facts(look("alarm"), ALARM)),
    "M4.4": (
        facts(BLOCKED),
        facts(("look.blocked", "delay", {"trigger": "schedule", "checks": [{"cause": "nulls"}]})),
    ),
    "M4.5": (
        facts(look("schedule"), goes_out("version-2")),
        facts(goes_out("version-2"), look("schedule", "version-3")),
    ),
    "M4.6": (
        facts(
            champions=SERVING,
            answers=Answers(first=answer("version-1", 1), newest=answer("version-2", 2)),
        ),
        facts(
            champions=SERVING,
            answers=Answers(first=answer("version-1", 1), newest=answer("version-2", 2), missing=1),
        ),
    ),
}
MISSING_ELSEWHERE = {"M3.5"}  # it is on as soon as it is shown
NEEDS = [need for need in vars(needs).values() if isinstance(need, Need)]
STEPS = [step for step in vars(needs).values() if isinstance(step, Next)]


def test_every_item_that_can_be_known_has_a_case() -> None:
    known = {item.id for item in ITEMS.values() if item.shown is not None}
    assert known == {*PROOFS, *MISSING_ELSEWHERE}
    assert len(ITEMS) == sum(len(scale.items) for scale in SCALES)


@pytest.mark.parametrize("name", PROOFS)
def test_a_sign_proves_an_item_and_what_comes_near_does_not(name: str) -> None:
    shown, near = PROOFS[name]
    found = look_at(ITEMS[name], shown)
    assert (found.state, found.next) == ("proven", None)
    assert found.shown is not None
    assert found.shown.subject
    lacking = look_at(ITEMS[name], near)
    assert lacking.state == "configured"
    assert lacking.next in STEPS


@pytest.mark.parametrize("name", [item.id for item in ITEMS.values() if item.needs])
def test_what_is_not_declared_is_missing_and_says_the_first_step(name: str) -> None:
    found = look_at(ITEMS[name], facts(declared=Declared()))
    assert (found.state, found.shown) == ("missing", None)
    assert found.next == ITEMS[name].needs[0].begin


def test_two_environments_are_managed_or_missing() -> None:
    assert look_at(ITEMS["M3.5"], facts()).state == "missing"
    found = look_at(ITEMS["M3.5"], facts(others=in_prod(ACTIVE, ago=2 * RECENT)))
    assert found.state == "proven"  # it stands: its age is no matter


def test_what_nenrin_cannot_know_does_not_count() -> None:
    outside = [item for item in ITEMS.values() if item.shown is None]
    assert {item.id for item in outside} == {
        *("G2.3", "G2.4", "M1.1", "M1.3", "M1.6", "M3.3", "M3.7", "M4.7")
    }
    for item in outside:
        found = look_at(item, facts())
        assert (found.state, found.counts, found.next) == (UNKNOWN, False, None)
        assert item.outside


def test_an_old_event_proves_nothing_any_more() -> None:
    old, new = (facts(look("schedule"), ago=RECENT + days) for days in (1, -1))
    found = look_at(ITEMS["G1.2"], old)
    assert found.state == "configured"
    assert found.shown is not None
    assert look_at(ITEMS["G1.2"], new).state == "proven"
    again = look_at(ITEMS["G1.1"], facts(("run.finished", "delay", {}), ago=RECENT + 1))
    assert again.next == needs.NEW_LABELS  # a run with nothing due would bring nothing


def test_a_version_that_serves_is_no_matter_of_age() -> None:
    told = (registered("version-1", *FIT, DATA), registered("version-2", "version-1"))
    old = facts(*told, ago=RECENT + 1)
    assert look_at(ITEMS["M2.5"], old).state == "configured"
    serving = msgspec.structs.replace(old, champions=SERVING)
    assert {look_at(ITEMS[name], serving).state for name in ("M2.2", "M2.4", "M2.5", "G1.11")} == {
        "proven"
    }


def levels(found: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {scale["name"]: (scale["configured"], scale["proven"]) for scale in found["scales"]}


def test_a_level_needs_every_item_of_it_and_below() -> None:
    nothing = assess(facts(declared=Declared()))
    assert levels(nothing) == {"Google": (0, 0), "Microsoft": (0, 0)}
    switched_on = facts(
        BACKTEST, folder_commit="c0ffee", others=in_prod(ACTIVE), champions=SERVING, ago=RECENT + 1
    )
    assert levels(assess(switched_on)) == {"Google": (2, 0), "Microsoft": (4, 0)}
    no_canary = msgspec.structs.replace(EVERYTHING, canary=False)
    lower = assess(msgspec.structs.replace(switched_on, declared=no_canary))
    assert levels(lower) == {"Google": (0, 0), "Microsoft": (2, 0)}
    no_view = msgspec.structs.replace(EVERYTHING, views=())  # optional for Google alone
    lower = assess(msgspec.structs.replace(switched_on, declared=no_view))
    assert levels(lower) == {"Google": (2, 0), "Microsoft": (1, 0)}


def test_the_first_level_proven() -> None:
    one = facts(
        ACTIVE,
        ("dataset.loaded", "flights", {}),
        ("verdict.given", "verdict-1", {}),
        active=COMMITTED,
        folder_commit="c0ffee",
    )
    found = assess(one)
    assert levels(found)["Microsoft"][1] == 1
    assert "M1.2" not in [each for step in found["next"] for each in step["items"]]


def test_steps_come_by_cost_and_by_what_they_are_for() -> None:
    found = assess(facts(declared=msgspec.structs.replace(EVERYTHING, canary=False)))
    every = [*STEPS, *(need.begin for need in NEEDS)]
    costs = {(spelled(step, facts()), step.when): step.cost for step in every}
    first, *_ = found["next"]
    assert first["step"] == "nenrin run"
    assert "G1.1" in first["items"]
    lines = [step["step"] for step in found["next"]]
    assert lines.index("service = nr.deployment(MODEL, canary=[20, 100])") > lines.index(
        "nenrin apply --env prod"
    )
    paid = [costs[step["step"], step["when"]] for step in found["next"]]
    assert paid == sorted(paid)
    assert len(set(paid)) == 3
    assert not any(each.startswith("M4") for step in found["next"] for each in step["items"])


def test_steps_name_the_environment() -> None:
    prod = facts(environment="prod", fault_day="2024-02-15")
    assert spelled(needs.RUN, prod) == "nenrin run --env prod"
    assert spelled(needs.APPLY, prod) == "nenrin apply --env dev"
    assert (
        spelled(needs.REHEARSE, prod)
        == "nenrin backtest --env prod --inject late_labels:7d:2024-02-15"
    )


def _steps(item: Item) -> list[Next]:
    return [*(need.begin for need in item.needs), *([item.show] if item.shown else [])]


@pytest.mark.parametrize("name", [item.id for item in ITEMS.values() if item.shown])
def test_every_step_names_a_command_or_a_word(name: str) -> None:
    for step in _steps(ITEMS[name]):
        text = spelled(step, facts(fault_day="2024-02-15"))
        commands = re.findall(r"nenrin ([^&]+)", text)
        words = re.findall(r"nr\.(\w+)", text)
        assert commands or words, text
        for command in commands:
            verb, *options = command.split()
            assert verb in COMMANDS, text
            load(verb).make_context(verb, options)  # raises where an option is not there
        for word in words:
            assert hasattr(nenrin, word), text
