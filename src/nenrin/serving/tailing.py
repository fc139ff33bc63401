"""The newest logged predictions, and those that come after: where a reader stands is a text, its cursor."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import msgspec

from nenrin.core.errors import RequestError
from nenrin.serving.prediction import Prediction
from nenrin.serving.segments import folders, predictions_in, segments

LIMIT = 1_000
"""Predictions after which one look leaves a folder, at the end of a line; the next goes on behind them."""


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions in order of their answers, and where the next look begins."""

    predictions: list[Prediction]
    cursor: str


class _Place(NamedTuple):
    """Where a reader stands in a folder: the name of a segment, and bytes of it."""

    segment: str = ""
    offset: int = 0


def newest(predictions: Path, number: int, deployment: str = "") -> Tail:
    """The newest predictions, at most ``number`` of them, of one deployment where it is named."""
    found: list[Prediction] = []
    places = {}
    for folder in folders(predictions):
        last, place = _last(folder, number, deployment)
        found += last
        places[folder.name if folder != predictions else ""] = place
    found.sort(key=attrgetter("at"))
    return Tail(predictions=found[-number:] if number else [], cursor=_written(places))


def after(predictions: Path, cursor: str, deployment: str = "") -> Tail:
    """What was written since the look that gave ``cursor``.

    Raises:
        RequestError: it is no cursor.
    """
    places = _read(cursor)
    found: list[Prediction] = []
    for folder in folders(predictions):
        name = folder.name if folder != predictions else ""
        places.setdefault(name, _Place())
        read = 0
        for place, here in _from(folder, places[name]):
            found += _of(deployment, here)
            places[name] = place
            read += len(here)
            if read >= LIMIT:
                break
    return Tail(predictions=sorted(found, key=attrgetter("at")), cursor=_written(places))


def _last(folder: Path, number: int, deployment: str) -> tuple[list[Prediction], _Place]:
    """The newest of a folder, read from its newest segment backwards, and where it ends."""
    found: list[Prediction] = []
    end = _Place()
    for segment in reversed(segments(folder)):
        last: deque[Prediction] = deque(maxlen=max(0, number - len(found)))
        place = _Place(segment.name)
        for place, predictions in _in(segment, 0):  # noqa: B007
            last.extend(_of(deployment, predictions))
        end = end if end.segment else place
        found = [*last, *found]
        if len(found) >= number:
            break
    return found, end


def _of(deployment: str, predictions: Sequence[Prediction]) -> list[Prediction]:
    return [each for each in predictions if deployment in ("", each.deployment)]


def _from(folder: Path, place: _Place) -> Iterator[tuple[_Place, Sequence[Prediction]]]:
    for segment in segments(folder):
        if segment.name >= place.segment:
            yield from _in(segment, place.offset if segment.name == place.segment else 0)


def _in(segment: Path, offset: int) -> Iterator[tuple[_Place, Sequence[Prediction]]]:
    """The predictions of each whole line of a segment, and where it ends."""
    try:
        with segment.open("rb") as lines:
            lines.seek(offset)
            for line in lines:
                if line.endswith(b"\n"):
                    offset += len(line)
                    yield _Place(segment.name, offset), predictions_in(line)
    except FileNotFoundError:  # it was too old to be kept
        return


def _written(places: dict[str, _Place]) -> str:
    return ",".join(f"{name}:{segment}:{offset}" for name, (segment, offset) in places.items())


def _read(cursor: str) -> dict[str, _Place]:
    try:
        parts = [each.split(":") for each in cursor.split(",")] if cursor else []
        return {name: _Place(segment, int(offset)) for name, segment, offset in parts}
    except ValueError:
        raise RequestError(
            f"{cursor!r:.60} is not where a look ended",
            hint="give `cursor` of the last answer, or leave it out",
            where="after",
        ) from None
