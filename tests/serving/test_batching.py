from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from nenrin.core.errors import (
    RemoteRefusedError,
    RowError,
    StepError,
    UnavailableError,
)
from nenrin.core.timer import SystemTimer
from nenrin.features.entities import Lookup
from nenrin.features.service import Seen
from nenrin.registry.kinds.aside import AsideError, on_a_loop
from nenrin.serving.plane import batching
from nenrin.serving.plane.batching import Runtime
from nenrin.serving.plane.costs import Costs
from nenrin.serving.plane.questions import Answer, Question
from nenrin.serving.router import Variant
from tests.serving.fakes import Constant, Echo

ROW = {"origin": "EWR"}


def question(rows: int = 1, origin: str = "EWR") -> Question:
    return Question([{"origin": origin, "place": place} for place in range(rows)], [5] * rows)


def runtime(answerer: Any, features: Any = None) -> Runtime:
    return Runtime(Variant(version="v1"), answerer, features, SystemTimer())


def test_a_quick_version_answers_on_the_loop() -> None:
    quick = Constant(0.25)
    loaded = runtime(quick, Echo())
    loaded.warm(question())
    answer = asyncio.run(loaded.answer(question()))
    assert answer.values == [0.25]
    assert answer.features == [{"origin": "EWR", "place": 0, "asked": 5}]
    assert quick.batches == [1, 1, 1, 64, 64, 1]
    assert not loaded._busy


def test_a_slow_version_answers_in_batches_that_form_while_it_works() -> None:
    slow = Constant(0.5, seconds=0.03)
    loaded = runtime(slow)

    async def ask() -> list[Any]:
        return await asyncio.gather(*(loaded.answer(question(rows)) for rows in (1, 2, 3, 4)))

    answers = asyncio.run(ask())
    assert [len(answer.values) for answer in answers] == [1, 2, 3, 4]
    assert slow.batches == [1, 9]
    assert answers[3].features is None  # the model saw the rows themselves


def test_batches_have_a_limit_of_time() -> None:
    slow = Constant(0.5, seconds=0.001)
    loaded = runtime(slow)
    loaded._costs = Fixed(call=0.01, row=0.01)  # type: ignore[assignment]

    async def ask() -> None:
        await asyncio.gather(*(loaded.answer(question(rows)) for rows in (1, 3, 1, 9, 2)))

    asyncio.run(ask())
    assert slow.batches == [1, 4, 9, 2]


def test_a_refusal_does_not_repeat_all_that_was_sent() -> None:
    class Repeating:
        def answer_rows(self, rows: Sequence[dict[str, Any]]) -> np.ndarray:
            raise ValueError(f"unknown: {rows[0]['origin']}")

    answer = runtime(Repeating())._compute_batch([question(origin="x" * 100_000)])[0]
    assert isinstance(answer, RowError)
    assert len(answer.message) < 600


def test_warming_tells_what_of_a_dear_answer_is_the_calls() -> None:
    dear = Constant(0.5, seconds=0.02)
    loaded = runtime(dear)
    loaded.warm(question())
    assert dear.batches == [1, 1, 1, 8, 8]
    assert loaded.batch_rows > 8  # by rows of one size alone it would be two, for ever


def test_a_call_that_takes_longer_than_a_batch_should_is_made_for_many() -> None:
    dear = Constant(0.5, seconds=0.001)
    loaded = runtime(dear)
    loaded._costs = Fixed(call=0.2, row=0.01)  # type: ignore[assignment]

    async def ask() -> None:
        await asyncio.gather(*(loaded.answer(question(rows)) for rows in (1, 3, 9, 8, 2)))

    asyncio.run(ask())
    assert dear.batches == [1, 20, 2]


class Fixed(Costs):
    """Costs that learn nothing."""

    def __init__(self, call: float, row: float) -> None:
        super().__init__(call, row)

    def learn(self, seconds: float, rows: int) -> None:
        pass


def test_what_comes_in_one_turn_of_the_loop_is_a_batch() -> None:
    quick = Constant(0.25)
    loaded = runtime(quick)
    loaded._costs = Fixed(call=0.0001, row=0.0003)  # type: ignore[assignment]

    async def ask() -> list[Any]:
        return await asyncio.gather(*(loaded.answer(question(rows)) for rows in (1, 2, 1, 2)))

    answers = asyncio.run(ask())
    assert [len(answer.values) for answer in answers] == [1, 2, 1, 2]
    assert quick.batches == [3, 3]  # three rows are quick together; the rest has a turn of its own


def test_what_is_quick_waits_for_what_is_not() -> None:
    model = Constant(0.25)
    loaded = runtime(model)
    loaded._costs = Fixed(call=0.0001, row=0.0003)  # type: ignore[assignment]

    async def ask() -> list[Any]:
        return await asyncio.gather(*(loaded.answer(question(rows)) for rows in (1, 9, 2)))

    answers = asyncio.run(ask())
    assert [len(answer.values) for answer in answers] == [1, 9, 2]
    assert model.batches[0] == 9  # in the thread, and the model is asked by one at a time


