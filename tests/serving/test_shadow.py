"""A shadow scores what was answered: afterwards, within its budget, and at nobody's cost but its own."""

from __future__ import annotations

import heapq
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nenrin.core.errors import RequestError
from nenrin.core.timer import SystemTimer
from nenrin.features.entities import Lookup
from nenrin.features.service import Seen
from nenrin.serving.livelog import LiveLog
from nenrin.serving.masks import LogRules
from nenrin.serving.observed import Shadowed, read_observed
from nenrin.serving.plane.batching import INLINE_SECONDS, Runtime, Timed
from nenrin.serving.plane.observed import Observer
from nenrin.serving.plane.questions import Question
from nenrin.serving.plane.shadow import ROWS, Scoring
from nenrin.serving.prediction import Prediction
from nenrin.serving.router import Shadow, Variant
from nenrin.serving.segments import read_predictions, shadow_log
from nenrin.testing.waiting import wait_until
from tests.serving.fakes import Echo, ListedRoutes, deployment
from tests.serving.kinds import INFER, ROW, SIGNATURE, KindsPlane, Telling, inputs
from tests.serving.logging_here import answered, ruled
from tests.serving.plane_here import listening

QUICK, SLOW = "shadow-quick", "shadow-slow"


def shadow(version: str = QUICK, budget: int = 25, since: int = 0) -> Shadow:
    return Shadow(variant=Variant(version=version, weight=0), budget=budget, since=since)


