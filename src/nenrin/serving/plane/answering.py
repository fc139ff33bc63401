"""From rows to answers: version by key, features, model, prediction log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from nenrin.core.errors import NenrinError
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.batching import WAIT_SECONDS, Answer, Question, Runtime
from nenrin.serving.plane.rows import Row
from nenrin.serving.plane.table import Served
from nenrin.serving.prediction import AnsweredRequest, prediction_ids
from nenrin.serving.router import key_text
from nenrin.training.records import Records


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


Done = Callable[[Answers | NenrinError], None]
Part = Callable[[Answer | NenrinError], None]


def ask(
    served: Served,
    rows: Records,
    log: LiveLog,
    done: Done,
    *,
    version: str | None = None,
    within: float = WAIT_SECONDS,
) -> None:
    """Have a request's rows answered, and the answers logged.

    A challenger that fails leaves its rows to the champion.

    Args:
        served: the deployment.
        rows: what its reader made of the request.
        log: where predictions are kept.
        done: told the answers, or why there are none, once and later.
        version: have this version answer, instead of the one that a key is dealt to.
        within: seconds that it may take.

    Raises:
        NotFoundError: ``version`` is not one of those that are served.
        UnavailableError: too many rows are waiting.
    """
    started = log.timer.wall()
    now = served.now
    question = served.questions(rows, now)
    keys = _keys(served, rows)
    pinned = None if version is None else served.index(version)
    picked = _picked(served, keys, rows) if pinned is None else [pinned] * len(rows)

    def answered(found: Answer | NenrinError) -> None:
        if isinstance(found, NenrinError):
            done(found)
        else:
            _keep(_request(served, question, keys, picked, found, log, now, started), log, done)

    if pinned is not None:
        served.runtimes[pinned].ask(question, answered, within)
    elif picked.count(picked[0]) == len(picked):
        _ask_one(served.runtimes, question, picked, range(len(picked)), answered, within)
    else:
        _ask_several(served.runtimes, question, picked, answered, within)


async def answer(
    served: Served,
    rows: Records,
    log: LiveLog,
    *,
    version: str | None = None,
    within: float = WAIT_SECONDS,
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

    ask(served, rows, log, done, version=version, within=within)
    return await future


def _keys(served: Served, rows: Records) -> list[str]:
    """The text of every row's key; empty where a part of it was not sent."""
    names = served.deployment.request.key
    if not names or names[0] in rows.nulls:
        return [""] * len(rows)
    parts = zip(*(rows.columns[name] for name in names), strict=True)
    return ["" if None in part else key_text(part) for part in parts]


def _picked(served: Served, keys: list[str], rows: Records) -> list[int]:
    """The runtime of every row; a row without a key sticks to a version by its content."""
    if len(served.runtimes) == 1:
        return [0] * len(rows)
    pick = served.router.pick
    if "" not in keys:
        return [pick(key) for key in keys]
    return [
        pick(key or msgspec.json.encode(row).decode()) for key, row in zip(keys, rows, strict=True)
    ]


def _ask_several(
    runtimes: Sequence[Runtime], question: Question, picked: list[int], done: Part, within: float
) -> None:
    """Ask every row's runtime; ``picked`` is corrected where the champion had to step in."""
    values: list[Any] = [None] * len(picked)
    features: list[Row] = [{}] * len(picked)
    ages: list[dict[str, float | None]] = [{}] * len(picked)
    asked = list(question.asked)
    groups = [
        [place for place, index in enumerate(picked) if index == group]
        for group in sorted(set(picked))
    ]
    missing = len(groups)

    def take(places: Sequence[int], part: Answer | NenrinError) -> None:
        nonlocal missing
        missing -= 1
        if isinstance(part, NenrinError):
            missing = -1  # that is the whole answer
            done(part)
            return
        seen = part.features or [question.rows[place] for place in places]
        for n, place in enumerate(places):
            values[place], features[place], asked[place] = part.values[n], seen[n], part.asked[n]
            ages[place] = part.ages[n] if part.ages is not None else {}
        if missing == 0:
            done(Answer(features, values, ages, asked))

    def taker(places: Sequence[int]) -> Part:
        return lambda part: take(places, part) if missing > 0 else None

    try:
        for group in groups:
            _ask_one(runtimes, _part(question, group), picked, group, taker(group), within)
    except NenrinError:
        missing = -1
        raise


def _ask_one(
    runtimes: Sequence[Runtime],
    question: Question,
    picked: list[int],
    places: Sequence[int],
    done: Part,
    within: float,
) -> None:
    index = picked[places[0]]
    if index == 0:
        runtimes[0].ask(question, done, within)
        return

    clock = asyncio.get_running_loop().time
    ends = clock() + within

    def fall_back() -> None:
        for place in places:
            picked[place] = 0
        runtimes[0].ask(question, done, ends - clock())

    def settle(found: Answer | NenrinError) -> None:
        if not isinstance(found, NenrinError):
            done(found)
            return
        try:
            fall_back()
        except NenrinError as error:
            done(error)

    try:
        runtimes[index].ask(question, settle, within)
    except NenrinError:
        fall_back()


def _part(question: Question, places: Sequence[int]) -> Question:
    rows = question.rows
    return Question(
        rows.take(places) if isinstance(rows, Records) else [rows[place] for place in places],
        [question.asked[place] for place in places],
        question.lookup,
    )


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
    picked: list[int],
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
        variants=served.variants,
        picked=picked,
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
