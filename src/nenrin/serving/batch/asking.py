"""Asks a deployment about the rows of a file, as its data plane would about each of them alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from nenrin.core.errors import RequestError, StepError
from nenrin.serving.batch.rows import Batch
from nenrin.serving.plane.keys import keys_of, texts_of
from nenrin.serving.plane.questions import Answer, Question
from nenrin.serving.plane.served import Served
from nenrin.serving.router import CONSTANT
from nenrin.training.records import Records


class AnsweredRows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows and their answers, one of each a row.

    Attributes:
        numbers: of the rows in their file.
        rows: as they were read.
        asked: instants, microseconds UTC.
        keys: texts of the rows' keys, empty where a part was not given.
        dealt: places of the versions that they were dealt to, among the deployment's variants.
        picked: places of those who answered.
        features: what they saw.
        ages: how old (seconds) what each feature view read was.
        values: what they said.
    """

    numbers: Sequence[int]
    rows: Records
    asked: Sequence[int]
    keys: Sequence[str]
    dealt: Sequence[int]
    picked: Sequence[int]
    features: Sequence[Mapping[str, Any]]
    ages: Sequence[Mapping[str, float | None]]
    values: Sequence[Any]


class BadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that has no answer.

    Attributes:
        number: of the row in its file, from 1.
        error: why.
        given: the row, as it stands in the file.
    """

    number: int
    error: RequestError | StepError
    given: Any


class _Answered(msgspec.Struct, frozen=True):
    """One row: who answered, and what :class:`AnsweredRows` has of it."""

    by: int
    asked: int
    features: Mapping[str, Any]
    ages: Mapping[str, float | None]
    value: Any


def answers(served: Served, batch: Batch) -> Iterator[AnsweredRows | BadRow]:
    """The answers to a batch, in the order of its rows, those without one apart.

    Raises:
        UnavailableError: a part is not ready; no row is at fault.
    """
    if not batch.numbers:
        return
    try:
        yield _answered(served, batch)
    except (RequestError, StepError) as error:
        rows = len(batch.numbers)
        if rows == 1:
            yield BadRow(number=batch.numbers[0], error=error, given=batch.given())
            return
        # one of them is at fault: find out which
        yield from answers(served, batch.part(0, rows // 2))
        yield from answers(served, batch.part(rows // 2, rows))


def _answered(served: Served, batch: Batch) -> AnsweredRows:
    rows = batch.read(served.reader)
    question = served.questions(rows, served.now)
    keys = keys_of(served, rows)
    dealt = [served.router.pick(text) for text in texts_of(served, keys, rows)]
    found: dict[int, _Answered] = {}
    for index in sorted(set(dealt)):
        places = [place for place, each in enumerate(dealt) if each == index]
        part = question if len(places) == len(rows) else question.part(places)
        found |= zip(places, _asked(served, index, part), strict=True)
    each = [found[place] for place in range(len(rows))]
    return AnsweredRows(
        numbers=batch.numbers,
        rows=rows,
        asked=[one.asked for one in each],
        keys=keys,
        dealt=dealt,
        picked=[one.by for one in each],
        features=[one.features for one in each],
        ages=[one.ages for one in each],
        values=[one.value for one in each],
    )


def _asked(served: Served, index: int, question: Question) -> list[_Answered]:
    """The answers of the version of that index; to a row that it fails on, of the next who may answer."""
    line = list(served.asking.line(index))
    errors: dict[int, RequestError | StepError] = {}
    rows = len(question.rows)
    for by in line:
        if by == CONSTANT:
            return _each(by, question, served.asking.constantly(question))
        try:
            return _each(by, question, served.asking.runtime(by).compute(question))
        except (RequestError, StepError) as error:
            if len(line) == 1 or (rows == 1 and by == 0 and isinstance(error, RequestError)):
                raise
            if rows > 1:
                halves = [range(rows // 2), range(rows // 2, rows)]
                return [
                    one for half in halves for one in _asked(served, index, question.part(half))
                ]
            errors[by] = error
    raise errors.get(0) or next(iter(errors.values()))


def _each(by: int, question: Question, found: Answer) -> list[_Answered]:
    rows = len(question.rows)
    features = question.rows if found.features is None else found.features
    ages = [{}] * rows if found.ages is None else found.ages
    parts = zip(found.asked, features, ages, found.values, strict=True)
    return [_Answered(by, *one) for one in parts]
