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
    """A request whose rows have been dealt to versions.

    Attributes:
        rows: as the deployment's reader made them.
        started: when it was read, by the log's timer.
        keys: of each row; empty where the client sent none.
        texts: what each sticks by; empty where the client named the version.
        picked: index of each row's version.
    """

    rows: Records
    started: float
    keys: list[str]
    texts: list[str]
    picked: list[int]

    @property
    def index(self) -> int | None:
        """The version of all rows, where the client did not name it; None: there are several, or it did."""
        picked = self.picked
        return picked[0] if self.texts and picked.count(picked[0]) == len(picked) else None


class Asked(msgspec.Struct, frozen=True):
    """A request, read: its rows, and how its protocol writes the answers."""

    rows: Records
    write: Callable[[Answers], dict[str, Any] | Response]


VERSION = b"x-nenrin-version"
"""The header by which a client names the version that is to answer."""

Done = Callable[[Answers | NenrinError], None]


def deal(
    served: Served,
    rows: Records,
    started: float,
    *,
    version: str | None = None,
    sticky: str | None = None,
) -> Dealt:
    """Deal a request's rows to versions.

    Args:
        served: the deployment.
        rows: what its reader made of the request.
        started: when it was read, by the log's timer.
        version: have this version answer, instead of the one that a key is dealt to.
        sticky: what all rows stick by; None: each by its own.

    Raises:
        NotFoundError: ``version`` is not one of those that are served.
    """
    keys = keys_of(served, rows)
    size = len(keys)
    if version is not None:
        return Dealt(rows, started, keys, [], [served.index(version)] * size)
    texts = [sticky] * size if sticky else texts_of(served, keys, rows)
    if len(served.runtimes) == 1:
        picked = [0] * size
    elif sticky:
        picked = [served.router.pick(sticky)] * size
    else:
        picked = [served.router.pick(text) for text in texts]
    return Dealt(rows, started, keys, texts, picked)


def ask(served: Served, requests: Sequence[Dealt], log: LiveLog, done: Done, within: float) -> None:
    """Have a request answered, and the answers logged; or several that one version answers, as one.

    A version that fails leaves the rows of a lone request to others (:mod:`nenrin.serving.plane.asking`).
    Several fail together: another's rows may be at fault, so each is to be asked alone then.

    Args:
        served: the deployment.
        requests: one; or several of one :attr:`Dealt.index` whose rows join.
        log: where predictions are kept.
        done: told the answers to all rows, or why there are none, once.
        within: seconds that it may take.

    Raises:
        UnavailableError: too many rows are waiting.
        RequestError: a row's time is none that can be told.
    """
    now = served.now
    rows = Records.joined([each.rows for each in requests])
    question = served.questions(rows, now, requests=len(requests))
    first = requests[0]
    alone, forced = len(requests) == 1, not first.texts
    dealt = first.picked if alone else first.picked[:1] * len(question.rows)
    who = _Who(dealt, list(dealt), forced=forced)

    def answered(found: Answer | NenrinError) -> None:
        if isinstance(found, NenrinError):
            done(found)
            return
        try:
            request = _request(served, question, requests, who, found, log, now)
            scoring, rules, tell = served.scoring, served.deployment, done
            if scoring is not None and not who.forced:
                tell = _first(done, partial(scoring.offer, request, question, rules))
            _keep(request, found, who.picked, rules, log, tell)
        except Exception:  # else whoever asked would wait for ever
            _logger.exception("an answer of %s could not be given", served.deployment.name)
            done(NenrinError("the answer could not be given", hint="the plane's log has why"))

    if forced:
        served.runtimes[dealt[0]].ask(question, answered, within)
    elif alone:
        served.asking.ask(question, first.texts, who.picked, answered, within)
    else:
        served.asking.together(question, dealt[0], _firsts(requests), answered, within)


def _firsts(requests: Sequence[Dealt]) -> list[First]:
    """The first row of each."""
    starts = accumulate([len(each.keys) for each in requests], initial=0)
    return [
        First(start, each.texts[0], len(each.texts) > 1)
        for start, each in zip(starts, requests, strict=False)
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

    dealt = deal(served, rows, log.timer.wall(), version=version, sticky=sticky)
    ask(served, [dealt], log, done, within)
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
    requests: Sequence[Dealt],
    who: _Who,
    found: Answer,
    log: LiveLog,
    now: int,
) -> AnsweredRequest:
    """What the log keeps of answered requests."""
    name, rows = served.deployment.name, len(question.rows)
    keys = requests[0].keys
    ended = log.timer.wall()
    latency: float | list[float] = ended - requests[0].started
    if len(requests) > 1:
        keys = [key for each in requests for key in each.keys]
        latency = [ended - each.started for each in requests for _ in each.keys]
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
        keys=keys if any(keys) else (),
        asked=found.asked if found.asked.count(now) < rows else (),
        at=now,
        values=found.values,
        rows=question.rows,
        features=found.features if seen is None else None,
        seen=seen,
        ages=found.ages,
        latency=latency,
    )
