"""Asking the version that a row was dealt to, and whoever answers in its place.

A version that fails, or that its breaker leaves out, leaves its rows to the champion, then to the
version that the champion replaced, as long as that is loaded, then to the declared constant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from nenrin.core.errors import NenrinError, RequestError, UnavailableError
from nenrin.core.timer import Timer
from nenrin.serving.plane.batching import Answer, Question, Runtime
from nenrin.serving.plane.breaker import Breaker
from nenrin.serving.plane.observed import Counting
from nenrin.serving.router import CONSTANT, FORMER, Variant

CONSTANT_VERSION = "constant"


class _Outcome(msgspec.Struct, frozen=True):
    """What came of some rows that were dealt to one version.

    Attributes:
        by: index of who answered.
        answer: what it said; None: nobody answered.
        own: what the version that they were dealt to did: ``answered``, ``failed``, or empty where it was
            left out.
        seconds: what its answer took.
        error: where nobody answered, why.
    """

    by: int
    answer: Answer | None
    own: str
    seconds: float = 0.0
    error: NenrinError | None = None


class Asking:
    """Asks one deployment's versions.

    Args:
        runtimes: one a variant of the route, in its order.
        former: the version that the champion replaced, where it is loaded.
        constant: the declared answer where nobody else answers; None: there is none.
        breakers: by version.
        counting: what counts the requests; None: nothing is to be compared.
        timer: measures answers.

    Attributes:
        variants: those of the route; at the end those at the places ``CONSTANT`` and ``FORMER``.
    """

    def __init__(
        self,
        runtimes: Sequence[Runtime],
        *,
        former: Runtime | None,
        constant: float | str | None,
        breakers: Mapping[str, Breaker],
        counting: Counting | None,
        timer: Timer,
    ) -> None:
        self.former = former
        self._runtimes = runtimes
        self._constant = constant
        self._breakers = breakers
        self._counting = counting if self._comparable(counting) else None
        self._timer = timer
        constantly = Variant(version=CONSTANT_VERSION)
        before = constantly if former is None else former.variant
        self.variants = [*(runtime.variant for runtime in runtimes), constantly, before]

    @property
    def by_key(self) -> bool:
        """Whether it matters what a row sticks by."""
        return len(self._runtimes) > 1 or self._counting is not None

    async def forced(self, question: Question, index: int) -> Answer:
        """Ask one version, and nobody in its place; nothing is counted.

        Raises:
            NenrinError: it fails.
        """
        return await self._runtimes[index].answer(question)

    async def ask(self, question: Question, texts: Sequence[str], picked: list[int]) -> Answer:
        """Ask every row's version; ``picked`` is corrected where another answered.

        Args:
            question: the rows.
            texts: what each row sticks by; empty where that does not matter.
            picked: the index of each row's runtime.

        Raises:
            NenrinError: nobody answers; the champion's error, where it was asked.
        """
        watched = self._watched(texts[0], picked[0])
        order = list(dict.fromkeys(picked))
        if len(order) == 1:
            outcomes = [await self._group(question, order[0])]
        else:
            parts = [_part(question, _places(picked, index)) for index in order]
            asked = zip(parts, order, strict=True)
            outcomes = await asyncio.gather(*(self._group(part, index) for part, index in asked))
        if watched:
            await self._count(question, picked, outcomes[0])
        return _together(outcomes, order, picked)

    async def _group(self, question: Question, index: int) -> _Outcome:
        """Ask for rows that were dealt to one version, until somebody answers."""
        errors: dict[int, NenrinError] = {}
        outcome: _Outcome | None = None
        for candidate in self._line(index):
            if candidate == CONSTANT:
                rows = len(question.rows)
                answer = Answer([{}] * rows, [self._constant] * rows)
                outcome = _Outcome(candidate, answer, _own(index, errors))
                break
            if candidate == FORMER and isinstance(errors.get(0), UnavailableError):
                continue  # more of the load that the champion does not carry would not help
            breaker = self._breaker(candidate)
            breaker.begin()
            started = self._timer.wall()
            try:
                answer = await self._runtime(candidate).answer(question)
            except NenrinError as error:
                errors[candidate] = error
                if candidate == 0 and isinstance(error, RequestError):
                    break  # the client's own fault
                continue
            breaker.answered()
            own = "answered" if candidate == index else _own(index, errors)
            outcome = _Outcome(candidate, answer, own, self._timer.wall() - started)
            break
        if outcome is None:
            why = errors.get(0) or next(iter(errors.values()))
            return _Outcome(index, None, _own(index, errors), error=why)
        self._stepped_in(index, outcome.by, errors)
        return outcome

    def _line(self, index: int) -> Iterator[int]:
        """Who may answer, one after the other; the champion if nobody may."""
        line = list(dict.fromkeys([index, 0]))
        if self.former is not None:
            line.append(FORMER)
        allowed = [each for each in line if self._breaker(each).allows]
        if self._constant is not None:
            allowed.append(CONSTANT)
        yield from allowed or [0]

    def _stepped_in(self, index: int, by: int, errors: Mapping[int, NenrinError]) -> None:
        """Tell the breakers of those that failed at what another answered, and count what was not its own."""
        for each, error in errors.items():
            if each != 0 or not isinstance(error, UnavailableError):
                self._breaker(each).failed()
        if by != index:
            self._breaker(index).standing.instead += 1

    def _comparable(self, counting: Counting | None) -> bool:
        """Whether those that a split compares answer here: one may not have loaded."""
        if counting is None:
            return False
        split, versions = counting.split, [runtime.version for runtime in self._runtimes[:2]]
        if len(self._runtimes) > 1:
            return versions == [split.against, split.subject]
        return versions == [split.subject] and self.former is not None

    def _watched(self, text: str, index: int) -> bool:
        """Whether this request is counted: decided before it is known what comes of it.

        Not while either side is left out: what the other did meanwhile would count alone.
        """
        counting = self._counting
        if counting is None or index > 1 or not counting.fresh(text):
            return False
        counting.dealt(self._mine(index))
        split = counting.split
        return all(self._breakers[each].allows for each in (split.subject, split.against))

    async def _count(self, question: Question, picked: Sequence[int], first: _Outcome) -> None:
        """Count the first row of a request, by what the version that it was dealt to did."""
        counting, index = self._counting, picked[0]
        if counting is None or not first.own:
            return
        mine, single = self._mine(index), len(picked) == 1
        if first.own == "answered" and first.answer is not None:
            seconds = first.seconds if single else None  # the others' sizes differ
            counting.answered(mine, seconds, first.answer.values[0])
        elif picked.count(index) > 1 and (alone := await self._alone(question, index)) is not None:
            counting.answered(
                mine, None, alone.values[0]
            )  # another row of the request was at fault
        elif len(self._runtimes) > 1 or first.by == FORMER:
            counting.failed(mine)

    async def _alone(self, question: Question, index: int) -> Answer | None:
        """What a version says to the first row alone; None: it fails."""
        try:
            return await self._runtimes[index].answer(_part(question, [0]))
        except NenrinError:
            return None

    def _mine(self, index: int) -> bool:
        """Whether an index is the side that is judged: the challenger, or the champion that is alone."""
        return index == 1 or len(self._runtimes) == 1

    def _breaker(self, index: int) -> Breaker:
        return self._breakers[self._runtime(index).version]

    def _runtime(self, index: int) -> Runtime:
        if index == FORMER and self.former is not None:
            return self.former
        return self._runtimes[index]


def _own(index: int, errors: Mapping[int, NenrinError]) -> str:
    return "failed" if index in errors else ""


def _places(picked: Sequence[int], index: int) -> list[int]:
    return [place for place, each in enumerate(picked) if each == index]


def _part(question: Question, places: Sequence[int]) -> Question:
    return Question(
        [question.rows[place] for place in places], [question.asked[place] for place in places]
    )


def _together(outcomes: Sequence[_Outcome], order: Sequence[int], picked: list[int]) -> Answer:
    """The answers to all rows, in their order; ``picked`` says who gave them.

    Raises:
        NenrinError: nobody answered some of them.
    """
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    features: list[dict[str, Any]] = [{}] * len(picked)
    values: list[Any] = [None] * len(picked)
    groups = [_places(picked, index) for index in order]
    for places, outcome in zip(groups, outcomes, strict=True):
        answer = outcome.answer or Answer([], [])
        for place, seen, value in zip(places, answer.features, answer.values, strict=True):
            features[place], values[place], picked[place] = seen, value, outcome.by
    return Answer(features, values)
