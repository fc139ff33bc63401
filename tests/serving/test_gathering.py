"""What came in one turn of the loop is answered as if each request had come alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.serving.masks import LogRules
from nenrin.serving.plane import gathering
from nenrin.serving.plane.breaker import IN_A_ROW
from nenrin.serving.plane.front import Exchange
from nenrin.serving.plane.gathering import Gathering
from nenrin.serving.plane.targets import Target
from nenrin.serving.signature import RequestSignature
from tests.serving.hot_here import Here, rows, values


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    here = Here(tmp_path)
    yield here
    here.observer.close()


def test_one_call_answers_all(here: Here) -> None:
    here.serve("v2")
    answers = here.ask(rows(1.0), rows(2.0, 3.0), rows(4.0))
    assert values(answers) == [[2.0], [4.0, 6.0], [8.0]]
    assert here.loader.models["v2"].batches == [4]
    ids = [each for answer in answers for each in answer.body["ids"]]
    logged = here.logged()
    assert [each.id for each in logged] == ids
    assert [each.number for each in logged] == [1, 2, 3, 4]
    assert [each.row["distance"] for each in logged] == [1.0, 2.0, 3.0, 4.0]
    assert [each.key for each in logged] == ["a1.0", "a2.0", "a3.0", "a4.0"]
    took = [each.latency_ms for each in logged]
    assert took[1] == took[2]
    assert None not in took
    assert took[0] > took[1] > took[3] > 0  # type: ignore[operator]


def test_each_is_counted(here: Here) -> None:
    here.serve("v2")
    here.ask(rows(1.0), rows(2.0, 3.0), rows(4.0))
    [spent] = [runtime.spent for runtime in here.table.get("delay").runtimes]
    assert (spent.success.count, spent.rows, spent.compute.count) == (3, 4, 1)
    told = here.plane._metrics.text().decode()
    labels = 'deployment="delay",protocol="invocations",status="200"'
    assert f"nenrin_requests_total{{{labels}}} 3.0" in told
    assert 'nenrin_predictions_total{deployment="delay",version="v2"} 4.0' in told
    assert 'nenrin_request_seconds_count{deployment="delay"} 3.0' in told


def test_a_failure_is_that_of_the_version_that_the_client_named(here: Here) -> None:
    here.serve("v2", "v3", weights=[50, 50])
    named = [{b"x-nenrin-version": version} for version in (b"v3", b"v3", b"none")]
    bodies = [[{"distance": "far"}], rows(1.0), rows(2.0)]
    answers = here.ask(*bodies, headers=named)
    assert [answer.status for answer in answers] == [400, 200, 404]
    champion, challenger = (runtime.spent for runtime in here.table.get("delay").runtimes)
    assert (challenger.fail.count, challenger.success.count) == (1, 1)
    assert champion.fail.count == 1  # of a version that is not served


def test_one_that_fails_fails_alone(here: Here) -> None:
    here.serve("v2")
    answers = here.ask(rows(1.0), rows(2.0, origin="broken"), rows(4.0))
    assert [answer.status for answer in answers] == [200, 422, 200]
    assert here.loader.models["v2"].batches[0] == 3
    assert sorted(each.row["distance"] for each in here.logged()) == [1.0, 4.0]


def test_what_cannot_be_read_is_no_part_of_it(here: Here) -> None:
    here.serve("v2")
    answers = here.ask(rows(1.0), [{"distance": "far"}], rows(4.0))
    assert [answer.status for answer in answers] == [200, 400, 200]
    assert here.loader.models["v2"].batches == [2]


def test_no_more_than_a_batch_is_asked_at_once(here: Here) -> None:
    here.serve("v2")
    [runtime] = here.table.get("delay").runtimes
    most = runtime.batch_rows
    half = [float(place) for place in range(most // 2 + 1)]
    answers = here.ask(*(rows(*half) for _ in range(3)))
    assert values(answers) == [[2 * each for each in half]] * 3
    assert here.loader.models["v2"].batches[0] == len(half)


def test_each_version_answers_its_own(here: Here) -> None:
    here.serve("v2", "v3", weights=[50, 50])
    router = here.table.get("delay").router
    asked = [rows(float(place)) for place in range(1, 40)]
    answers = here.ask(*asked)
    picked = [router.pick(each["flight_id"]) for [each] in asked]
    assert {*picked} == {0, 1}
    wanted = [[(2 + index) * (place + 1)] for place, index in enumerate(picked)]
    assert values(answers) == wanted
    assert [answer.body["versions"] for answer in answers] == [[f"v{2 + each}"] for each in picked]
    assert here.loader.models["v2"].batches == [picked.count(0)]
    assert here.loader.models["v3"].batches == [picked.count(1)]
    [split] = here.observer.observed().splits
    assert (split.mine.dealt, split.mine.answered) == (picked.count(1),) * 2
    assert (split.theirs.dealt, split.theirs.answered) == (picked.count(0),) * 2


def test_who_fails_is_counted_and_left_out_one_by_one(here: Here) -> None:
    here.serve("v2", "v3", weights=[0, 100])
    broken = [rows(float(place), origin="broken-3") for place in range(IN_A_ROW)]
    answers = here.ask(rows(77.0), *broken)
    assert [answer.body["versions"] for answer in answers] == [["v3"], *[["v2"]] * IN_A_ROW]
    served = here.table.get("delay")
    assert not served.asking.sound  # ten in a row
    [split] = here.observer.observed().splits
    assert (split.mine.dealt, split.mine.failed) == (IN_A_ROW + 1, IN_A_ROW)
    answers = here.ask(*[rows(float(place)) for place in range(5)])
    assert [answer.body["versions"] for answer in answers] == [["v2"]] * 5


def test_while_a_version_is_left_out_each_is_asked_alone_and_in_the_same_turn(
    here: Here,
) -> None:
    here.serve("v2", "v3", weights=[50, 50])
    served = here.table.get("delay")
    served.asking.breaker(1).standing.open = True
    asked: list[int] = []

    async def turn() -> None:
        gathering = Gathering(lambda each: asked.append(len(each.exchanges)), refuse)
        for _ in range(3):
            gathering.add(served, Exchange(nobody, target, {}, True, [body]))
        assert asked == []
        await asyncio.sleep(0)

    def refuse(*_: object) -> None:
        raise AssertionError

    nobody: Any = None
    target, body = Target("/invocations", "invocations", None), json.dumps(rows(1.0)).encode()
    asyncio.run(turn())
    assert asked == [1, 1, 1]


def test_others_answer_for_who_is_away(here: Here) -> None:
    here.serve("v2", "v3", weights=[0, 100])
    away = [rows(float(place), origin="away-3") for place in range(3)]
    answers = here.ask(*away)
    assert [answer.body["versions"] for answer in answers] == [["v2"]] * 3
    assert [each.instead_of for each in here.logged()] == ["v3"] * 3


def test_a_panic_is_an_answer_like_another(here: Here) -> None:
    here.serve("v2")
    answers = here.ask(rows(1.0), rows(2.0, origin="panic"), rows(3.0))
    assert [answer.status for answer in answers] == [200, 500, 200]
    assert values(here.ask(rows(4.0))) == [[8.0]]


def test_a_time_that_cannot_be_told_is_its_own_clients_matter(here: Here) -> None:
    zone = "Europe/Berlin"
    columns = {"day": pl.Date(), "distance": pl.Float64(), "origin": pl.String()}
    signature = RequestSignature.of(
        columns, known=columns, key=(), time="day", zone=zone, output="p"
    )
    example = {"day": "2013-07-01", "distance": 1.0, "origin": "EWR"}
    here.serve("v2", request=signature, example=example)
    days = ["2013-07-01", "0001-01-01", "2013-07-02"]
    answers = here.ask(*[[{**example, "day": day}] for day in days])
    assert [answer.status for answer in answers] == [200, 400, 200]


def test_where_nobody_else_is_there_all_hear_so(here: Here) -> None:
    here.serve("v3")
    answers = here.ask(*[rows(float(place), origin="away-3") for place in range(3)])
    assert [answer.status for answer in answers] == [503] * 3
    assert here.loader.models["v3"].batches == [3]


def test_a_header_or_a_name_chooses_one_by_one(here: Here) -> None:
    here.serve("v2", "v3", weights=[100, 0])
    chosen = [{b"x-nenrin-version": b"v3"}, {}, {b"x-request-timeout-ms": b"5000"}, {}]
    answers = here.ask(*[rows(float(place)) for place in range(4)], headers=chosen)
    assert [answer.body["versions"] for answer in answers] == [["v3"], ["v2"], ["v2"], ["v2"]]
    assert [each.forced for each in here.logged()].count(True) == 1


def test_those_that_say_how_long_they_wait_are_one_batch_too(here: Here) -> None:
    here.serve("v2")
    timeouts = [{b"x-request-timeout-ms": b"5000"}] * 9
    answers = here.ask(*[rows(float(place)) for place in range(9)], headers=timeouts)
    assert values(answers) == [[2.0 * place] for place in range(9)]
    assert here.loader.models["v2"].batches == [9]


def test_what_cannot_be_written_is_its_own_clients_matter(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.serve("v2")
    encode = gathering._encode

    def refusing(body: Any) -> bytes:
        if body["predictions"] == [4.0]:
            raise ValueError("it cannot be written")
        return encode(body)

    monkeypatch.setattr(gathering, "_encode", refusing)
    answers = here.ask(*[rows(float(place)) for place in range(4)])
    assert [answer.status for answer in answers] == [200, 200, 500, 200]
    assert here.loader.models["v2"].batches == [4]
    assert len(here.logged()) == 4


def test_where_a_turn_cannot_be_dealt_each_is(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    here.serve("v2")
    deal = gathering.deal

    def alone(served: Any, dealt: Any, sizes: list[int], *given: Any, **named: Any) -> Any:
        if len(sizes) > 1:
            raise RuntimeError("not together")
        return deal(served, dealt, sizes, *given, **named)

    monkeypatch.setattr(gathering, "deal", alone)
    answers = here.ask(rows(1.0), [{"distance": "far"}], rows(4.0))
    assert [answer.status for answer in answers] == [200, 400, 200]
    told = here.plane._metrics.text().decode()
    assert 'protocol="invocations",status="400"} 1.0' in told


@pytest.mark.parametrize("durable", [False, True])
def test_together_and_alone_say_the_same(tmp_path: Path, durable: bool) -> None:
    random = np.random.default_rng(5)
    asked: list[Any] = []
    for _ in range(40):
        size = int(random.integers(1, 4))
        origin = str(random.choice(["EWR", "JFK", "broken"], p=[0.5, 0.4, 0.1]))
        distances = random.integers(0, 1000, size).astype(float)
        body: Any = rows(*distances, key=str(random.integers(100)), origin=origin)
        if random.random() < 0.4:
            body = {
                "dataframe_split": {
                    "columns": [*body[0]],
                    "data": [[*row.values()] for row in body],
                }
            }
        asked.append(body)
    found = []
    for together in (True, False):
        here = Here(tmp_path / str(together))
        log = LogRules(durable=durable)
        here.serve("v2", "v3", weights=[60, 40], fallback=0.5, log=log)
        answers = here.ask(*asked, together=together)
        logged = sorted(
            (each.key, each.version, each.answer, each.instead_of, str(each.row))
            for each in here.logged()
        )
        said = [
            (answer.status, answer.body.get("predictions"), answer.body.get("versions"))
            for answer in answers
        ]
        found.append((said, logged))
        here.observer.close()
    assert found[0] == found[1]
