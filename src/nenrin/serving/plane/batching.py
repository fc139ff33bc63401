"""Answering with one loaded version: on the loop when it is quick, else in its own thread, in batches.

No lone client waits for others. What arrives in one turn of the event loop and is quick together is one
batch; while the thread works on one, the next forms, and where a call costs much it takes in those who were
just answered and ask again. A request that fails does not fail its neighbours, and a client that goes away
leaves them alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import isfinite
from typing import Any

import numpy as np

from nenrin.core.errors import (
    NenrinError,
    RemoteRefusedError,
    RowError,
    StepError,
    UnavailableError,
)
from nenrin.core.timer import Timer
from nenrin.registry.kinds.aside import AsideError
from nenrin.registry.kinds.rows import vocabularies_of
from nenrin.serving.plane.costs import Costs
from nenrin.serving.plane.questions import Answer, Done, Question, Waiting, cut, joined, split
from nenrin.serving.plane.reading import Reading
from nenrin.serving.plane.spent import Spent
from nenrin.serving.plane.unseen import refuse_unseen
from nenrin.serving.ports import Answerer, Features
from nenrin.serving.router import Variant
from nenrin.training.records import Records

INLINE_SECONDS = 0.001
BATCH_SECONDS = 0.05
GATHER_SECONDS = 0.01  # who was answered and asks again does so sooner, or not at once
QUEUE_ROWS = 20_000
WARM_ROWS = 64
WARM_ROWS_DEAR = 8  # of what takes longer: a row may be dear, too
WARM_SECONDS = 0.5  # what takes longer is asked one row alone
WAIT_SECONDS = 30.0
_SAID = (
    500  # characters of an error: it may repeat what the client sent, and gRPC takes 8 KiB in all
)


Timed = tuple[list[Answer | NenrinError], float]
_Seen = tuple[
    Sequence[dict[str, Any]] | None, Sequence[dict[str, float | None]] | None, Sequence[int]
]


class Runtime:
    """One version, loaded: its feature state and its answerer.

    Args:
        variant: the version's part in the route.
        answerer: the model.
        features: feature state; None when the model takes the request's own columns.
        timer: measures what an answer costs.

    Attributes:
        spent: what it has done.
        bytes: what it takes of the memory; 0 where nobody limits that.
        reading: reads the index of its rows.
    """

    def __init__(
        self, variant: Variant, answerer: Answerer, features: Features | None, timer: Timer
    ) -> None:
        self.variant = variant
        self.version = variant.version
        self._answerer = answerer
        self._features = features
        self._waits = bool(getattr(answerer, "waits", False) or (features and features.waits))
        self.reading = Reading(features)
        self._passes = None if features is None else features.passes
        self._timer = timer
        self.spent = Spent()
        self.bytes = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=variant.version)
        self._turn: list[Waiting] = []
        self._queue: deque[Waiting] = deque()
        self._queued_rows = 0
        self._busy = False
        self._pausing: asyncio.TimerHandle | None = None
        self._hoped = 0
        self._costs = Costs(INLINE_SECONDS, INLINE_SECONDS)  # unknown yet: not on the loop

    def compute(self, question: Question) -> Answer:
        """Answer here and now, in the calling thread.

        Raises:
            UnseenTextError: a row has a text that training had not seen, and the question refuses that.
            RowError: the model or a view refuses a row, or an answer is not a finite number.
            StepError: the model or a view raised anything else, or the answer has another shape.
        """
        started = self._timer.wall()
        rows = question.rows
        try:
            features, ages, asked = self._seen(question)
            seen = rows if features is None else features
            if question.refuses:
                refuse_unseen(seen, vocabularies_of(self._answerer), self.version)
            values = _values(self._answerer, seen, self.version)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # code of others: panics of polars are no Exception
            failed = _failed(self.version, error)
            if failed is error:
                raise
            raise failed from error
        seconds = self._timer.wall() - started
        self._costs.learn(seconds, len(rows))
        self.spent.compute.add(seconds)
        return Answer(features, values, ages, asked)

    def reads(self, question: Question) -> bool:
        """Whether an index is to be read for a question first: never on the event loop."""
        return not self.reading.done and question.leaves_out

    def _seen(self, question: Question) -> _Seen:
        """What the model sees of the rows (None: the rows themselves), how old that is, as of when."""
        rows = question.rows
        if self._features is None:
            return None, None, question.asked
        passed = self._passed(rows)
        if passed is not None:
            return passed, None, question.asked
        seen = self._features.seen(list(rows), question.asked, question.lookup)
        return seen.features, seen.ages, seen.asked

    def _passed(self, rows: Sequence[dict[str, Any]]) -> Records | None:
        """The columns that are handed through, where features are no more than that."""
        if self._passes is None or type(rows) is not Records or rows.gaps:
            return None
        return rows.pick(self._passes)

    def expected(self, rows: int) -> float:
        """Seconds that so many rows are expected to take, together."""
        return self._costs.seconds(rows)

    @property
    def batch_rows(self) -> int:
        """How many rows a batch may have: a millisecond's on the event loop, more in the thread."""
        return self._costs.rows_in(INLINE_SECONDS) if self.quick(1) else _most(self._costs)

    def quick(self, rows: int) -> bool:
        """Whether so many rows may be answered on the event loop."""
        return not self._waits and self._costs.seconds(rows) <= INLINE_SECONDS

    def timed(self, questions: list[Question]) -> Timed:
        """Answer questions together, here and now; each its own answer or error, and the seconds of all."""
        started = self._timer.wall()
        answers = self._compute_batch(questions)
        return answers, self._timer.wall() - started

    def aside(self, questions: list[Question], done: Callable[[Timed], None]) -> None:
        """The same in the version's own thread. Not for a version that is asked as well (:meth:`ask`)."""
        loop = asyncio.get_running_loop()
        work = self._thread.submit(self.timed, questions)
        work.add_done_callback(lambda told: loop.call_soon_threadsafe(done, told.result()))

    def warm(self, question: Question) -> None:
        """Answer an example row thrice, and more of it together, as many as may be done soon.

        So it is known what it costs, and what of that is the call's: by rows of one size that never shows.

        Raises:
            StepError: as :meth:`compute`.
        """
        one = min(_seconds(self._timer, self, question) for _ in range(3))
        costs = Costs(0.0, one)
        costs.learn(one, 1)
        if one <= WARM_SECONDS:
            rows = WARM_ROWS if one <= INLINE_SECONDS else WARM_ROWS_DEAR
            many = joined([question] * rows)
            costs.learn(min(_seconds(self._timer, self, many) for _ in range(2)), len(many.rows))
        self._costs = costs
        self.spent = Spent()

    def ask(
        self,
        question: Question,
        done: Done,
        within: float = WAIT_SECONDS,
        *,
        gathered: bool = False,
    ) -> Waiting:
        """Have a question answered without holding up the event loop for more than a millisecond.

        Args:
            question: of one request, or of several.
            done: told the answer, or why there is none, once; later, or of what was gathered maybe now.
            within: seconds that it may take; then it fails as unavailable.
            gathered: what came in this turn of the loop is in it: what is quick is answered now.

        Raises:
            UnavailableError: too many rows are waiting.
        """
        waiting = Waiting(question, done, within)
        rows = len(question.rows)
        reads = self.reads(question)
        if not (self._busy or reads) and self.quick(rows):
            if gathered:
                self._answer([waiting])
                return waiting
            self._turn.append(waiting)
            if len(self._turn) == 1:
                asyncio.get_running_loop().call_soon(self._take_turn)
            return waiting
        queued = self._queued_rows + self.reading.rows
        if queued and queued + rows > QUEUE_ROWS:
            raise UnavailableError(
                f"{queued} rows are waiting for version {self.version}",
                hint="try again, or send fewer requests at a time",
            )
        if reads:
            _read_first(self.reading, self._enqueue, waiting, self.version)
        else:
            self._enqueue([waiting])
        return waiting

    async def answer(self, question: Question, within: float = WAIT_SECONDS) -> Answer:
        """The same, awaited.

        Raises:
            UnavailableError: too many rows are waiting, or it took too long.
            StepError: as :meth:`compute`.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def done(answer: Answer | NenrinError) -> None:
            if isinstance(answer, NenrinError):
                future.set_exception(answer)
            else:
                future.set_result(answer)

        waiting = self.ask(question, done, within)
        try:
            return await future
        finally:
            waiting.leave()

    def _take_turn(self) -> None:
        """Answer what came in this turn of the loop, as much as is quick; the rest in the next."""
        turn, self._turn = self._turn, []
        if self._busy:  # something slow came in the same turn: the model is asked by one at a time
            self._enqueue(turn)
            return
        batch, rest = cut(turn, self._costs.rows_in(INLINE_SECONDS))
        if rest:
            self._turn = rest
            asyncio.get_running_loop().call_soon(self._take_turn)
        self._answer(batch)

    def _answer(self, batch: Sequence[Waiting]) -> None:
        """Answer some questions on the loop; those that are not for it, in the thread once that is ready.

        One question of several requests is told so: each of them is asked alone then.
        """
        answers = self._compute_batch([waiting.question for waiting in batch])
        for waiting, answer in zip(batch, answers, strict=True):
            if isinstance(answer, AsideError) and waiting.question.requests == 1:
                _prepare(self._thread, self._enqueue, waiting, answer)
            else:
                waiting.tell(answer)

    def _enqueue(self, asked: Sequence[Waiting]) -> None:
        for waiting in asked:
            if not waiting.over:
                waiting.expire()
                waiting.since = self._timer.wall()
                self._queue.append(waiting)
                self._queued_rows += len(waiting.question.rows)
                self._hoped -= waiting.question.requests
        if not self._busy or (self._pausing is not None and self._hoped <= 0):
            self._start()

    def _start(self) -> None:
        """Hand what waits to the thread, up to a batch of rows."""
        if self._pausing is not None:
            self._pausing.cancel()
            self._pausing = None
        batch: list[Waiting] = []
        rows, most = 0, _most(self._costs)
        while self._queue and (not batch or rows + len(self._queue[0].question.rows) <= most):
            waiting = self._queue.popleft()
            self._queued_rows -= len(waiting.question.rows)
            if not waiting.over:
                self.spent.queue.add(self._timer.wall() - waiting.since)
                batch.append(waiting)
                rows += len(waiting.question.rows)
        self._busy = bool(batch)
        if batch:
            loop = asyncio.get_running_loop()
            work = self._thread.submit(self._compute_batch, [each.question for each in batch])
            work.add_done_callback(
                lambda done: loop.call_soon_threadsafe(self._finish, batch, done)
            )

    def _finish(self, batch: list[Waiting], work: Future[list[Answer | NenrinError]]) -> None:
        pause = self._pause(sum(waiting.question.requests for waiting in batch))
        if not pause:
            self._start()  # the thread goes on while the answers are written
        why = work.exception()
        results = work.result() if why is None else [_failed(self.version, why)] * len(batch)
        for waiting, result in zip(batch, results, strict=True):
            waiting.tell(result)
        if pause:
            self._pausing = asyncio.get_running_loop().call_later(pause, self._start)

    def _pause(self, answered: int) -> float:
        """Seconds that the next batch may wait for those who are answered now: up to half a call.

        Else two groups of clients take turns, each batch with half of them, and every one costs a call.
        A lone client, a quick call and a full batch wait for nobody.
        """
        call = self._costs.seconds(0)
        full = self._queued_rows >= _most(self._costs)
        self._hoped = answered
        if (answered == 1 and not self._queue) or call <= INLINE_SECONDS or full:
            return 0.0
        return min(call / 2, GATHER_SECONDS)

    def _compute_batch(self, questions: list[Question]) -> list[Answer | NenrinError]:
        if len(questions) > 1:
            try:
                return split(self._passed, self.compute(joined(questions)), questions)
            except RemoteRefusedError:
                pass  # at once: one of them is at fault there
            except UnavailableError as error:
                return [error] * len(questions)  # of none of them: asking again would wait again
            except NenrinError:
                pass  # one of them is at fault: find out which
        return [_computed(self, question) for question in questions]


def _read_first(
    reading: Reading, enqueue: Callable[[list[Waiting]], None], waiting: Waiting, version: str
) -> None:
    """Have a question wait until an index is read; others are answered meanwhile."""

    def read(why: BaseException | None) -> None:
        if why is None:
            enqueue([waiting])
        else:
            waiting.tell(_failed(version, why))

    waiting.expire()
    reading.then(read, len(waiting.question.rows))


def _prepare(
    thread: ThreadPoolExecutor,
    enqueue: Callable[[Sequence[Waiting]], None],
    waiting: Waiting,
    error: AsideError,
) -> None:
    """Have the thread get ready for a question that is not for the loop, and then answer it."""
    waiting.expire()
    loop = asyncio.get_running_loop()
    work = thread.submit(error.prepare)
    work.add_done_callback(lambda _: loop.call_soon_threadsafe(enqueue, [waiting]))


def _seconds(timer: Timer, runtime: Runtime, question: Question) -> float:
    started = timer.wall()
    runtime.compute(question)
    return timer.wall() - started


def _most(costs: Costs) -> int:
    """Rows of a batch of the thread: what 50 ms are enough for, or as many as cost what a call does."""
    return costs.rows_in(max(BATCH_SECONDS, 2 * costs.seconds(0)))


def _computed(runtime: Runtime, question: Question) -> Answer | NenrinError:
    try:
        return runtime.compute(question)
    except NenrinError as error:
        return error


def _failed(version: str, error: BaseException) -> NenrinError:
    """What a failure is told as: as a refusal, where a user's function has refused a row."""
    if isinstance(error, StepError) and ValueError.__name__ in error.raised:
        return error if isinstance(error, RowError) else _refused(version, error)
    if isinstance(error, NenrinError):
        return error
    return StepError.of(
        error,
        f"version {version} failed on this request: {type(error).__name__}: {_said(error)}",
        hint="compare the request with the deployment's example",
        where=version,
    )


