"""Compiling what serves, before the loop routes it or after a person did, and noting what planes gave up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from nenrin.backends.sql.database import Database
from nenrin.backends.sql.loop import SqlLoopStates
from nenrin.backends.sql.registry import SqlAliases, SqlVersions
from nenrin.core.errors import OvertakenError
from nenrin.core.instants import HOUR, NEVER
from nenrin.core.settings import Settings
from nenrin.loop.compiling import UNCOMPILED, compile_served, note_breaches
from nenrin.loop.journal import Journals
from nenrin.loop.ports import Served, Step
from nenrin.loop.state import Artefact, Promotion, Segment, State
from nenrin.platform import Platform
from nenrin.registry.kinds import Answerer, Kinds, OpenContext
from nenrin.registry.kinds.compiled import outcome_of
from nenrin.registry.kinds.rescoring import Breach
from nenrin.registry.service import RegistryService
from nenrin.serving.router import Route, Shadow, Variant
from nenrin.serving.signature import RequestSignature
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


class Routing:
    """A journal over a folder, fits to be routed by it, and what its compiler was asked."""

    def __init__(self, platform: Platform, environment: str = "dev") -> None:
        self.platform, self.environment = platform, environment
        self.state = State(settle=0, next_block=0, next_day=0, next_look=NEVER)
        self.asked: list[tuple[str, int | None, list[str]]] = []
        self.outcome = ADMITTED
        served = Served(
            deployment="x", model="x", revision="", request=RequestSignature(fields=()), example={}
        )
        prepared: Any = SimpleNamespace(served=served, compiles=self.compiles)
        self.journal = Journals(
            platform.units,
            platform.registry,
            platform.gates,
            platform.serving,
            SqlLoopStates(),
            platform.store,
        )(environment, prepared)

    def compiles(self, content: str, before: int | None) -> dict[str, Any]:
        """Notes what planes are told to serve while it compiles."""
        self.asked.append((content, before, self.routed()))
        return self.outcome

    def routed(self) -> list[str]:
        found = self.platform.serving.list(self.environment)
        return [variant.version for each in found for variant in each.route.variants]

    def fit(self, name: str, members: tuple[str, ...] = ()) -> str:
        """A registered version that the loop knows."""
        facts = {"members": dict(zip("abc", members, strict=False))} if members else {}
        content = self.platform.store.put(msgspec.json.encode({"n": name, **facts}))
        with self.platform.units.write(self.environment, 1) as unit:
            version = self.platform.registry.register(
                unit, name="x", kind="thing", content=content
            ).id
        artefact = Artefact(
            version=version,
            model=content,
            recipe="history",
            look=0,
            cutoff=7,
            members=tuple(zip("abc", members, strict=False)),
        )
        self.state.artefacts = {**self.state.artefacts, version: artefact}
        return version

    def route(self, *variants: tuple[str, int], bad: str = "", by_hand: bool = False) -> None:
        step = Step(at=2, route=Segment(2, variants), why="so", bad=[bad] if bad else [])
        self.journal.commit(step, self.state, by_hand=by_hand)

    def compiled(self, version: str) -> dict[str, Any] | None:
        found = self.platform.registry.get(self.environment, version)
        return found.facts.get("compiled")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with Platform(Settings.read(folder=tmp_path, workers=0), kinds=[Thing()]) as platform:
        yield platform


def test_what_the_loop_routes_is_compiled_before(platform: Platform) -> None:
    routing = Routing(platform)
    one, two, other = routing.fit("one"), routing.fit("two"), routing.fit("other")
    both = routing.fit("both", (one, two, one))
    content = {each: routing.state.artefacts[each].model for each in (one, two, other)}
    routing.route((one, 100))
    assert routing.asked == [(content[one], 7, [])]
    routing.route((one, 80), (both, 20))
    assert routing.asked[1:] == [(content[two], 7, [one])]
    assert (routing.compiled(one), routing.compiled(two)) == (ADMITTED, ADMITTED)
    assert [routing.compiled(each) for each in (both, other)] == [None, None]
    assert routing.routed() == [one, both]


def test_a_form_of_another_nenrin_is_compiled_anew_before_it_is_routed(platform: Platform) -> None:
    routing = Routing(platform)
    one = routing.fit("one")
    with platform.units.write("dev", 1) as unit:
        platform.registry.note(unit, one, {"compiled": {**ADMITTED, "form": FORM + 1}})
    routing.route((one, 100))
    assert [routed for *_, routed in routing.asked] == [[]]
    assert routing.compiled(one) == ADMITTED


def test_what_was_decided_is_compiled_then_and_its_route_waits_for_nothing(
    platform: Platform,
) -> None:
    routing = Routing(platform)
    one, two = routing.fit("one"), routing.fit("two")
    routing.route((one, 100))
    routing.state.pending = Promotion(version=two, at=HOUR, stages=(100,), ring=1)
    routing.outcome = {"form": 0, "admitted": False, "why": "there is no C compiler here"}
    routing.journal.commit(Step(at=2), routing.state)
    assert routing.compiled(two) == routing.outcome
    assert routing.routed() == [one]
    routing.state.pending = None
    routing.route((two, 100))
    assert len(routing.asked) == 2
    assert routing.routed() == [two]


def test_going_back_and_a_persons_word_wait_for_nothing(platform: Platform) -> None:
    routing = Routing(platform)
    one, two, three = routing.fit("one"), routing.fit("two"), routing.fit("three")
    routing.route((one, 100), by_hand=True)
    routing.route((two, 100))
    routing.route((one, 100), bad=two)
    routing.route((three, 100), by_hand=True)
    assert routing.routed() == [three]
    assert len(routing.asked) == 1
    assert [routing.compiled(each) for each in (one, three)] == [None, None]


def test_a_backtest_compiles_nothing(platform: Platform) -> None:
    routing = Routing(platform, "backtest/b")
    one = routing.fit("one")
    routing.route((one, 100))
    assert (routing.asked, routing.routed()) == ([], [one])


def test_who_was_overtaken_while_it_compiled_notes_nothing(platform: Platform) -> None:
    routing = Routing(platform)
    one, two = routing.fit("one"), routing.fit("two")
    routing.route((one, 100))
    routing.state.written -= 1
    with pytest.raises(OvertakenError):
        routing.route((two, 100))
    assert len(routing.asked) == 2
    assert routing.compiled(two) is None
    assert routing.routed() == [one]