class World:
    """Time that passes by itself only where somebody works or waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def wall(self) -> float:
        return self.now

    def cpu(self) -> float:
        return self.now

    def epoch(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + seconds, next(self._numbers), call))

    def run(self) -> None:
        """Until nothing is due."""
        while self._due:
            at, _, call = heapq.heappop(self._due)
            self.now = max(self.now, at)
            call()


class Costly:
    """Takes what it is said to take, and remembers when it worked and how long."""

    def __init__(self, world: World, call: float, row: float) -> None:
        self.world, self.call, self.row = world, call, row
        self.worked: list[tuple[float, float]] = []

    def answer_rows(self, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        seconds = self.call + self.row * len(rows)
        self.worked.append((self.world.now, seconds))
        self.world.now += seconds
        return np.full(len(rows), 0.75)


class Here(Runtime):
    """Has no thread: what would be done there is done at once."""

    def aside(self, questions: list[Question], done: Callable[[Timed], None]) -> None:
        done(self.timed(questions))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLog]:
    log = LiveLog(tmp_path_factory.mktemp("shadow"))
    yield log
    log.close()


def scoring(
    world: World, model: Costly, log: LiveLog, budget: int = 25
) -> tuple[Scoring, Shadowed]:
    counts = Shadowed(deployment="delay", version=QUICK)
    runtime = Here(Variant(version=QUICK), model, None, world)
    runtime.warm(Question([{}], [0]))
    model.worked.clear()
    return Scoring(shadow(budget=budget), runtime, counts, log, world.later), counts


ARRIVALS = st.lists(st.tuples(st.floats(0.0, 0.02), st.integers(1, 200)), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    ARRIVALS,
    st.integers(1, 100),
    st.sampled_from([(1e-5, 1e-6), (5e-4, 1e-5), (4e-3, 2e-4), (0.08, 1e-3)]),
)
def test_it_works_no_more_than_its_budget_and_loses_no_count(
    log: LiveLog, arrivals: list[tuple[float, int]], budget: int, cost: tuple[float, float]
) -> None:
    """Between the beginnings of any two of its batches it has worked at most that part of the time."""
    world = World()
    model = Costly(world, *cost)
    scores, counts = scoring(world, model, log, budget)
    at = 0.0
    for wait, rows in arrivals:
        at += wait
        world.later(at, lambda rows=rows: _offer(scores, log, rows))
    world.run()
    offered = sum(rows for _, rows in arrivals)
    assert counts.offered == offered == counts.scored + counts.dropped
    assert counts.failed == 0
    assert counts.seconds == pytest.approx(sum(seconds for _, seconds in model.worked))
    for (began, seconds), (next_began, _) in itertools.pairwise(model.worked):
        assert seconds <= (next_began - began) * budget / 100 + 1e-9


def _offer(scores: Scoring, log: LiveLog, rows: int) -> None:
    scores.offer(answered(log, rows), Question([{}] * rows, [0] * rows), ruled())


def test_what_does_not_fit_is_dropped_and_counted(log: LiveLog) -> None:
    world = World()
    model = Costly(world, 1e-3, 1e-4)
    scores, counts = scoring(world, model, log)
    for _ in range(ROWS // 100 + 7):
        _offer(scores, log, 100)
    assert (counts.offered, counts.dropped) == (ROWS + 700, 700)
    assert model.worked == []  # nothing is scored while it is offered
    _offer(scores, log, ROWS + 1)
    world.run()
    assert counts.dropped == 700 + ROWS + 1
    assert counts.scored == ROWS


def test_quick_batches_hold_the_event_loop_for_a_millisecond(log: LiveLog) -> None:
    world = World()
    model = Costly(world, 1e-5, 1e-6)
    scores, counts = scoring(world, model, log, budget=100)
    for _ in range(1_000):
        _offer(scores, log, 1)
    world.run()
    assert counts.scored == 1_000
    assert max(seconds for _, seconds in model.worked) <= INLINE_SECONDS * 1.01
    assert counts.batches < 10  # together, not one by one
    assert 0 < counts.one < INLINE_SECONDS


def test_a_text_that_it_was_not_trained_on_is_null_to_it(log: LiveLog) -> None:
    world = World()
    model: Any = Costly(world, 1e-5, 1e-6)
    model.vocabularies = {"plan": frozenset({"basic"})}
    scores, counts = scoring(world, model, log)
    rows = [{"plan": "basic"}, {"plan": "new"}]
    scores.offer(answered(log, 2), Question(rows, [0, 0], refuses=True), ruled())
    world.run()
    assert (counts.scored, counts.failed) == (2, 0)


class Unread(Echo):
    """Feature state that reads an index when it is first asked to look something up."""

    unread = True

    def seen(self, raw: Any, asked: Any, lookup: Lookup | None = None) -> Seen:
        if lookup is not None:
            self.read()
        return super().seen(raw, asked, lookup)


def test_an_index_is_read_off_the_event_loop(log: LiveLog) -> None:
    world, aside = World(), list[int]()

    class Noted(Here):
        def aside(self, questions: list[Question], done: Callable[[Timed], None]) -> None:
            aside.append(len(questions))
            super().aside(questions, done)

    runtime = Noted(Variant(version=QUICK), Costly(world, 1e-5, 1e-6), Unread(), world)
    runtime.warm(Question([{}], [0]))
    counts = Shadowed(deployment="delay", version=QUICK)
    scores = Scoring(shadow(), runtime, counts, log, world.later)
    for lookup in (None, Lookup(columns=("a",)), Lookup(columns=("a",))):
        scores.offer(answered(log, 1), Question([{}], [0], lookup), ruled())
        world.run()
    assert (counts.scored, aside) == (3, [1])


@pytest.mark.parametrize("budget", [0, -1, 101])
def test_a_budget_is_a_percentage_of_a_core(budget: int) -> None:
    with pytest.raises(RequestError, match="no budget"):
        shadow(budget=budget)


class Gated(Telling):
    """Answers three times the number; once it is closed, only after the gate was opened."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.gate, self.closed, self.opened = threading.Event(), False, []
        self._seconds = seconds

    def answer_rows(self, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        if self._seconds:
            SystemTimer().sleep(self._seconds)
        if self.closed:
            self.opened.append(self.gate.wait(20))
        if any(row["s"] == "poison" for row in rows):
            raise ValueError("it broke")
        return 1.5 * super().answer_rows(rows)


class Doors:
    """A plane on real ports whose route has a shadow."""

    def __init__(self, kinds: KindsPlane, folder: Path) -> None:
        self.kinds = kinds
        self.folder = folder / "predictions"
        self.models = {QUICK: Gated(0.0), SLOW: Gated(0.005)}
        model = kinds.loader.model
        kinds.loader.open = lambda variant: self.models.get(variant.version, model)  # type: ignore[method-assign]

    def serve(self, version: str, **said: Any) -> None:
        plain = deployment("version-1", name="kinds", request=SIGNATURE, example=ROW, **said)
        route = msgspec.structs.replace(plain.route, shadow=shadow(version, budget=100))
        self.kinds.routes.listed = [msgspec.structs.replace(plain, route=route)]
        self.kinds.table.refresh()
        assert self.kinds.table.problems == {}

    @property
    def counts(self) -> Shadowed:
        [counts] = self.kinds.table.observer.observed().shadows
        return counts

    def settled(self, rows: int) -> None:
        counts = self.counts
        wait_until(lambda: counts.scored + counts.dropped + counts.failed == rows)

    def pairs(self, number: int) -> list[Prediction]:
        found: list[Prediction] = []

        def written() -> bool:
            found[:] = read_predictions(shadow_log(self.folder))
            return len(found) >= number

        wait_until(written)
        return found


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    return Doors(KindsPlane(tmp_path), tmp_path)


def _hot(http: str, **row: Any) -> str:
    answer = httpx2.post(f"http://{http}{INFER}", json={"inputs": inputs(**row)}, timeout=120)
    return _id(answer)


def _app(http: str) -> str:
    """A body of unknown length is read by the app."""
    body = json.dumps({"inputs": inputs()}).encode()
    answer = httpx2.post(f"http://{http}{INFER}", content=iter([body]), timeout=120)
    return _id(answer)


def _id(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    outputs = {each["name"]: each["data"] for each in answer.json()["outputs"]}
    assert outputs["version"] == ["version-1"]
    said: str = outputs["prediction_id"][0]
    return said


def _grpc(address: str) -> str:
    grpc = pytest.importorskip("grpc")
    from tests.serving.test_grpc import Stub, tensor

    columns = [
        tensor("id", "BYTES", bytes_contents=[b"k1"]),
        tensor("a", "FP64", fp64_contents=[1.5]),
        tensor("n", "INT64", int64_contents=[3]),
        tensor("b", "BOOL", bool_contents=[True]),
        tensor("s", "BYTES", bytes_contents=["é,x".encode()]),
        tensor("d", "BYTES", bytes_contents=[b"2024-02-29"]),
    ]
    with grpc.insecure_channel(address) as channel:
        told = Stub(channel)("ModelInfer", "", model_name="kinds", inputs=columns)
    [place] = [n for n, each in enumerate(told.outputs) if each.name == "prediction_id"]
    said: str = told.outputs[place].contents.bytes_contents[0].decode()
    return said


@pytest.mark.parametrize("version", [QUICK, SLOW])
@pytest.mark.parametrize("durable", [False, True], ids=["fast", "durable"])
@pytest.mark.parametrize("door", [_hot, _app, _grpc])
def test_a_client_has_its_answer_before_the_shadow_is_done(
    doors: Doors, door: Callable[[str], str], durable: bool, version: str
) -> None:
    """The shadow waits until the client has its answer: it would wait in vain if that were held up."""
    doors.serve(version, log=LogRules(durable=durable))
    model = doors.models[version]
    with listening(doors.kinds) as here:
        model.closed = True
        said = door(here.grpc if door is _grpc else here.http)
        model.gate.set()
        [pair] = doors.pairs(1)
        doors.settled(1)
    assert model.opened == [True]
    assert pair.id == said
    assert (pair.version, pair.answer, pair.beside) == (version, 4.5, ("version-1", 3.0))
    [logged] = read_predictions(doors.folder)
    assert (logged.id, logged.key, logged.asked) == (pair.id, pair.key, pair.asked)
    assert logged.beside is None
    assert (pair.row, pair.features) == ({}, {})
    counts = doors.counts
    assert (counts.offered, counts.scored, counts.failed, counts.dropped) == (1, 1, 0, 0)


def test_a_pair_holds_nothing_personal(doors: Doors) -> None:
    doors.serve(QUICK, log=LogRules(row={"id": "hash", "s": "hash"}))
    with listening(doors.kinds) as here:
        said = _hot(here.http)
        [pair] = doors.pairs(1)
    assert (pair.id, pair.key, pair.row) == (said, "", {})
    [line] = [path.read_text() for path in shadow_log(doors.folder).glob("0/*.ndjson")]
    assert ROW["id"] not in line.replace(said, "")
    assert not (shadow_log(doors.folder) / "personal.key").exists()


@pytest.mark.parametrize("version", [QUICK, SLOW])
def test_its_errors_are_counted_and_reach_nobody(doors: Doors, version: str) -> None:
    doors.serve(version)
    with listening(doors.kinds) as here:
        ids = [_hot(here.http, s={"data": [text]}) for text in ("a", "poison", "b")]
        doors.settled(3)
        metrics = httpx2.get(f"http://{here.http}/metrics").text
    counts = doors.counts
    assert (counts.scored, counts.failed, counts.error) == (2, 1, "ValueError")
    assert [pair.id for pair in doors.pairs(2)] == [ids[0], ids[2]]
    labels = f'deployment="kinds",outcome="failed",version="{version}"'
    assert f"nenrin_shadow_rows_total{{{labels}}} 1.0" in metrics
    assert "nenrin_shadow_seconds_total" in metrics


def test_what_a_client_named_is_not_scored(doors: Doors) -> None:
    doors.serve(QUICK)
    with listening(doors.kinds) as here:
        url, body = f"http://{here.http}/v2/models/kinds", {"inputs": inputs()}
        named = httpx2.post(f"{url}/versions/version-1/infer", json=body)
        hidden = httpx2.post(f"{url}/versions/{QUICK}/infer", json=body)
    assert (named.status_code, hidden.status_code) == (200, 404)
    assert doors.counts.offered == 0


def test_one_that_does_not_load_stops_nothing(doors: Doors) -> None:
    def opened(variant: Variant) -> Telling:
        if variant.version == QUICK:
            raise ValueError("its content is gone")
        return doors.kinds.loader.model

    doors.kinds.loader.open = opened  # type: ignore[method-assign]
    plain = deployment("version-1", name="kinds", request=SIGNATURE, example=ROW)
    route = msgspec.structs.replace(plain.route, shadow=shadow())
    doors.kinds.routes.listed = [msgspec.structs.replace(plain, route=route)]
    doors.kinds.table.refresh()
    assert doors.kinds.table.problems == {"kinds": f"shadow {QUICK}: its content is gone"}
    assert doors.kinds.table.ready
    assert doors.kinds.table.get("kinds").scoring is None
    doors.serve(SLOW)
    assert doors.kinds.table.get("kinds").scoring is not None


def test_it_goes_on_through_changes_of_the_route_and_ends_with_it(doors: Doors) -> None:
    doors.serve(QUICK)
    first = doors.kinds.table.get("kinds")
    plain = msgspec.structs.replace(first.deployment, fallback=0.5)
    doors.kinds.routes.listed = [plain]
    doors.kinds.table.refresh()
    assert doors.kinds.table.get("kinds").scoring is first.scoring
    route = msgspec.structs.replace(plain.route, shadow=None)
    doors.kinds.routes.listed = [msgspec.structs.replace(plain, route=route)]
    doors.kinds.table.refresh()
    assert doors.kinds.table.get("kinds").scoring is None
    assert doors.kinds.table.observer.observed().shadows == []


def test_counts_outlive_the_process_and_add_up(tmp_path: Path) -> None:
    files = [tmp_path / f"observed-{worker}.json" for worker in (0, 1)]
    for rows in (3, 4):  # the second begins with what the first has left
        for path in files:
            observer = Observer(path, SystemTimer())
            observer.follow(deployment("v0.1"))
            counts = observer.shadowed("delay", shadow(since=7))
            assert counts is not None
            counts.offered += rows
            counts.one = rows / 1e3
            observer.close()
    [told] = read_observed(tmp_path, "dev", "delay").shadows
    assert (told.offered, told.since, told.one) == (14, 7, 0.004)
    assert told.dropped == 6  # what waited when the first ended
    observer = Observer(files[0], SystemTimer())
    again = observer.shadowed("delay", shadow(since=8))
    assert again is not None
    assert again.offered == 0  # another beginning
    observer.close()


def test_no_file_of_an_older_plane_is_lost(tmp_path: Path) -> None:
    (tmp_path / "observed.json").write_bytes(b'{"environment":"dev","splits":[],"standings":[]}')
    assert read_observed(tmp_path, "dev", "delay").shadows == []
    assert ListedRoutes(deployment("v0.1")).routes()[0].deployment.route.shadow is None
