"""From rows to answers: version by key, features, model, prediction log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import msgspec
from starlette.responses import Response

from nenrin.core.errors import NenrinError
from nenrin.serving.answered import AnsweredRequest, prediction_ids
from nenrin.serving.deployments import Deployment
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.asking import First
from nenrin.serving.plane.batching import WAIT_SECONDS
from nenrin.serving.plane.keys import keys_of, texts_of
from nenrin.serving.plane.questions import Answer, Question
from nenrin.serving.plane.served import Served
from nenrin.training.records import Records

_logger = logging.getLogger(__name__)


class Answers(msgspec.Struct, frozen=True):
    """The answers to a request's rows, in their order.

    Attributes:
        values: what the model said: numbers or texts.
        versions: who said it.
        ids: the prediction's id; a label may be sent by it.
    """

    values: list[Any]
    versions: list[str]
    ids: list[str]

    def part(self, start: int, end: int) -> Answers:
        """Those to some of the rows."""
        return Answers(self.values[start:end], self.versions[start:end], self.ids[start:end])


class Dealt(msgspec.Struct, frozen=True):
    """Requests whose rows have been dealt to versions.

    Attributes:
        rows: as the deployment's reader made them, one request after the other.
        sizes: how many rows each request has.
        started: when each was there, by the log's timer.
        keys: of each row; empty where the client sent none.
        texts: what each sticks by; empty where the client named the version.
        picked: index of each row's version.
    """

    rows: Records
    sizes: list[int]
    started: list[float]
    keys: list[str]
    texts: list[str]
    picked: list[int]

    @property
    def index(self) -> int | None:
        """The version of all rows, where no client named it; None: there are several, or one did."""
        picked = self.picked
        return picked[0] if self.texts and picked.count(picked[0]) == len(picked) else None

    @property
    def each(self) -> Sequence[int | None]:
        """For each request the version of all its rows; None: there are several."""
        picked, sizes = self.picked, self.sizes
        if len(sizes) == len(picked):
            return picked
        ends = accumulate(sizes)
        own = [picked[end - size : end] for size, end in zip(sizes, ends, strict=True)]
        return [one[0] if one.count(one[0]) == len(one) else None for one in own]

    def part(self, places: Sequence[int]) -> Dealt:
        """Some of the requests."""
        rows = places
        if len(self.sizes) < len(self.picked):
            starts = [*accumulate(self.sizes, initial=0)]
            rows = [row for place in places for row in range(starts[place], starts[place + 1])]
        return Dealt(
            self.rows.take(rows),
            [self.sizes[place] for place in places],
            [self.started[place] for place in places],
            [self.keys[row] for row in rows],
            [self.texts[row] for row in rows] if self.texts else [],
            [self.picked[row] for row in rows],
        )

    def cut(self, place: int) -> tuple[Dealt, Dealt]:
        """The requests before that place, and those from it on."""
        row = sum(self.sizes[:place])
        before = self._span(slice(place), slice(row))
        return before, self._span(slice(place, None), slice(row, None))

    def _span(self, requests: slice, rows: slice) -> Dealt:
        return Dealt(
            self.rows[rows],
            self.sizes[requests],
            self.started[requests],
            self.keys[rows],
            self.texts[rows],
            self.picked[rows],
        )


class Asked(msgspec.Struct, frozen=True):
    """A request, read: its rows, and how its protocol writes the answers."""

    rows: Records
    write: Callable[[Answers], dict[str, Any] | Response]


Done = Callable[[Answers | NenrinError], None]


def deal(
    served: Served,
    rows: Records,
    sizes: list[int],
    started: list[float],
    *,
    version: str | None = None,
    sticky: Sequence[str | None] = (),
) -> Dealt:
    """Deal the rows of requests to versions.

    Args:
        served: the deployment.
        rows: what its reader made of them, one request after the other.
        sizes: how many rows each has.
        started: when each was there, by the log's timer.
        version: have this version answer, instead of the one that a key is dealt to.
        sticky: what all rows of each request stick by, where a header says so; None: each by its own.

    Raises:
        NotFoundError: ``version`` is not one of those that are served.
    """
    keys = keys_of(served, rows)
    if version is not None:
        picked = [served.index(version)] * len(keys)
        return Dealt(rows, sizes, started, keys, [], picked)
    said = [text or "" for text, size in zip(sticky, sizes, strict=False) for _ in range(size)]
    if said and all(said):
        texts = said
    else:
        texts = texts_of(served, keys, rows)
        if any(said):
            texts = [one or own for one, own in zip(said, texts, strict=True)]
    alone = len(served.runtimes) == 1
    picked = [0] * len(keys) if alone else served.router.pick_each(texts)
    return Dealt(rows, sizes, started, keys, texts, picked)


def ask(
    served: Served,
    asked: Dealt,
    log: LiveLog,
    done: Done,
    within: float,
    *,
    gathered: bool = False,
) -> None:
    """Have a request answered, and the answers logged; or several that one version answers, as one.

    A version that fails leaves the rows of a lone request to others (:mod:`nenrin.serving.plane.asking`).
    Several fail together: another's rows may be at fault, so each is to be asked alone then.

    Args:
        served: the deployment.
        asked: one request; or several of one :attr:`Dealt.index`.
        log: where predictions are kept.
        done: told the answers to all rows, or why there are none, once.
        within: seconds that it may take.
        gathered: what else came in this turn of the loop is in it.

    Raises:
        UnavailableError: too many rows are waiting.
        RequestError: a row's time is none that can be told.
    """
    now = served.now
    question = served.questions(asked.rows, now, requests=len(asked.sizes))
    who = _Who(asked.picked, [*asked.picked], forced=not asked.texts)

    def answered(found: Answer | NenrinError) -> None:
        if isinstance(found, NenrinError):
            done(found)
            return
        try:
            request = _request(served, question, asked, who, found, log, now)
            scoring, rules, tell = served.scoring, served.deployment, done
            if scoring is not None and not who.forced:
                tell = _first(done, partial(scoring.offer, request, question, rules))
            _keep(request, found, who.picked, rules, log, tell)
        except Exception:  # else whoever asked would wait for ever
            _logger.exception("an answer of %s could not be given", served.deployment.name)
            done(NenrinError("the answer could not be given", hint="the plane's log has why"))

    if who.forced:
        served.runtimes[asked.picked[0]].ask(question, answered, within)
    elif len(asked.sizes) == 1:
        served.asking.ask(question, asked.texts, who.picked, answered, within, gathered=gathered)
    else:
        firsts = [] if served.asking.only else _firsts(asked)
        served.asking.together(question, asked.picked[0], firsts, answered, within)


def _firsts(asked: Dealt) -> list[First]:
    """The first row of each request."""
    starts = accumulate(asked.sizes, initial=0)
    return [
        First(start, asked.texts[start], size > 1)
        for start, size in zip(starts, asked.sizes, strict=False)
    ]


def _first(done: Done, then: Callable[[], None]) -> Done:
    """Tells an answer; after that, of one that is no error, does ``then``."""

    def told(found: Answers | NenrinError) -> None:
        done(found)
        if not isinstance(found, NenrinError):
            then()

    return told


async def answer(
    served: Served,
    rows: Records,
    log: LiveLog,
    *,
    version: str | None = None,
    within: float = WAIT_SECONDS,
    sticky: str | None = None,
) -> Answers:
    """The same, awaited.

    Raises:
        NotFoundError: ``version`` is not one of those that are served.
        UnavailableError: too many rows are waiting, or it took too long.
        StepError: the champion, or the version that was named, failed on the rows.
    """
    future: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()

    def done(found: Answers | NenrinError) -> None:
        if future.done():
            return
        if isinstance(found, NenrinError):
            future.set_exception(found)
        else:
            future.set_result(found)

    dealt = deal(served, rows, [len(rows)], [log.timer.wall()], version=version, sticky=[sticky])
    ask(served, dealt, log, done, within)
    return await future


def sticky_of(served: Served, headers: Mapping[str, str]) -> str | None:
    """What a request's rows stick by, where a header says so (lower-case names)."""
    header = served.deployment.request.sticky_header
    return headers.get(header.lower()) if header else None


