from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import polars as pl
import pytest

from nenrin.core.errors import ConflictError, NotFoundError
from nenrin.core.instants import HOUR
from nenrin.features.entities import Lookup
from nenrin.serving.deployments import Deployment
from nenrin.serving.masks import LogRules
from nenrin.serving.router import Route, Variant
from nenrin.serving.service import ServingService, feature_states, looks_back
from nenrin.serving.signature import RequestField, RequestSignature
from tests.serving.fakes import EXAMPLE, SIGNATURE, deployment


class Memory:
    """Deployments and units of one environment, in memory."""

    environment = "dev"

    def __init__(self) -> None:
        self.at = 0
        self.kept: dict[str, Deployment] = {}
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    @contextmanager
    def read(self, environment: str) -> Iterator[Memory]:
        yield self

    def record(self, kind: str, subject: str, body: dict[str, Any]) -> None:
        self.events.append((kind, subject, body))

    def find(self, environment: str, *, subject: str) -> list[Any]:
        return [
            SimpleNamespace(sequence=sequence, body=body)
            for sequence, (_, about, body) in enumerate(self.events, 1)
            if about == subject
        ]

    def put(self, unit: Memory, deployment: Deployment) -> None:
        self.kept[deployment.name] = deployment

    def get(self, unit: Memory, name: str) -> Deployment | None:
        return self.kept.get(name)

    def all(self, unit: Memory) -> list[Deployment]:
        return list(self.kept.values())


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def service(memory: Memory) -> ServingService:
    service = ServingService(memory, memory)  # type: ignore[arg-type]
    service.deploy(
        memory,
        "delay",
        model="delay",
        version="v1",
        revision="r1",
        request=SIGNATURE,
        features="s1",
        example=EXAMPLE,
    )
    return service


def kinds(memory: Memory) -> list[str]:
    return [kind for kind, _, _ in memory.events]


def test_deploy_serves_everybody(service: ServingService, memory: Memory) -> None:
    deployment = service.show("dev", "delay")
    assert deployment.champion == deployment.anchor == "v1"
    assert deployment.previous is None
    assert memory.events == [
        (
            "deployment.created",
            "delay",
            {
                "model": "delay",
                "reason": "first version",
                "route": [{"version": "v1", "weight": 100, "features": "s1"}],
            },
        )
    ]
    with pytest.raises(ConflictError, match="there is a deployment 'delay'"):
        service.deploy(memory, "delay", model="m", version="v", revision="r", request=SIGNATURE)


def test_canary_promote_roll_back(service: ServingService, memory: Memory) -> None:
    memory.at = 7
    canary = service.canary(memory, "delay", "v2", 20, features="s2", reason="new code")
    assert [variant.weight for variant in canary.route.variants] == [80, 20]
    promoted = service.promote(memory, "delay", "v2", reason="better", anchor="v2")
    assert (promoted.champion, promoted.previous, promoted.anchor) == ("v2", "v1", "v2")
    assert promoted.route.champion.features == "s2"
    assert promoted.at == 7
    back = service.rollback(memory, "delay", reason="watch")
    assert (back.champion, back.route.champion.features) == ("v1", "s1")
    assert back.previous is None
    assert kinds(memory)[1:] == [
        "deployment.routed",
        "deployment.promoted",
        "deployment.rolled_back",
    ]
    assert memory.events[-1][2]["left"] == ["v2"]
    with pytest.raises(ConflictError, match="served nothing before"):
        service.rollback(memory, "delay", reason="again")


def test_an_epoch_is_that_of_a_pair(service: ServingService, memory: Memory) -> None:
    """A rollout is one from its first percent until all is its own; begun anew it is another."""

    def goes_out(weight: int) -> Deployment:
        return service.canary(memory, "delay", "v2", weight, reason="new code")

    first = goes_out(20)
    assert first.pair == ("v2", "v1")
    service.set_features(memory, "delay", {"v2": "s3"})
    assert goes_out(50).epoch == first.epoch
    promoted = service.promote(memory, "delay", "v2", reason="better")
    assert (promoted.pair, promoted.epoch) == (first.pair, first.epoch)
    back = service.rollback(memory, "delay", reason="by hand")
    assert back.pair is None
    again = goes_out(20)
    assert again.pair == first.pair
    assert len({first.epoch, back.epoch, again.epoch}) == 3


