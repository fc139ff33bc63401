"""Asking the version that a row was dealt to, and whoever answers in its place.

A version that fails, or that its breaker leaves out, leaves its rows to the champion, then to the
version that the champion replaced, as long as that is loaded, then to the declared constant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from nenrin.core.errors import (
    NenrinError,
    RemoteError,
    RemoteTimeoutError,
    RequestError,
    RowError,
    UnavailableError,
    UnseenTextError,
)
from nenrin.core.timer import Timer
from nenrin.serving.plane.batching import Runtime
from nenrin.serving.plane.breaker import Breaker
from nenrin.serving.plane.observed import Counting, Spell
from nenrin.serving.plane.questions import Answer, Done, Question
from nenrin.serving.router import CONSTANT, FORMER, Variant

CONSTANT_VERSION = "constant"


class _Outcome(msgspec.Struct, frozen=True):
    """What came of some rows that were dealt to one version.

    Attributes:
        by: index of who answered.
        answer: what it said; None: nobody answered.
        own: what the version that they were dealt to did: ``answered``, ``failed``, ``late`` where it had
            no answer in time, or empty where it was left out, or lacked what the champion does not read.
        seconds: what its answer took.
        error: where nobody answered, why.
    """

    by: int
    answer: Answer | None
    own: str
    seconds: float = 0.0
    error: NenrinError | None = None


class First(NamedTuple):
    """Of one request among several: the place of its first row, what it sticks by, whether there are more."""

    place: int
    text: str
    more: bool


def by_place(variants: Sequence[Variant], former: Variant | None = None) -> list[Variant]:
    """Who may answer: the variants; at the end those at the places ``CONSTANT`` and ``FORMER``."""
    constantly = Variant(version=CONSTANT_VERSION)
    return [*variants, constantly, former or constantly]


class Asking:
    """Asks one deployment's versions.

    Args:
        runtimes: one a variant of the route, in its order.
        former: the version that the champion replaced, where it is loaded.
        constant: the declared answer where nobody else answers; None: there is none.
        breakers: by version.
        counting: what counts the requests; None: nothing is to be compared.
        timer: measures answers.
        optional: columns that only some of the versions read.

    Attributes:
        variants: those of the route; at the end those at the places ``CONSTANT`` and ``FORMER``.
        only: nobody could answer in another's place.
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
        optional: Sequence[str] = (),
    ) -> None:
        self._optional = optional
        self.former = former
        self._runtimes = runtimes
        self._constant = constant
        self._breakers = breakers
        self._counting = counting if self._comparable(counting) else None
        self.timer = timer
        self.only = len(runtimes) == 1 and former is None and constant is None
        known = [runtime.variant for runtime in runtimes]
        self.variants = by_place(known, None if former is None else former.variant)

    @property
    def by_key(self) -> bool:
        """Whether it matters what a row sticks by."""
        return len(self._runtimes) > 1 or self._counting is not None

    def ask(
        self,
        question: Question,
        texts: Sequence[str],
        picked: list[int],
        done: Done,
        within: float,
        *,
        gathered: bool = False,
    ) -> None:
        """Ask every row's version; ``picked`` is corrected where another answered.

        Args:
            question: the rows.
            texts: what each row sticks by.
            picked: the index of each row's runtime.
            done: told the answers, or why there are none (the champion's error, where it was asked).
            within: seconds that it may take.
            gathered: as of :meth:`Runtime.ask`, where nobody could answer instead.

        Raises:
            UnavailableError: too many rows are waiting, and nobody could answer instead.
        """
        if self.only:
            self._runtimes[0].ask(question, done, within, gathered=gathered)
            return
        watched = self._watched(question, First(0, texts[0], len(texts) > 1), picked[0])
        spell = self._begin(picked[0]) if watched else None
        order = list(dict.fromkeys(picked))
        outcomes: dict[int, _Outcome] = {}

        def taker(index: int) -> Callable[[_Outcome], None]:
            def take(outcome: _Outcome) -> None:
                outcomes[index] = outcome
                if len(outcomes) == len(order):
                    if watched:
                        self._count(question, picked, outcomes[order[0]], spell)
                        self._leave(spell)
                    done(_together(question, outcomes, picked))

            return take

        for index in order:
            part = question if len(order) == 1 else question.part(_places(picked, index))
            _Turn(self, part, index, within, taker(index)).go_on()

    @property
    def sound(self) -> bool:
        """Whether no version of the route is left out; else each request is asked alone."""
        routed = range(len(self._runtimes))
        return self.only or not any(self.breaker(index).standing.open for index in routed)

    def together(
        self,
        question: Question,
        index: int,
        firsts: Sequence[First],
        done: Done,
        within: float,
    ) -> None:
        """Ask one version for several requests as one; nobody answers in its place.

        Args:
            question: their rows, one request after the other.
            index: the version's.
            firsts: the first row of each.
            done: told the answers to all, or why one of them has none: then each is to be asked alone.
            within: seconds that it may take.

        Raises:
            UnavailableError: too many rows are waiting.
        """
        if self.only:
            self._runtimes[0].ask(question, done, within, gathered=True)
            return
        started, spell = self.timer.wall(), None
        counting = self._counting
        fresh = [] if counting is None else [one for one in firsts if counting.unseen(one.text)]
        if fresh:
            spell = self._begin(index)

        def take(found: Answer | NenrinError) -> None:
            if not isinstance(found, NenrinError):
                self.breaker(index).answered(question.requests)
                if fresh:
                    seconds = self.timer.wall() - started
                    self._count_all(question, index, fresh, found, seconds, spell)
            self._leave(spell)
            done(found)

        try:
            self._runtimes[index].ask(question, take, within, gathered=True)
        except BaseException:
            self._leave(spell)
            raise

    def constantly(self, question: Question) -> Answer:
        """The declared constant, for every row."""
        rows = len(question.rows)
        return Answer([{}] * rows, [self._constant] * rows, None, question.asked)

    def line(self, index: int) -> Iterator[int]:
        """Who may answer, one after the other; the champion if nobody may."""
        line = list(dict.fromkeys([index, 0]))
        if self.former is not None:
            line.append(FORMER)
        allowed = [each for each in line if self.breaker(each).allows]
        if self._constant is not None:
            allowed.append(CONSTANT)
        yield from allowed or [0]

    def lacks(self, question: Question, index: int) -> list[str]:
        """Columns that some row lacks, and that a version may read which the champion does not."""
        if index < 1 or not self._optional:
            return []
        rows = question.rows
        return [name for name in self._optional if any(row.get(name) is None for row in rows)]

    def stepped_in(
        self, question: Question, index: int, by: int, errors: Mapping[int, NenrinError]
    ) -> None:
        """Tell the breakers of those that failed at what another answered, and count what was not its own.

        Whoever is asked without a column that only it reads may fail: clients need not send it yet. A row
        that every version refuses says nothing of them, nor does a text that one was not trained on.
        """
        errors = {
            each: error for each, error in errors.items() if not isinstance(error, UnseenTextError)
        }
        if by == CONSTANT and all(isinstance(error, RowError) for error in errors.values()):
            errors = {}
        for each, error in errors.items():
            if lacking := self.lacks(question, each):
                standing = self.breaker(each).standing
                standing.lacked, standing.lacks = standing.lacked + 1, ", ".join(lacking)
            elif each != 0 or not isinstance(error, UnavailableError):
                self.breaker(each).failed()
        if by != index:
            self.breaker(index).standing.instead += 1

    def _comparable(self, counting: Counting | None) -> bool:
        """Whether those that a split compares answer here: one may not have loaded."""
        if counting is None:
            return False
        split, versions = counting.split, [runtime.version for runtime in self._runtimes[:2]]
        if len(self._runtimes) > 1:
            return versions == [split.against, split.subject]
        return versions == [split.subject] and self.former is not None

    def _watched(self, question: Question, first: First, index: int) -> bool:
        """Whether this request is counted: decided before it is known what comes of it.

        Not while either side is left out: what the other did meanwhile would count alone. Nor, once the
        challenger has failed for want of a column, what lacks that column.
        """
        counting = self._counting
        if counting is None or index > 1 or not counting.fresh(first.text):
            return False
        if len(self._runtimes) > 1 and self.breaker(1).standing.lacked:
            row = question.rows[first.place]
            if any(row.get(name) is None for name in self._optional):
                return False
        counting.dealt(self._mine(index))
        split = counting.split
        return all(self._breakers[each].allows for each in (split.subject, split.against))

    def _begin(self, index: int) -> Spell | None:
        """The spell that what is asked of an index belongs to."""
        if self._counting is None or index > 1:
            return None
        return self._counting.begin(self._mine(index))

    def _leave(self, spell: Spell | None) -> None:
        if self._counting is not None:
            self._counting.leave(spell)

    def _count(
        self, question: Question, picked: Sequence[int], first: _Outcome, spell: Spell | None
    ) -> None:
        """Count the first row of a request, by what the version that it was dealt to did."""
        counting, index = self._counting, picked[0]
        if counting is None or not first.own:
            return
        mine, single = self._mine(index), len(picked) == 1
        if first.own == "answered" and first.answer is not None:
            seconds = first.seconds if single else None  # the others' sizes differ
            counting.answered(mine, seconds, first.answer.values[0], spell)
        elif first.own == "late":
            if len(self._runtimes) > 1:  # alone, nobody is asked in its place: it is not compared
                counting.late(mine, spell)
        elif picked.count(index) > 1:
            self._count_alone(question, index, mine, first.by)
        elif len(self._runtimes) > 1 or first.by == FORMER:
            counting.failed(mine)

    def _count_all(
        self,
        question: Question,
        index: int,
        firsts: Sequence[First],
        answer: Answer,
        seconds: float,
        spell: Spell | None,
    ) -> None:
        """Count the first row of each of several requests, which one version has answered."""
        counting, mine = self._counting, self._mine(index)
        if counting is None:
            return
        for first in firsts:
            if self._watched(question, first, index):
                took = None if first.more else seconds  # the others' sizes differ
                counting.answered(mine, took, answer.values[first.place], spell)

    def _count_alone(self, question: Question, index: int, mine: bool, by: int) -> None:
        """Count the first row of a request that failed by what it brings alone: another may be at fault."""
        counting = self._counting

        def told(found: Answer | NenrinError) -> None:
            if counting is None:
                return
            if not isinstance(found, NenrinError):
                counting.answered(mine, None, found.values[0])
            elif len(self._runtimes) > 1 or by == FORMER:
                counting.failed(mine)

        with suppress(UnavailableError):  # then it is not known
            self._runtimes[index].ask(question.part([0]), told)

    def _mine(self, index: int) -> bool:
        """Whether an index is the side that is judged: the challenger, or the champion that is alone."""
        return index == 1 or len(self._runtimes) == 1

    def breaker(self, index: int) -> Breaker:
        """The breaker of who has an index."""
        return self._breakers[self.runtime(index).version]

    def runtime(self, index: int) -> Runtime:
        """Who has an index: of the route, or ``FORMER``."""
        if index == FORMER and self.former is not None:
            return self.former
        return self._runtimes[index]


