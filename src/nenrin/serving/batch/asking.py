"""Asks a deployment about the rows of a file, as its data plane would about each of them alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from nenrin.core.errors import RequestError, StepError
from nenrin.serving.batch.rows import Batch
from nenrin.serving.plane.batching import Question
from nenrin.serving.plane.rows import Row
from nenrin.serving.plane.table import Served, asked_at
from nenrin.serving.router import key_text


class AnsweredRows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows and their answers, one of each a row.

    Attributes:
        numbers: of the rows in their file.
        rows: as they were read.
        asked: instants, microseconds UTC.
        keys: texts of the rows' keys, empty where a part was not given.
        picked: places of those who answered among the deployment's runtimes.
        features: what they saw.
        values: what they said.
    """

    numbers: Sequence[int]
    rows: Sequence[Row]
    asked: Sequence[int]
    keys: Sequence[str]
    picked: Sequence[int]
    features: Sequence[Row]
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
    asked = asked_at(served.deployment, rows, served.now)
    keys = [_key(served, row) for row in rows]
    picked = _picked(served, keys, rows)
    values: list[Any] = [None] * len(rows)
    features: list[Row] = [{}] * len(rows)
    for index in sorted(set(picked)):
        places = [place for place, each in enumerate(picked) if each == index]
        for place, found in zip(places, _asked(served, index, rows, asked, places), strict=True):
            picked[place], features[place], values[place] = found
    return AnsweredRows(
        numbers=batch.numbers,
        rows=rows,
        asked=asked,
        keys=keys,
        picked=picked,
        features=features,
        values=values,
    )


def _asked(
    served: Served, index: int, rows: Sequence[Row], asked: Sequence[int], places: Sequence[int]
) -> list[tuple[int, Row, Any]]:
    """Who answered each row, what it saw, and what it said; the champion answers what a challenger cannot."""
    whole = len(places) == len(rows)
    question = Question(
        rows if whole else [rows[place] for place in places], [asked[place] for place in places]
    )
    try:
        found = served.runtimes[index].compute(question)
    except (RequestError, StepError):
        if index == 0:
            raise
        if len(places) == 1:
            return _asked(served, 0, rows, asked, places)
        half = len(places) // 2
        return [
            *_asked(served, index, rows, asked, places[:half]),
            *_asked(served, index, rows, asked, places[half:]),
        ]
    return [(index, *each) for each in zip(found.features, found.values, strict=True)]


def _key(served: Served, row: Row) -> str:
    parts = [row[name] for name in served.deployment.request.key]
    return "" if not parts or None in parts else key_text(parts)


def _picked(served: Served, keys: list[str], rows: Sequence[Row]) -> list[int]:
    """The runtime of every row, as :mod:`nenrin.serving.plane.answering` picks it."""
    if len(served.runtimes) == 1:
        return [0] * len(rows)
    pick = served.router.pick
    return [
        pick(key or msgspec.json.encode(row).decode()) for key, row in zip(keys, rows, strict=True)
    ]