def test_new_code_may_ask_for_more(service: ServingService, memory: Memory) -> None:
    wider = RequestSignature.of({"seats": pl.Int64()}, known={})
    canary = service.canary(memory, "delay", "v2", 20, request=wider, reason="new code")
    seats = canary.request.fields[-1]
    assert (seats.name, seats.required) == ("seats", False)
    assert canary.request.fields[:-1] == SIGNATURE.fields
    promoted = service.promote(
        memory, "delay", "v2", request=wider, example={"seats": 9}, reason="better"
    )
    assert promoted.example == {"seats": 9}
    assert [(field.name, field.required) for field in promoted.request.fields] == [
        ("seats", True),
        ("flight_id", False),
        ("sched_dep", False),
        ("distance", False),
        ("origin", False),
    ]


def test_rolling_back_a_canary_keeps_champion_and_its_predecessor(
    service: ServingService, memory: Memory
) -> None:
    service.promote(memory, "delay", "v2", features="s2", reason="refresh")
    service.canary(memory, "delay", "v3", 20, reason="recipe switch")
    back = service.rollback(memory, "delay", reason="watch")
    assert (back.champion, back.previous) == ("v2", "v1")
    assert len(back.route.variants) == 1


def test_roll_back_to_a_version_of_ones_choice(service: ServingService, memory: Memory) -> None:
    service.promote(memory, "delay", "v2", reason="refresh")
    service.promote(memory, "delay", "v3", reason="refresh")
    back = service.rollback(memory, "delay", to="v1", features="s1", reason="suspicion")
    assert (back.champion, back.route.champion.features) == ("v1", "s1")


def test_promoting_the_champion_ends_a_canary_and_else_changes_nothing(
    service: ServingService, memory: Memory
) -> None:
    service.promote(memory, "delay", "v1", reason="again")
    assert kinds(memory) == ["deployment.created"]
    service.canary(memory, "delay", "v2", 50, reason="new code")
    kept = service.promote(memory, "delay", "v1", reason="refused")
    assert (kept.champion, kept.previous) == ("v1", None)
    assert kept.route.champion.features == "s1"


def test_a_route_keeps_its_champion(service: ServingService, memory: Memory) -> None:
    other = Route(deployment="delay", variants=(Variant(version="v9"),))
    with pytest.raises(ConflictError, match="v9 is not the champion"):
        service.set_route(memory, "delay", other, reason="?")


def test_feature_states_move_on(service: ServingService, memory: Memory) -> None:
    service.canary(memory, "delay", "v2", 20, features="s2", reason="new code")
    moved = service.set_features(memory, "delay", {"v1": "s1-later"})
    assert [variant.features for variant in moved.route.variants] == ["s1-later", "s2"]
    before = len(memory.events)
    service.set_features(memory, "delay", {"v1": "s1-later"})
    assert len(memory.events) == before


def test_what_stands_for_missing_keys_moves_on_with_the_feature_states(
    service: ServingService, memory: Memory
) -> None:
    asked = Lookup(columns=("x",), missing={"x": 1.0})
    assert service.set_features(memory, "delay", {}, asked).request == SIGNATURE
    looked_up = msgspec.structs.replace(SIGNATURE, lookup=Lookup(columns=("distance",)))
    service.promote(memory, "delay", "v2", reason="better", request=looked_up)
    moved = service.set_features(memory, "delay", {}, asked)
    assert moved.request.lookup == Lookup(columns=("distance",), missing={"x": 1.0})
    assert kinds(memory)[-1] == "deployment.features_refreshed"
    before = len(memory.events)
    service.set_features(memory, "delay", {}, asked)
    assert len(memory.events) == before


def test_rules_of_the_log_change_by_an_event(service: ServingService, memory: Memory) -> None:
    rules = LogRules(durable=True, row={"email": "hash"})
    service.set_log(memory, "delay", LogRules())
    service.set_log(memory, "unknown", rules)
    assert kinds(memory) == ["deployment.created"]
    service.set_log(memory, "delay", rules)
    service.set_log(memory, "delay", rules)
    assert kinds(memory) == ["deployment.created", "deployment.logged"]
    assert memory.events[-1][2]["log"] == {"durable": True, "row": {"email": "hash"}}
    assert service.show("dev", "delay").log == rules
    service.canary(memory, "delay", "v2", 20, reason="new code")
    assert service.show("dev", "delay").log == rules