def test_a_dear_call_takes_in_those_who_were_just_answered() -> None:
    dear = Constant(0.5, seconds=0.02)
    loaded = runtime(dear)
    loaded._costs = Fixed(call=0.02, row=1e-6)  # type: ignore[assignment]

    async def client() -> None:
        for _ in range(4):
            await loaded.answer(question())

    async def ask() -> None:
        await asyncio.gather(*(client() for _ in range(6)))
        while loaded._busy:  # nobody comes back, and the thread is let go
            await asyncio.sleep(0.001)

    asyncio.run(ask())
    assert sum(dear.batches) == 24
    # the first asks alone; the others are joined by whoever was answered, and nobody takes turns
    assert dear.batches[:4] == [1, 6, 6, 6]


def test_a_dear_call_waits_for_nobody_who_does_not_come_back() -> None:
    dear = Constant(0.5, seconds=0.02)
    loaded = runtime(dear)
    loaded._costs = Fixed(call=0.02, row=1e-6)  # type: ignore[assignment]

    async def ask() -> list[Any]:
        return await asyncio.gather(*(loaded.answer(question()) for _ in range(3)))

    assert [answer.values for answer in asyncio.run(ask())] == [[0.5]] * 3
    assert dear.batches == [1, 2]
    assert [loaded._pause(answered) for answered in (1, 2)] == [0.0, batching.GATHER_SECONDS]


