"""A shadow: a version that scores rows after another has answered them, within a budget.

Nobody waits for it. A request is offered once its answer is given; what waits is scored together, at most a
millisecond on the event loop, in the version's own thread where that is not enough. After each batch it rests
for as long as the budget says: with 25 % three times what the batch took. What does not fit in the queue
meanwhile is dropped, and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from nenrin.core.errors import NenrinError, StepError
from nenrin.core.timer import Timer
from nenrin.registry.kinds.aside import AsideError
from nenrin.serving.answered import AnsweredRequest
from nenrin.serving.deployments import Deployment
from nenrin.serving.livelog import LiveLog
from nenrin.serving.observed import Shadowed
from nenrin.serving.plane.batching import Runtime, Timed
from nenrin.serving.plane.questions import Answer, Question
from nenrin.serving.router import Shadow

ROWS = 5_000  # that may wait: what 5 ms bring at any rate that was measured
GATHER_SECONDS = 0.005  # a call costs more than a row: what comes in this time is scored together

Later = Callable[[float, Callable[[], None]], object]


class _Pair(NamedTuple):
    """A request that was answered, and is to be scored."""

    request: AnsweredRequest
    question: Question
    deployment: Deployment


class Scoring:
    """Scores for one shadow. All but the batches in the version's thread belong to the event loop.

    Args:
        shadow: as it stands in the route.
        runtime: its version, loaded for this alone.
        counts: what is told of it; changed here.
        log: where its answers are kept.
        later: calls a function in so many seconds; None: by the running event loop.
    """

    def __init__(
        self,
        shadow: Shadow,
        runtime: Runtime,
        counts: Shadowed,
        log: LiveLog,
        later: Later | None = None,
    ) -> None:
        self.shadow = shadow
        self._runtime = runtime
        self._counts = counts
        self._log = log
        self._later = later or _by_the_loop
        self._waiting: deque[_Pair] = deque()
        self._rows = 0
        self._planned = False

    @property
    def bytes(self) -> int:
        """What its version takes of the memory."""
        return self._runtime.bytes

    def offer(self, request: AnsweredRequest, question: Question, deployment: Deployment) -> None:
        """Have a deployment's answered request scored later, unless too much waits; never waits itself."""
        rows = len(question.rows)
        self._counts.offered += rows
        if self._rows + rows > ROWS:
            self._counts.dropped += rows
            return
        # nobody hears what it refuses: a text that it was not trained on is null to it
        question = msgspec.structs.replace(question, refuses=False)
        self._waiting.append(_Pair(request, question, deployment))
        self._rows += rows
        if not self._planned:
            self._planned = True
            self._later(GATHER_SECONDS, self._score)

    def _score(self) -> None:
        """Score what waits, up to a batch."""
        if not self._waiting:
            self._planned = False
            return
        batch = [self._next()]
        rows, most = len(batch[0].question.rows), self._runtime.batch_rows
        while self._waiting and rows + len(self._waiting[0].question.rows) <= most:
            batch.append(self._next())
            rows += len(batch[-1].question.rows)
        questions = [each.question for each in batch]
        here = self._runtime.quick(rows) and not any(map(self._runtime.reads, questions))
        timed = self._runtime.timed(questions) if here else None
        if timed is None or any(isinstance(answer, AsideError) for answer in timed[0]):
            self._runtime.aside(questions, partial(self._settle, batch))
        else:
            self._settle(batch, timed)

    def _settle(self, batch: Sequence[_Pair], timed: Timed) -> None:
        """Count and keep what came of a batch, and rest."""
        answers, seconds = timed
        self._counts.batches += 1
        self._counts.seconds += seconds
        self._counts.one = self._runtime.expected(1)
        for pair, answer in zip(batch, answers, strict=True):
            rows = len(pair.question.rows)
            if isinstance(answer, NenrinError):
                self._counts.failed += rows
                raised = answer.raised if isinstance(answer, StepError) else ()
                self._counts.error = next(iter(raised), type(answer).__name__)
            else:
                self._counts.scored += rows
                rules = msgspec.structs.replace(pair.deployment.log, durable=False)  # nobody waits
                asked = msgspec.structs.replace(pair.deployment, log=rules)
                self._log.append(self._record(pair.request, answer), asked)
        rest = seconds * (100 / self.shadow.budget - 1)
        self._later(
            rest if self._rows >= self._runtime.batch_rows else max(rest, GATHER_SECONDS),
            self._score,
        )

    def _record(self, request: AnsweredRequest, answer: Answer) -> AnsweredRequest:
        """What is kept: both answers under the prediction's id. Row and features have their own line."""
        rows = len(request.ids)
        return AnsweredRequest(
            deployment=request.deployment,
            variants=(self.shadow.variant,),
            first=self._log.issue(rows),
            ids=request.ids,
            keys=request.keys,
            asked=request.asked,
            at=request.at,
            values=answer.values,
            rows=[{}] * rows,
            beside=[
                (request.variants[place].version, value)
                for place, value in zip(request.answerers, request.values, strict=True)
            ],
        )

    def _next(self) -> _Pair:
        pair = self._waiting.popleft()
        self._rows -= len(pair.question.rows)
        return pair


class Shadows:
    """The log of a plane's shadows, opened when there is one: it costs others nothing.

    Args:
        folder: where.
        timer: of the log.
        keep_days: as of the prediction log.
    """

    def __init__(self, folder: Path, timer: Timer, keep_days: int = 0) -> None:
        self._folder = folder
        self._keep_days = keep_days
        self._timer = timer
        self._log: LiveLog | None = None

    def scoring(self, shadow: Shadow, runtime: Runtime, counts: Shadowed) -> Scoring:
        """What scores for one shadow.

        Raises:
            ConflictError: another process writes to the folder.
        """
        if self._log is None:
            self._log = LiveLog(self._folder, keep_days=self._keep_days, timer=self._timer)
        return Scoring(shadow, runtime, counts, self._log)

    def close(self) -> None:
        """Write what waits."""
        if self._log is not None:
            self._log.close()


def _by_the_loop(seconds: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)