def test_freeze_and_unfreeze(service: ServingService, memory: Memory) -> None:
    assert service.freeze(memory, "delay", reason="holidays").frozen
    assert not service.unfreeze(memory, "delay", reason="back").frozen
    assert kinds(memory)[-2:] == ["deployment.frozen", "deployment.unfrozen"]


def test_a_freeze_is_kept_with_its_instant_and_reason_and_asked_for_twice_is_one(
    service: ServingService, memory: Memory
) -> None:
    frozen = service.freeze(memory, "delay", reason="holidays")
    assert (frozen.frozen_since, frozen.frozen_why) == (memory.at, "holidays")
    assert service.freeze(memory, "delay", reason="again") == frozen
    thawed = service.unfreeze(memory, "delay", reason="back")
    assert (thawed.frozen_since, thawed.frozen_why, thawed.thawed) == (0, "", memory.at)
    assert service.unfreeze(memory, "delay", reason="again") == thawed
    assert kinds(memory)[-2:] == ["deployment.frozen", "deployment.unfrozen"]


def test_a_frozen_deployment_is_changed_by_name(service: ServingService, memory: Memory) -> None:
    service.freeze(memory, "delay", reason="holidays")
    assert service.promote(memory, "delay", "v2", reason="promoted by hand").frozen
    back = service.rollback(memory, "delay", reason="rolled back by hand")
    assert (back.champion, back.frozen) == ("v1", True)


def test_unknown_names(service: ServingService) -> None:
    with pytest.raises(NotFoundError, match="no deployment 'dealy'") as caught:
        service.show("dev", "dealy")
    assert caught.value.hint == "deployments here: delay"
    assert [deployment.name for deployment in service.list("dev")] == ["delay"]


def test_example(service: ServingService) -> None:
    example = service.example("dev", "delay")
    assert example["path"] == "/v2/models/delay/infer"
    assert example["records"] == [EXAMPLE]
    assert [tensor["datatype"] for tensor in example["body"]["inputs"]] == [
        "BYTES",
        "BYTES",
        "FP64",
        "BYTES",
    ]


def test_feature_states_keep_the_place_at_which_they_were_named_first(
    service: ServingService, memory: Memory
) -> None:
    service.canary(memory, "delay", "v2", 20, reason="new code", features="s2")
    service.set_features(memory, "delay", {"v1": "s3"})
    assert feature_states(service.list("dev")) == {"s2", "s3"}
    assert service.places_of_states("dev") == {"s1": 1, "s2": 2, "s3": 3}


def test_questions_that_are_asked_before_their_row_look_back(
    service: ServingService, memory: Memory
) -> None:
    assert looks_back(service.list("dev")) == 0
    memory.kept["early"] = deployment(
        "v1", name="early", request=msgspec.structs.replace(SIGNATURE, shift=-HOUR)
    )
    assert looks_back(service.list("dev")) == HOUR


def test_what_is_declared_holds_for_whichever_version_serves(
    service: ServingService, memory: Memory
) -> None:
    user = RequestField(name="user", kind="integer", required=False)
    request = msgspec.structs.replace(SIGNATURE, fields=(user,), sticky="user")
    for _ in range(2):
        service.declare(memory, "delay", request, 0.2)
    kept = service.show("dev", "delay")
    assert kept.fallback == 0.2
    assert kept.request.fields == (*SIGNATURE.fields, user)
    assert (kept.request.sticky, kept.request.sticky_header) == ("user", "")
    other = msgspec.structs.replace(SIGNATURE, sticky="X-User", unseen="refuse")
    declared = service.declare(memory, "delay", other, None).request
    assert (declared.sticky_header, declared.unseen) == ("X-User", "refuse")
    assert kinds(memory) == ["deployment.created", "deployment.declared", "deployment.declared"]
    assert memory.events[1][2]["fallback"] == 0.2