class _Who(msgspec.Struct, frozen=True):
    """Who each row was dealt to, who answered it, and whether the client chose."""

    dealt: list[int]
    picked: list[int]
    forced: bool


def _keep(
    request: AnsweredRequest,
    found: Answer,
    picked: list[int],
    rules: Deployment,
    log: LiveLog,
    done: Done,
) -> None:
    """Have a request logged, and tell its answers: of a durable log, once they are on the disk."""
    versions = [request.variants[place].version for place in picked]
    answers = Answers(found.values, versions, request.ids)
    try:
        kept = log.append(request, rules)
    except NenrinError as error:
        done(error)
        return
    if kept is None:
        done(answers)
        return

    def told(kept: asyncio.Future[None]) -> None:
        error = kept.exception()
        done(error if isinstance(error, NenrinError) else answers)

    kept.add_done_callback(told)


def _request(
    served: Served,
    question: Question,
    asked: Dealt,
    who: _Who,
    found: Answer,
    log: LiveLog,
    now: int,
) -> AnsweredRequest:
    """What the log keeps of answered requests."""
    name, rows = served.deployment.name, len(question.rows)
    ended = log.timer.wall()
    latency: float | list[float] = ended - asked.started[0]
    if len(asked.sizes) > 1:
        latency = [ended - started for started in asked.started]
        if len(latency) < rows:
            each = zip(latency, asked.sizes, strict=True)
            latency = [seconds for seconds, size in each for _ in range(size)]
    first = log.issue(rows)
    passed = found.features if isinstance(found.features, Records) else None
    seen = None if passed is None or passed.of is not question.rows else passed.names
    return AnsweredRequest(
        deployment=name,
        variants=served.asking.variants,
        picked=who.picked if any(who.picked) else (),
        dealt=who.dealt if who.dealt != who.picked else (),
        forced=who.forced,
        first=first,
        ids=prediction_ids(name, now, log.worker, first, rows),
        keys=asked.keys if any(asked.keys) else (),
        asked=found.asked if found.asked.count(now) < rows else (),
        at=now,
        values=found.values,
        rows=question.rows,
        features=found.features if seen is None else None,
        seen=seen,
        ages=found.ages,
        latency=latency,
    )
