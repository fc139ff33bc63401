"""From rows to answers: version by key, features, model, prediction log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from nenrin.core.errors import NenrinError
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.batching import Answer, Question, Runtime
from nenrin.serving.plane.rows import Row
from nenrin.serving.plane.table import Served
from nenrin.serving.prediction import AnsweredRequest, prediction_ids
from nenrin.serving.router import key_text


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

    rows: list[Row]
    write: Callable[[Answers], dict[str, Any]]


async def answer(
    served: Served, rows: Sequence[Row], log: LiveLog, *, version: str | None = None
) -> Answers:
    """Answer a request's rows, and have the answers logged.

    A challenger that fails leaves its rows to the champion.

    Args:
        served: the deployment.
        rows: what its reader made of the request.
        log: where predictions are kept.
        version: have this version answer, instead of the one that a key is dealt to.

    Raises:
        NotFoundError: ``version`` is not one of those that are served.
        StepError: the champion, or the version that was named, failed on the rows.
        UnavailableError: the deployment's log is durable, and the disk refuses.
    """
    started = log.timer.wall()
    question = served.questions(rows)
    keys = [_key(served, row) for row in rows]
    if version is None:
        picked = _picked(served, keys, rows)
        found = await _ask(served.runtimes, question, picked)
    else:
        index = served.index(version)
        picked = [index] * len(rows)
        found = await served.runtimes[index].answer(question)
    request = _request(served, question, keys, picked, found, log, started)
    kept = log.append(request)
    if kept is not None:
        await kept
    versions = [request.variants[place].version for place in picked]
    return Answers(found.values, versions, list(request.ids))


def _key(served: Served, row: Row) -> str:
    parts = [row[name] for name in served.deployment.request.key]
    return "" if not parts or None in parts else key_text(parts)


def _picked(served: Served, keys: list[str], rows: Sequence[Row]) -> list[int]:
    """The runtime of every row; a row without a key sticks to a version by its content."""
    if len(served.runtimes) == 1:
        return [0] * len(rows)
    return [
        served.router.pick(key or msgspec.json.encode(row).decode())
        for key, row in zip(keys, rows, strict=True)
    ]


async def _ask(runtimes: Sequence[Runtime], question: Question, picked: list[int]) -> Answer:
    """Ask every row's runtime; ``picked`` is corrected where the champion had to step in."""
    if picked.count(picked[0]) == len(picked):
        return await _ask_one(runtimes, question, picked, range(len(picked)))
    values: list[Any] = [None] * len(picked)
    features: list[Row] = [{}] * len(picked)
    places = [
        [place for place, index in enumerate(picked) if index == group]
        for group in sorted(set(picked))
    ]
    parts = await asyncio.gather(
        *(_ask_one(runtimes, _part(question, group), picked, group) for group in places)
    )
    for group, part in zip(places, parts, strict=True):
        for place, value, seen in zip(group, part.values, part.features, strict=True):
            values[place], features[place] = value, seen
    return Answer(features, values)


async def _ask_one(
    runtimes: Sequence[Runtime], question: Question, picked: list[int], places: Sequence[int]
) -> Answer:
    index = picked[places[0]]
    try:
        return await runtimes[index].answer(question)
    except NenrinError:
        if index == 0:
            raise
    for place in places:
        picked[place] = 0
    return await runtimes[0].answer(question)


def _part(question: Question, places: Sequence[int]) -> Question:
    return Question(
        [question.rows[place] for place in places], [question.asked[place] for place in places]
    )


def _request(
    served: Served,
    question: Question,
    keys: list[str],
    picked: list[int],
    found: Answer,
    log: LiveLog,
    started: float,
) -> AnsweredRequest:
    """What the log keeps of an answered request."""
    name, now, rows = served.deployment.name, served.now, len(keys)
    first = log.issue(rows)
    return AnsweredRequest(
        deployment=served.deployment,
        variants=[runtime.variant for runtime in served.runtimes],
        picked=picked,
        first=first,
        ids=prediction_ids(name, now, log.worker, first, rows),
        keys=keys,
        asked=question.asked,
        at=now,
        values=found.values,
        rows=question.rows,
        features=found.features,
        latency=log.timer.wall() - started,
    )
