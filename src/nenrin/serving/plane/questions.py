"""Questions to a version and their answers, and who waits for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from nenrin.core.errors import NenrinError, UnavailableError
from nenrin.features.entities import Lookup
from nenrin.training.records import Records

_logger = logging.getLogger(__name__)


class Question(msgspec.Struct, frozen=True):
    """Rows of so many requests.

    Attributes:
        rows: raw values.
        asked: the instants (us) asked at.
        lookup: how what a row lacks is looked up.
        requests: whose they are.
        refuses: whether a text that the version's training had not seen is the client's error.
    """

    rows: Sequence[dict[str, Any]]
    asked: Sequence[int]
    lookup: Lookup | None = None
    requests: int = 1
    refuses: bool = False

    @property
    def leaves_out(self) -> bool:
        """Whether a row is looked up: where an index is to be read for it, never on the loop."""
        if self.lookup is None:
            return False
        return not isinstance(self.rows, Records) or self.rows.gaps

    def part(self, places: Sequence[int]) -> Question:
        """The rows at ``places``, in that order."""
        rows = self.rows
        return Question(
            rows.take(places) if isinstance(rows, Records) else [rows[place] for place in places],
            [self.asked[place] for place in places],
            self.lookup,
            refuses=self.refuses,
        )


class Answer(msgspec.Struct, frozen=True):
    """What the model saw of each row, and what it said.

    Attributes:
        features: what it saw; None: the rows themselves.
        values: what it said.
        ages: how old what was read was (:class:`nenrin.features.service.Seen`); None: nothing was read.
        asked: the instants asked (us): of a row that was looked up, its own.
    """

    features: Sequence[dict[str, Any]] | None
    values: list[Any]
    ages: Sequence[dict[str, float | None]] | None
    asked: Sequence[int]


Done = Callable[[Answer | NenrinError], None]


class Waiting:
    """A question that has been asked, and who is told the answer; once it is over, nobody is."""

    __slots__ = ("_done", "_timeout", "over", "question", "since", "within")

    def __init__(self, question: Question, done: Done, within: float) -> None:
        self.question = question
        self.within = within
        self.since = 0.0
        self.over = False
        self._done = done
        self._timeout: asyncio.TimerHandle | None = None

    def expire(self) -> None:
        """Have it fail when it is not answered in time."""
        if self._timeout is None:
            loop = asyncio.get_running_loop()
            self._timeout = loop.call_later(self.within, self.tell, _late(self.within))

    def tell(self, answer: Answer | NenrinError) -> None:
        """Tell the answer, unless it is over; what goes wrong there is no other question's matter."""
        if not self.over:
            self.leave()
            try:
                self._done(answer)
            except Exception:
                _logger.exception("an answer could not be given")

    def leave(self) -> None:
        """Nobody waits any more."""
        self.over = True
        if self._timeout is not None:
            self._timeout.cancel()


def split(
    passed: Callable[[Sequence[dict[str, Any]]], Records | None],
    answer: Answer,
    questions: list[Question],
) -> list[Answer | NenrinError]:
    """Each question's part of the answer to all; ``passed`` gives the columns that are handed through."""
    parts: list[Answer | NenrinError] = []
    start = 0
    for question in questions:
        end = start + len(question.rows)
        part = slice(start, end)
        # of columns that are passed through each question has its own: the log sees that they are
        seen: Sequence[dict[str, Any]] | None = passed(question.rows)
        if seen is None and answer.features is not None:
            seen = answer.features[part]
        ages = None if answer.ages is None else answer.ages[part]
        parts.append(Answer(seen, answer.values[part], ages, answer.asked[part]))
        start = end
    return parts


def cut(turn: list[Waiting], most: int) -> tuple[list[Waiting], list[Waiting]]:
    """Who is there still: first a batch of at most that many rows, but one question, then the rest."""
    here = [waiting for waiting in turn if not waiting.over]
    rows = 0
    for place, waiting in enumerate(here):
        rows += len(waiting.question.rows)
        if rows > most and place:
            return here[:place], here[place:]
    return here, []


def joined(questions: Sequence[Question]) -> Question:
    """All of them as one."""
    if len(questions) == 1:
        return questions[0]
    parts = [question.rows for question in questions]
    records = [part for part in parts if isinstance(part, Records)]
    rows: Sequence[dict[str, Any]] = (
        Records.joined(records)
        if len(records) == len(parts)
        else [row for part in parts for row in part]
    )
    asked = [at for question in questions for at in question.asked]
    last = questions[-1]
    return Question(rows, asked, last.lookup, refuses=last.refuses)


def _late(seconds: float) -> UnavailableError:
    return UnavailableError(
        f"there was no answer within {seconds * 1e3:.0f} ms",
        hint="try again, or allow more with the header X-Request-Timeout-Ms",
    )
