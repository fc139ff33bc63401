"""The registry's verbs, with a kind that only this file knows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.backends.sql.database import Database
from nenrin.core.errors import NotFoundError, RefusedError, RequestError
from nenrin.registry.kinds import Answerer, Answers, OpenContext
from nenrin.registry.service import RegistryService
from nenrin.testing.stores import MemoryStore


class Rule:
    """A kind of one's own: the content is a threshold on the column ``x``."""

    name = "rule"

    def describe(self, content: bytes) -> dict[str, Any]:
        if not content.isdigit():
            raise RequestError("this is no rule", hint="write digits")
        return {"threshold": int(content)}

    def open(self, content: bytes, context: OpenContext) -> Answerer:
        return RuleAnswerer(int(content))


class RuleAnswerer:
    def __init__(self, threshold: int) -> None:
        self._threshold = threshold

    def answer(self, frame: pl.DataFrame) -> Answers:
        return (frame["x"].to_numpy() > self._threshold).astype(np.float64)


@pytest.fixture
def registry(make: Callable[..., RegistryService]) -> RegistryService:
    return make(Rule())


def register(
    registry: RegistryService, units: Database, content: str, name: str = "big", at: int = 5
) -> str:
    with units.write("dev", at) as unit:
        return registry.register(
            unit,
            name=name,
            kind="rule",
            content=content,
            revision="revision-1",
            parents=["data-1"],
            facts={"rows": 10},
        ).id


def test_a_kind_from_elsewhere_is_registered_read_and_opened(
    registry: RegistryService, units: Database, store: MemoryStore
) -> None:
    content = store.put(b"7")
    version = registry.get("dev", register(registry, units, content))
    assert (version.name, version.kind, version.content, version.at) == ("big", "rule", content, 5)
    assert (version.revision, version.parents) == ("revision-1", ("data-1",))
    assert version.facts == {"threshold": 7, "rows": 10}
    assert version.status == "registered"
    answers = registry.open(version, OpenContext(store=store)).answer(pl.DataFrame({"x": [7, 8]}))
    assert list(answers) == [0.0, 1.0]


def test_registering_is_an_event_and_the_same_artefact_is_the_same_version(
    registry: RegistryService, units: Database, store: MemoryStore
) -> None:
    content = store.put(b"7")
    first = register(registry, units, content, at=5)
    assert register(registry, units, content, at=6) == first
    (event,) = units.events("dev")
    assert (event.kind, event.subject, event.at) == ("version.registered", first, 5)
    assert event.body == {
        "name": "big",
        "kind": "rule",
        "content": content,
        "revision": "revision-1",
        "parents": ["data-1"],
    }
    assert register(registry, units, store.put(b"8")) != first
    assert register(registry, units, content, name="other") != first


def test_environments_have_their_own_versions_of_shared_content(
    registry: RegistryService, units: Database, store: MemoryStore
) -> None:
    known = register(registry, units, store.put(b"7"))
    with units.write("prod", 9) as unit:
        with pytest.raises(NotFoundError, match="in prod"):
            registry.read(unit, known)
        again = registry.register(
            unit, name="big", kind="rule", content=store.put(b"7"), parents=["data-1"]
        )
    assert again.id == known
    registry_dev, registry_prod = registry.get("dev", known), registry.get("prod", known)
    assert (registry_dev.at, registry_prod.at) == (5, 9)


def test_lists_in_the_order_of_registration(
    registry: RegistryService, units: Database, store: MemoryStore
) -> None:
    ids = [register(registry, units, store.put(str(n).encode())) for n in range(5)]
    other = register(registry, units, store.put(b"99"), name="other")
    with units.write("dev", 6) as unit:
        registry.mark(unit, ids[0], "serving")
    assert [version.id for version in registry.list("dev", "big")] == ids
    assert [version.id for version in registry.list("dev")] == [*ids, other]
    assert registry.list("prod") == []


def test_what_raises_in_a_unit_leaves_neither_version_nor_event(
    registry: RegistryService, units: Database, store: MemoryStore
) -> None:
    content = store.put(b"7")
    with contextlib.suppress(ZeroDivisionError), units.write("dev", 1) as unit:
        registry.register(unit, name="big", kind="rule", content=content)
        raise ZeroDivisionError
    assert registry.list("dev") == []
    assert units.head("dev")[0] == 0


def test_refuses_what_is_not_of_the_kind_or_not_there(
    registry: RegistryService, units: Database, store: MemoryStore
) -> None:
    with pytest.raises(RequestError, match="no rule"):
        register(registry, units, store.put(b"seven"))
    with pytest.raises(NotFoundError):
        register(registry, units, "0" * 64)
    with units.write("dev", 1) as unit, pytest.raises(NotFoundError) as caught:
        registry.register(unit, name="big", kind="ruler", content=store.put(b"7"))
    assert "rule" in caught.value.hint
    assert registry.list("dev") == []


def test_a_bad_version_is_never_served_again(
    registry: RegistryService, units: Database, store: MemoryStore
) -> None:
    version = register(registry, units, store.put(b"7"))
    with units.write("dev", 6) as unit:
        registry.mark(unit, version, "serving")
        registry.mark_bad(unit, version, "watch alarmed")
        registry.mark_bad(unit, version, "again")
        with pytest.raises(RefusedError):
            registry.mark(unit, version, "serving")
    assert registry.get("dev", version).status == "bad"
    marked = units.find("dev", kind="version.marked", subject=version)
    assert [event.body for event in marked] == [
        {"status": "serving", "reason": ""},
        {"status": "bad", "reason": "watch alarmed"},
    ]


def test_aliases_move(registry: RegistryService, units: Database, store: MemoryStore) -> None:
    first, second = (register(registry, units, store.put(content)) for content in (b"1", b"2"))
    other = register(registry, units, store.put(b"3"), name="other")
    with units.write("dev", 6) as unit:
        registry.alias(unit, "big", "champion", first)
        registry.alias(unit, "big", "champion", second)
        registry.alias(unit, "big", "champion", second)
        registry.alias(unit, "big", "anchor", first)
        with pytest.raises(RequestError, match="one of other"):
            registry.alias(unit, "big", "champion", other)
        with pytest.raises(NotFoundError):
            registry.alias(unit, "big", "champion", "version-0")
    assert registry.aliases("dev", "big") == {"anchor": first, "champion": second}
    assert registry.aliases("prod", "big") == {}
    moved = [event.body for event in units.find("dev", kind="alias.moved")]
    assert [(body["alias"], body["from"], body["to"]) for body in moved] == [
        ("champion", None, first),
        ("champion", first, second),
        ("anchor", None, first),
    ]
