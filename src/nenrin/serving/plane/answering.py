"""From rows to answers: version by key, features, model, prediction log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from nenrin.core.errors import NenrinError
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.batching import WAIT_SECONDS, Answer, Question
from nenrin.serving.plane.keys import keys_of, texts_of
from nenrin.serving.plane.table import Served
from nenrin.serving.prediction import AnsweredRequest, prediction_ids
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


class Asked(msgspec.Struct, frozen=True):
    """A request, read: its rows, and how its protocol writes the answers."""

    rows: Records
    write: Callable[[Answers], dict[str, Any] | Response]


VERSION = b"x-nenrin-version"
"""The header by which a client names the version that is to answer."""

Done = Callable[[Answers | NenrinError], None]


def ask(
    served: Served,
    rows: Records,
    log: LiveLog,
    done: Done,
    *,
    version: str | None = None,
    within: float = WAIT_SECONDS,
    sticky: str | None = None,
) -> None:
    """Have a request's rows answered, and the answers logged.

    A version that fails leaves its rows to others (:mod:`nenrin.serving.plane.asking`).

    Args:
        served: the deployment.
        rows: what its reader made of the request.
        log: where predictions are kept.
        done: told the answers, or why there are none, once and later.
        version: have this version answer, instead of the one that a key is dealt to.
        within: seconds that it may take.
        sticky: what all rows stick by; None: each by its own.

    Raises:
        NotFoundError: ``version`` is not one of those that are served.
        UnavailableError: too many rows are waiting.
    """
    started = log.timer.wall()
    now = served.now
    question = served.questions(rows, now)
    keys = keys_of(served, rows)
    if version is not None:
        dealt = [served.index(version)] * len(rows)
        texts: list[str] = []
    else:
        texts = [sticky] * len(rows) if sticky else texts_of(served, keys, rows)
        dealt = [served.router.pick(text) for text in texts]
    who = _Who(dealt, list(dealt), forced=version is not None)

    def answered(found: Answer | NenrinError) -> None:
        if isinstance(found, NenrinError):
            done(found)
            return
        try:
            request = _request(served, question, keys, who, found, log, now, started)
            scoring = served.scoring
            if scoring is None or who.forced:
                _keep(request, log, done)
            else:
                _keep(request, log, _first(done, partial(scoring.offer, request, question)))
        except Exception:  # else whoever asked would wait for ever
            _logger.exception("an answer of %s could not be given", served.deployment.name)
            done(NenrinError("the answer could not be given", hint="the plane's log has why"))

    if version is not None:
        served.runtimes[dealt[0]].ask(question, answered, within)
    else:
        served.asking.ask(question, texts, who.picked, answered, within)


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

    ask(served, rows, log, done, version=version, within=within, sticky=sticky)
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


def _keep(request: AnsweredRequest, log: LiveLog, done: Done) -> None:
    """Have a request logged, and tell its answers: of a durable log, once they are on the disk."""
    versions = [request.variants[place].version for place in request.picked]
    answers = Answers(list(request.values), versions, list(request.ids))
    try:
        kept = log.append(request)
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
    keys: list[str],
    who: _Who,
    found: Answer,
    log: LiveLog,
    now: int,
    started: float,
) -> AnsweredRequest:
    """What the log keeps of an answered request."""
    name, rows = served.deployment.name, len(keys)
    first = log.issue(rows)
    return AnsweredRequest(
        deployment=served.deployment,
        variants=served.asking.variants,
        picked=who.picked,
        dealt=who.dealt,
        forced=who.forced,
        first=first,
        ids=prediction_ids(name, now, log.worker, first, rows),
        keys=keys,
        asked=found.asked,
        at=now,
        values=found.values,
        rows=question.rows,
        features=found.features,
        ages=found.ages,
        latency=log.timer.wall() - started,
    )
