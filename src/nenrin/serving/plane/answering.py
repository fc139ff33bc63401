"""From rows to answers: version by key, features, model, prediction log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from nenrin.serving.livelog import LiveLog, Prediction, prediction_id
from nenrin.serving.plane.batching import Answer, Question
from nenrin.serving.plane.rows import Row
from nenrin.serving.plane.table import Served
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
    """
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
    return _logged(served, question, keys, who, found, log)


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


def _logged(
    served: Served,
    question: Question,
    keys: list[str],
    who: _Who,
    found: Answer,
    log: LiveLog,
) -> Answers:
    name, now = served.deployment.name, served.now
    answers = Answers(found.values, [], [])
    for place, row in enumerate(question.rows):
        index = who.picked[place]
        number, variant = log.issue(), served.asking.variant(index)
        dealt = served.asking.variant(who.dealt[place]).version
        prediction = Prediction(
            number=number,
            id=prediction_id(name, keys[place], question.asked[place], number),
            deployment=name,
            version=variant.version,
            variant=index,
            key=keys[place],
            asked=question.asked[place],
            at=now,
            answer=found.values[place],
            row=row,
            features=found.features[place],
            members=variant.members,
            recalibration=variant.recalibration,
            forced=who.forced,
            instead_of="" if dealt == variant.version else dealt,
        )
        log.append(prediction)
        answers.versions.append(prediction.version)
        answers.ids.append(prediction.id)
    return answers