class _Turn:
    """Asks one after the other for rows that were dealt to one version, until somebody answers."""

    def __init__(
        self,
        asking: Asking,
        question: Question,
        index: int,
        within: float,
        done: Callable[[_Outcome], None],
    ) -> None:
        self._asking = asking
        self._question = question
        self._index = index
        self._done = done
        self._line = asking.line(index)
        self._loop = asyncio.get_running_loop()
        self._ends = self._loop.time() + within
        self._errors: dict[int, NenrinError] = {}
        self._began = True  # nobody is told before the caller has gone on

    def go_on(self) -> None:
        """Ask the next."""
        for candidate in self._line:
            if candidate == CONSTANT:
                self._tell(candidate, self._asking.constantly(self._question))
                return
            if candidate == FORMER and isinstance(self._errors.get(0), UnavailableError):
                continue  # more of the load that the champion does not carry would not help
            try:
                self._ask(candidate)
            except NenrinError as error:
                if self._failed(candidate, error):
                    break
                continue
            self._began = False
            return
        why = self._errors.get(0) or next(iter(self._errors.values()))
        self._give(_Outcome(self._index, None, self._own(), error=why))

    def _ask(self, candidate: int) -> None:
        self._asking.breaker(candidate).begin()
        started = self._asking.timer.wall()

        def settle(found: Answer | NenrinError) -> None:
            if not isinstance(found, NenrinError):
                self._asking.breaker(candidate).answered()
                self._tell(candidate, found, self._asking.timer.wall() - started)
            elif self._failed(candidate, found):
                self._give(_Outcome(self._index, None, self._own(), error=found))
            else:
                self.go_on()

        left = max(self._ends - self._loop.time(), 0.0)
        self._asking.runtime(candidate).ask(self._question, settle, left)

    def _failed(self, candidate: int, error: NenrinError) -> bool:
        """Remember a failure; whether it is the client's own fault."""
        self._errors[candidate] = error
        return candidate == 0 and isinstance(error, RequestError)

    def _tell(self, by: int, answer: Answer, seconds: float = 0.0) -> None:
        own = "answered" if by == self._index else self._own()
        self._asking.stepped_in(self._question, self._index, by, self._errors)
        self._give(_Outcome(by, answer, own, seconds))

    def _own(self) -> str:
        error = self._errors.get(self._index)
        if error is None or self._asking.lacks(self._question, self._index):
            return ""
        return "late" if _is_late(error) else "failed"

    def _give(self, outcome: _Outcome) -> None:
        if self._began:
            self._loop.call_soon(self._done, outcome)
        else:
            self._done(outcome)


