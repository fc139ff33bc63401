"""Compiling what serves, and noting what planes gave up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from nenrin.backends.sql.database import Database
from nenrin.backends.sql.registry import SqlAliases, SqlVersions
from nenrin.loop.compiling import UNCOMPILED, compile_served, note_breaches
from nenrin.registry.kinds import Answerer, Kinds, OpenContext
from nenrin.registry.kinds.compiled import outcome_of
from nenrin.registry.kinds.rescoring import Breach
from nenrin.registry.service import RegistryService
from nenrin.serving.router import Route, Shadow, Variant
from nenrin.testing.stores import MemoryStore
from nenrin.training.compiling.compiled import FORM


class Thing:
    """A kind whose content says what its facts are."""

    name = "thing"

    def describe(self, content: bytes) -> dict[str, Any]:
        facts: dict[str, Any] = msgspec.json.decode(content)
        return facts

    def open(self, content: bytes, context: OpenContext) -> Answerer:
        raise AssertionError


@pytest.fixture
def units(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path / 'state.db'}", durable=False) as database:
        yield database


@pytest.fixture
def registry(units: Database) -> RegistryService:
    kinds = Kinds([Thing()])
    return RegistryService(units, MemoryStore(), SqlVersions(), SqlAliases(), kinds)


def register(registry: RegistryService, units: Database, facts: dict[str, Any]) -> str:
    content = registry._store.put(msgspec.json.encode(facts))
    with units.write("dev", 5) as unit:
        return registry.register(unit, name="x", kind="thing", content=content).id


def serving(*versions: str, shadow: str = "") -> Any:
    variants = tuple(
        Variant(version=each, weight=0 if place else 100) for place, each in enumerate(versions)
    )
    beside = Shadow(variant=Variant(version=shadow, weight=0)) if shadow else None
    route = Route(deployment="x", variants=variants, shadow=beside)
    return SimpleNamespace(environment="dev", at=7, route=route)


def compiler(asked: list[Any], outcome: dict[str, Any]) -> Any:
    def compiles(content: str, before: int | None) -> dict[str, Any]:
        asked.append((content, before))
        return outcome

    return SimpleNamespace(compiles=compiles)


ADMITTED = {"form": FORM, "admitted": True, "content": "f" * 64}


def test_each_model_that_serves_is_compiled_once(
    units: Database, registry: RegistryService
) -> None:
    one = register(registry, units, {"format": "skops", "cutoff": "1970-01-01T00:00:01Z"})
    two = register(registry, units, {"format": "lightgbm"})
    mixed = register(registry, units, {"members": {"a": one, "b": two, "c": one}})
    prompt = register(registry, units, {"template": "?"})
    head, asked = units.head("dev"), []
    for _ in range(2):
        deployed = serving(mixed, prompt, "version-gone")
        compile_served(units, registry, compiler(asked, ADMITTED), deployed)
    contents = [registry.get("dev", each).content for each in (one, two)]
    assert asked == [(contents[0], 1_000_000), (contents[1], None)]
    assert all(outcome_of(registry.get("dev", each).facts) for each in (one, two))
    assert "compiled" not in registry.get("dev", mixed).facts
    assert units.head("dev") == head  # no event, so no digest, knows of it


def test_where_no_form_could_be_tried_it_is_tried_again(
    units: Database, registry: RegistryService
) -> None:
    one, asked = register(registry, units, {"format": "skops"}), []
    for _ in range(2):
        again = compiler(asked, {"form": 0, "admitted": False, "why": "no compiler"})
        compile_served(units, registry, again, serving(one))
    assert len(asked) == 2
    assert registry.get("dev", one).facts["compiled"]["why"] == "no compiler"


def test_a_shadow_is_compiled_too(units: Database, registry: RegistryService) -> None:
    one = register(registry, units, {"format": "skops"})
    two, asked = register(registry, units, {"format": "lightgbm"}), []
    compile_served(units, registry, compiler(asked, ADMITTED), serving(one, shadow=two))
    assert len(asked) == 2
    assert registry.get("dev", two).facts["compiled"] == ADMITTED


def test_without_a_compiler_nothing_is_noted(units: Database, registry: RegistryService) -> None:
    one = register(registry, units, {"format": "skops"})
    compile_served(units, registry, SimpleNamespace(compiles=None), serving(one))  # type: ignore[arg-type]
    assert "compiled" not in registry.get("dev", one).facts


def test_what_a_plane_gave_up_is_an_event_and_stays_given_up(
    units: Database, registry: RegistryService, tmp_path: Path
) -> None:
    one, folder, asked = register(registry, units, {"format": "skops"}), tmp_path / "gone", []
    compile_served(units, registry, compiler(asked, ADMITTED), serving(one))
    assert note_breaches(units, registry, "dev", folder, lambda _: 9) == 0
    folder.mkdir()
    breach = Breach(content="c", form="f" * 64, why="an answer differed by 0.5 at run time")
    (folder / "f.json").write_bytes(msgspec.json.encode(breach))
    assert note_breaches(units, registry, "dev", folder, lambda _: 9) == 1
    assert list(folder.iterdir()) == []
    outcome = outcome_of(registry.get("dev", one).facts)
    assert outcome is not None
    assert (outcome.admitted, outcome.why) == (False, breach.why)
    events = units.find("dev", kind=UNCOMPILED)
    assert [(event.subject, event.body["why"]) for event in events] == [(one, breach.why)]
    compile_served(units, registry, compiler(asked, ADMITTED), serving(one))
    assert len(asked) == 1
