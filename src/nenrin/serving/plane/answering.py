"""From rows to answers: version by key, features, model, prediction log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.batching import Answer, Question
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
    served: Served,
    rows: Sequence[Row],
    log: LiveLog,
    *,
    version: str | None = None,
    sticky: str | None = None,
) -> Answers:
    """Answer a request's rows, and have the answers logged.

    A version that fails leaves its rows to others (:mod:`nenrin.serving.plane.asking`).

    Args:
        served: the deployment.
        rows: what its reader made of the request.
        log: where predictions are kept.
        version: have this version answer, instead of the one that a key is dealt to.
        sticky: what all rows stick by; None: each by its own.

    Raises:
        NotFoundError: ``version`` is not one of those that are served.
        StepError: the champion, or the version that was named, failed on the rows.
        UnavailableError: the deployment's log is durable, and the disk refuses.
    """
    started = log.timer.wall()
    question = served.questions(rows)
    keys = [_key(served, row) for row in rows]
    if version is None:
        texts = [""] * len(rows)
        if served.asking.by_key:
            texts = [sticky or _text(served, key, row) for key, row in zip(keys, rows, strict=True)]
        dealt = [served.router.pick(text) for text in texts]
        picked = list(dealt)
        found = await served.asking.ask(question, texts, picked)
    else:
        dealt = picked = [served.index(version)] * len(rows)
        found = await served.asking.forced(question, picked[0])
    who = _Who(dealt, picked, forced=version is not None)
    request = _request(served, question, keys, who, found, log, started)
    kept = log.append(request)
    if kept is not None:
        await kept
    versions = [request.variants[place].version for place in picked]
    return Answers(found.values, versions, list(request.ids))


class _Who(msgspec.Struct, frozen=True):
    """Who each row was dealt to, who answered it, and whether the client chose."""

    dealt: list[int]
    picked: list[int]
    forced: bool


def _key(served: Served, row: Row) -> str:
    parts = [row[name] for name in served.deployment.request.key]
    return "" if not parts or None in parts else key_text(parts)


def _text(served: Served, key: str, row: Row) -> str:
    """What a row sticks to its version by: the declared column, its key, else its content."""
    by = row.get(served.deployment.request.sticky)
    if by is not None:
        return key_text([by])
    return key or msgspec.json.encode(row).decode()


def _request(
    served: Served,
    question: Question,
    keys: list[str],
    who: _Who,
    found: Answer,
    log: LiveLog,
    started: float,
) -> AnsweredRequest:
    """What the log keeps of an answered request."""
    name, now, rows = served.deployment.name, served.now, len(keys)
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
        asked=question.asked,
        at=now,
        values=found.values,
        rows=question.rows,
        features=found.features,
        latency=log.timer.wall() - started,
    )