def _refused(version: str, error: StepError | ValueError) -> RowError:
    found = RowError.of(
        error,
        f"version {version} refuses a row: {_said(error)}",
        hint="compare it with the deployment's example; a model may take no missing or infinite values, "
        "nor texts that it does not know",
        where=version,
    )
    if isinstance(error, StepError):
        found.raised = error.raised
    return found


def _said(error: BaseException) -> str:
    try:
        said = str(error)
        return said if len(said) <= _SAID else f"{said[:_SAID]}…"
    except Exception:  # noqa: BLE001 - an error of others, which cannot say what it is
        return "it cannot say what"


def _values(answerer: Answerer, seen: Sequence[dict[str, Any]], version: str) -> list[Any]:
    """The answers of a model, whose own ValueError is a refusal."""
    try:
        return _checked(answerer.answer_rows(seen), len(seen))
    except ValueError as error:
        raise _refused(version, error) from error


def _checked(answer: np.ndarray | list[Any], rows: int) -> list[Any]:
    """One plain value a row; what is no finite number is no answer: nobody could act on it."""
    if len(answer) != rows:
        raise TypeError(f"it gave {len(answer)} answers for {rows} rows")
    if isinstance(answer, np.ndarray):
        plain: list[Any] = answer.tolist()
        finite = all(map(isfinite, plain))
    else:
        finite = all(isfinite(value) for value in answer if isinstance(value, float))
        plain = answer
    if not finite:
        raise ValueError("an answer is not a finite number")
    return plain