class Leaves(Constant):
    """Leaves rows of "far" to another, whose opening goes on until it is let go."""

    def __init__(self) -> None:
        super().__init__(0.25)
        self.opens, self.let_go = threading.Event(), threading.Event()
        self.asked_in: list[str] = []

    def prepare(self) -> None:
        self.opens.set()
        assert self.let_go.wait(120)

    def answer_rows(self, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        if any(row.get("origin") == "far" for row in rows):
            if on_a_loop():
                raise AsideError(self.prepare)
            self.asked_in.append(threading.current_thread().name)
        return super().answer_rows(rows)


def test_rows_that_are_left_to_another_are_prepared_and_answered_in_the_thread() -> None:
    answerer = Leaves()
    loaded = runtime(answerer)
    loaded.warm(question())

    async def ask() -> list[Any]:
        odd = [asyncio.create_task(loaded.answer(question(2, "far"))) for _ in range(2)]
        beside = await loaded.answer(question())  # in one batch with them
        while not answerer.opens.is_set():
            await asyncio.sleep(0)
        after = await loaded.answer(question(3))  # the loop goes on, and the version with it
        assert not any(task.done() for task in odd)
        answerer.let_go.set()
        return [beside, after, *await asyncio.gather(*odd)]

    answers = asyncio.run(ask())
    assert [len(answer.values) for answer in answers] == [1, 3, 2, 2]
    assert set(answerer.asked_in) == {"v1_0"}


def test_so_are_those_that_were_gathered() -> None:
    answerer = Leaves()
    answerer.let_go.set()
    loaded = runtime(answerer)
    loaded.warm(question())

    async def ask() -> Any:
        told = asyncio.get_running_loop().create_future()
        loaded.ask(question(2, "far"), told.set_result, gathered=True)
        return await told

    assert asyncio.run(ask()).values == [0.25, 0.25]
    assert answerer.asked_in == ["v1_0"]


def test_who_waits_too_long_hears_so_and_holds_up_nobody() -> None:
    slow = Constant(0.5, seconds=0.05)
    loaded = runtime(slow)

    async def ask() -> list[Any]:
        asked = [loaded.answer(question()), loaded.answer(question(3), 0.01)]
        late = [loaded.answer(question(2))]
        return await asyncio.gather(*asked, *late, return_exceptions=True)

    first, hasty, third = asyncio.run(ask())
    assert (len(first.values), len(third.values)) == (1, 2)
    assert isinstance(hasty, UnavailableError)
    assert hasty.message == "there was no answer within 10 ms"
    assert slow.batches == [1, 2]


def test_what_is_quick_and_waits_for_what_is_not_has_its_deadline_too() -> None:
    model = Constant(0.25, seconds=0.1)
    loaded = runtime(model)
    loaded._costs = Fixed(call=0.0001, row=0.0003)  # type: ignore[assignment]

    async def ask() -> list[Any]:
        asked = [loaded.answer(question(), 0.01), loaded.answer(question(9))]
        return await asyncio.gather(*asked, return_exceptions=True)

    quick, slow = asyncio.run(ask())
    assert isinstance(quick, UnavailableError)
    assert len(slow.values) == 9
    assert model.batches == [9]


def test_an_answer_that_cannot_be_given_disturbs_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loaded = runtime(Constant(0.25))
    loaded.warm(question())

    async def ask() -> Any:
        loaded.ask(question(), lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
        return await loaded.answer(question())

    assert asyncio.run(ask()).values == [0.25]
    assert "an answer could not be given" in caplog.text


def test_a_request_at_fault_fails_alone() -> None:
    loaded = runtime(Constant(0.5, seconds=0.01))

    async def ask() -> list[Any]:
        asked = [question(), question(2), question(1, "broken"), question(3)]
        return await asyncio.gather(*map(loaded.answer, asked), return_exceptions=True)

    first, second, broken, third = asyncio.run(ask())
    assert [len(answer.values) for answer in (first, second, third)] == [1, 2, 3]
    assert isinstance(broken, RowError)
    assert broken.message == "version v1 refuses a row: no such origin"


class Refusing(Constant):
    """A model of another server, which refuses all rows it was sent together with a bad one."""

    def answer_rows(self, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        if any(row["origin"] == "broken" for row in rows):
            raise RemoteRefusedError("it answered 400")
        return super().answer_rows(rows)


def test_what_another_server_refuses_does_not_fail_its_neighbours() -> None:
    questions = [question(), question(1, "broken"), question()]
    first, second, third = runtime(Refusing(0.5)).timed(questions)[0]
    assert isinstance(second, RemoteRefusedError)
    assert [answer.values for answer in (first, third) if isinstance(answer, Answer)] == [[0.5]] * 2


@pytest.mark.parametrize("kind", [StepError, RowError])
def test_what_no_users_code_has_refused_is_no_refusal(kind: type[StepError]) -> None:
    """A ValueError of our own is an error of ours; one that is told as a user's is a refusal."""

    class Wrong(Echo):
        def seen(self, raw: Any, asked: Any, lookup: Any = None) -> Seen:
            if kind is RowError:
                raise StepError.of(ValueError("x"), "the view raised", hint="", where="here")
            raise ValueError("no such index")

    with pytest.raises(StepError) as caught:
        runtime(Constant(0.5), Wrong()).compute(question())
    assert type(caught.value) is kind
    assert caught.value.raised[0] == "ValueError"


def test_a_model_that_would_end_the_process_fails_alone() -> None:
    class Quits(Constant):
        def answer_rows(self, rows: Any) -> Any:
            sys.exit("bye")

    async def ask() -> Any:
        return await asyncio.wait_for(runtime(Quits(0.5)).answer(question()), 10)

    with pytest.raises(StepError, match="SystemExit: bye"):
        asyncio.run(ask())


def test_a_client_that_leaves_does_not_disturb() -> None:
    slow = Constant(0.5, seconds=0.02)
    loaded = runtime(slow)

    async def ask() -> Any:
        first, leaver, waiter, stayer = (
            asyncio.create_task(loaded.answer(question())) for _ in range(4)
        )
        await asyncio.sleep(0.005)
        leaver.cancel()
        first.cancel()
        await asyncio.wait([first, leaver, waiter, stayer])
        return waiter.result().values + stayer.result().values

    assert asyncio.run(ask()) == [0.5, 0.5]
    assert slow.batches == [1, 2]


def test_the_queue_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "QUEUE_ROWS", 3)
    loaded = runtime(Constant(0.5, seconds=0.02))

    async def ask() -> list[Any]:
        asked = [loaded.answer(question(rows)) for rows in (1, 2, 2)]
        return await asyncio.gather(*asked, return_exceptions=True)

    assert [type(each).__name__ for each in asyncio.run(ask())] == [
        "Answer",
        "Answer",
        UnavailableError.__name__,
    ]


class Says:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def answer_rows(self, rows: Sequence[Any]) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (np.array([0.5, 0.5]), "it gave 2 answers for 1 rows"),
        (np.array([np.nan]), "an answer is not a finite number"),
        (np.array([np.inf]), "an answer is not a finite number"),
        ([], "it gave 0 answers for 1 rows"),
        ([float("nan")], "an answer is not a finite number"),
    ],
)
def test_answers_are_checked(answer: Any, says: str) -> None:
    with pytest.raises(StepError, match=says):
        runtime(Says(answer)).compute(question())


def test_texts_are_answers_too() -> None:
    assert runtime(Says(["late"])).compute(question()).values == ["late"]


class Waiting(Echo):
    """Features of another process, which is away when there are many rows."""

    waits = True

    def __init__(self) -> None:
        self.threads: list[int] = []

    def seen(
        self, raw: Sequence[dict[str, Any]], asked: Sequence[int], lookup: Lookup | None = None
    ) -> Seen:
        self.threads.append(threading.get_ident())
        if len(raw) == 7:
            raise UnavailableError("away")
        return super().seen(raw, asked, lookup)


def test_features_that_wait_never_hold_up_the_loop() -> None:
    features = Waiting()
    loaded = runtime(Constant(0.25), features)
    loaded.warm(question())
    asyncio.run(loaded.answer(question()))
    assert features.threads[-1] != threading.get_ident()


def test_what_is_away_is_asked_once_for_a_batch() -> None:
    features = Waiting()
    loaded = runtime(Constant(0.5, seconds=0.02), features)

    async def ask() -> list[Any]:
        asked = [question(), question(3), question(4)]
        return await asyncio.gather(*map(loaded.answer, asked), return_exceptions=True)

    first, *others = asyncio.run(ask())
    assert first.values == [0.5]
    assert [type(other) for other in others] == [UnavailableError, UnavailableError]
    assert len(features.threads) == 2
