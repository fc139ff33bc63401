"""Answering with one loaded version: inline when it is quick, else in its own thread, in batches.

No timer fills a batch: while the thread works on one, the next forms. A request that fails does not
fail its neighbours, and a client that goes away leaves them alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np

from nenrin.core.errors import NenrinError, StepError, UnavailableError
from nenrin.core.timer import Timer
from nenrin.serving.ports import Answerer, Features
from nenrin.serving.router import Variant

INLINE_SECONDS = 0.001
BATCH_ROWS = 1_000
QUEUE_ROWS = 20_000

_SMOOTHING = 0.2


class Question(msgspec.Struct, frozen=True):
    """Rows of one request: raw values, and the instant (us) that each is asked at."""

    rows: Sequence[dict[str, Any]]
    asked: Sequence[int]


class Answer(msgspec.Struct, frozen=True):
    """What the model saw of each row, and what it said."""

    features: list[dict[str, Any]]
    values: list[Any]


class Runtime:
    """One version, loaded: its feature state and its answerer.

    Args:
        variant: the version's part in the route.
        answerer: the model.
        features: feature state; None when the model takes the request's own columns.
        timer: measures what an answer costs.
    """

    def __init__(
        self, variant: Variant, answerer: Answerer, features: Features | None, timer: Timer
    ) -> None:
        self.variant = variant
        self.version = variant.version
        self._answerer = answerer
        self._features = features
        self._waits = bool(getattr(answerer, "waits", False) or (features and features.waits))
        self._timer = timer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=variant.version)
        self._queue: deque[tuple[Question, asyncio.Future[Answer]]] = deque()
        self._queued_rows = 0
        self._busy = False
        self._call_seconds = self._row_seconds = 2 * INLINE_SECONDS  # unknown yet: not inline

    def compute(self, question: Question) -> Answer:
        """Answer here and now, in the calling thread.

        Raises:
            StepError: the model or a feature raised, or the answer has another shape.
        """
        started = self._timer.wall()
        features = self._features
        try:
            seen = (
                [dict(row) for row in question.rows]
                if features is None
                else features.rows(question.rows, question.asked)
            )
            values = _checked(self._answerer.answer_rows(seen), len(seen))
        except NenrinError:
            raise
        except Exception as error:
            raise StepError(
                f"version {self.version} failed on this request: {type(error).__name__}: {error}",
                hint="compare the request with the deployment's example",
                where=self.version,
            ) from error
        self._learn(self._timer.wall() - started, len(seen))
        return Answer(seen, values)

    def warm(self, question: Question) -> None:
        """Answer an example row thrice: it shows that the version works, and what it costs.

        Raises:
            StepError: as :meth:`compute`.
        """
        seconds = []
        for _ in range(3):
            started = self._timer.wall()
            self.compute(question)
            seconds.append(self._timer.wall() - started)
        self._call_seconds = self._row_seconds = min(seconds)

    async def answer(self, question: Question) -> Answer:
        """Answer without holding up the event loop for more than about a millisecond.

        Raises:
            UnavailableError: too many rows are waiting.
            StepError: as :meth:`compute`.
        """
        rows = len(question.rows)
        seconds = max(self._call_seconds, rows * self._row_seconds)
        if not (self._busy or self._waits) and seconds <= INLINE_SECONDS:
            return self.compute(question)
        if self._queued_rows and self._queued_rows + rows > QUEUE_ROWS:
            raise UnavailableError(
                f"{self._queued_rows} rows are waiting for version {self.version}",
                hint="try again, or send fewer requests at a time",
            )
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append((question, future))
        self._queued_rows += rows
        if not self._busy:
            self._start()
        return await future

    def _start(self) -> None:
        """Hand what waits to the thread, up to a batch of rows."""
        batch: list[tuple[Question, asyncio.Future[Answer]]] = []
        rows = 0
        while self._queue and (not batch or rows + len(self._queue[0][0].rows) <= BATCH_ROWS):
            waiting = self._queue.popleft()
            self._queued_rows -= len(waiting[0].rows)
            if not waiting[1].done():
                batch.append(waiting)
                rows += len(waiting[0].rows)
        self._busy = bool(batch)
        if batch:
            loop = asyncio.get_running_loop()
            work = self._thread.submit(self._compute_batch, [question for question, _ in batch])
            futures = [future for _, future in batch]
            work.add_done_callback(
                lambda done: loop.call_soon_threadsafe(self._finish, futures, done)
            )

    def _finish(
        self, futures: list[asyncio.Future[Answer]], work: Future[list[Answer | NenrinError]]
    ) -> None:
        for future, result in zip(futures, work.result(), strict=True):
            if future.done():
                continue
            if isinstance(result, NenrinError):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._start()

    def _compute_batch(self, questions: list[Question]) -> list[Answer | NenrinError]:
        if len(questions) > 1:
            try:
                return list(_split(self.compute(_joined(questions)), questions))
            except UnavailableError as error:
                return [error] * len(questions)  # of none of them: asking again would wait again
            except NenrinError:
                pass  # one of them is at fault: find out which
        return [self._compute_safely(question) for question in questions]

    def _compute_safely(self, question: Question) -> Answer | NenrinError:
        try:
            return self.compute(question)
        except NenrinError as error:
            return error

    def _learn(self, seconds: float, rows: int) -> None:
        self._row_seconds += _SMOOTHING * (seconds / rows - self._row_seconds)
        if rows == 1:
            self._call_seconds += _SMOOTHING * (seconds - self._call_seconds)


def _checked(answer: np.ndarray | list[Any], rows: int) -> list[Any]:
    """One plain value a row; JSON has no NaN, and no client should get one."""
    if len(answer) != rows:
        raise ValueError(f"it gave {len(answer)} answers for {rows} rows")
    if isinstance(answer, np.ndarray):
        if not np.isfinite(answer).all():
            raise ValueError("an answer is not a finite number")
        plain: list[Any] = answer.tolist()
        return plain
    return answer


def _joined(questions: list[Question]) -> Question:
    return Question(
        [row for question in questions for row in question.rows],
        [asked for question in questions for asked in question.asked],
    )


def _split(answer: Answer, questions: list[Question]) -> list[Answer]:
    parts, start = [], 0
    for question in questions:
        end = start + len(question.rows)
        parts.append(Answer(answer.features[start:end], answer.values[start:end]))
        start = end
    return parts
