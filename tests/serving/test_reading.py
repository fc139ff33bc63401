"""The index of a version's rows is read once, aside, and those who need it wait."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from nenrin.core.errors import IntegrityError, StepError, UnavailableError
from nenrin.features.entities import Lookup
from nenrin.serving.plane import batching
from nenrin.serving.plane.questions import Question
from tests.serving.fakes import Constant, Echo
from tests.serving.test_batching import question, runtime


class Unread(Echo):
    """Feature state whose rows by key are to be read, which goes on until ``go`` is set."""

    unread = True

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()
        self.read_in: list[str] = []
        self.wrong: Exception | None = None

    def read(self) -> None:
        self.read_in.append(threading.current_thread().name)
        self.begun.set()
        assert self.go.wait(120)
        if self.wrong is not None:
            raise self.wrong
        self.unread = False


def by_key(rows: int = 1) -> Question:
    return msgspec.structs.replace(question(rows), lookup=Lookup(columns=("place",)))


def test_who_leaves_nothing_out_waits_for_no_index() -> None:
    features = Unread()
    loaded = runtime(Constant(0.25), features)
    loaded.warm(question())
    assert not loaded.reading.done

    async def ask() -> None:
        waiting = [asyncio.create_task(loaded.answer(by_key(rows))) for rows in (1, 2)]
        assert await asyncio.to_thread(features.begun.wait, 60)
        assert (await loaded.answer(question(3))).values == [0.25] * 3
        hasty = await asyncio.gather(loaded.answer(by_key(), 0.01), return_exceptions=True)
        assert [type(each) for each in hasty] == [UnavailableError]
        assert not any(each.done() for each in waiting)
        features.go.set()
        answers = await asyncio.gather(*waiting)
        assert [each.values for each in answers] == [[0.25], [0.25, 0.25]]
        assert (await loaded.answer(by_key())).values == [0.25]

    asyncio.run(ask())
    [thread] = features.read_in  # once for all; not on the loop, nor where batches are answered
    assert not thread.startswith(("v1", "MainThread"))
    assert loaded.reading.done
    assert not loaded._queued_rows


def test_who_waits_for_an_index_is_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "QUEUE_ROWS", 10)
    features = Unread()
    loaded = runtime(Constant(0.25), features)
    loaded.warm(question())

    async def ask() -> list[Any]:
        waiting = [asyncio.create_task(loaded.answer(by_key(8)))]
        assert await asyncio.to_thread(features.begun.wait, 60)
        waiting.append(asyncio.create_task(loaded.answer(by_key(3))))
        await asyncio.wait(waiting[1:])
        features.go.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    first, second = asyncio.run(ask())
    assert first.values == [0.25] * 8
    assert isinstance(second, UnavailableError)


def test_an_index_that_cannot_be_read_is_the_error_of_who_needs_it() -> None:
    features = Unread()
    features.go.set()
    loaded = runtime(Constant(0.25), features)
    loaded.warm(question())
    wrongs = (ValueError("no index"), StepError), (IntegrityError("torn"), IntegrityError)
    for wrong, told in wrongs:
        features.wrong = wrong
        with pytest.raises(told, match=str(wrong)):
            asyncio.run(loaded.answer(by_key()))
    assert asyncio.run(loaded.answer(question())).values == [0.25]
    features.wrong = None
    assert asyncio.run(loaded.answer(by_key())).values == [0.25]