def _is_late(error: NenrinError) -> bool:
    """Whether there was no answer in time, or no room to wait: not that a version's own server failed."""
    if isinstance(error, RemoteError):
        return isinstance(error, RemoteTimeoutError)
    return isinstance(error, UnavailableError)


def _places(picked: Sequence[int], index: int) -> list[int]:
    return [place for place, each in enumerate(picked) if each == index]


def _together(
    question: Question, outcomes: Mapping[int, _Outcome], picked: list[int]
) -> Answer | NenrinError:
    """The answers to all rows, in their order; ``picked`` says who gave them."""
    for outcome in outcomes.values():
        if outcome.error is not None:
            return outcome.error
    if len(outcomes) == 1:
        [outcome] = outcomes.values()
        picked[:] = [outcome.by] * len(picked)
        return outcome.answer or Answer(None, [], None, [])
    features: list[dict[str, Any]] = [{}] * len(picked)
    values: list[Any] = [None] * len(picked)
    ages: list[dict[str, float | None]] = [{}] * len(picked)
    asked = list(question.asked)
    groups = {index: _places(picked, index) for index in outcomes}
    for index, places in groups.items():
        outcome = outcomes[index]
        answer = outcome.answer or Answer(None, [], None, [])
        seen = answer.features or [question.rows[place] for place in places]
        for n, place in enumerate(places):
            values[place], features[place], asked[place] = (
                answer.values[n],
                seen[n],
                answer.asked[n],
            )
            ages[place] = answer.ages[n] if answer.ages is not None else {}
            picked[place] = outcome.by
    return Answer(features, values, ages, asked)
