"""Asks the prediction log: one prediction by its id, what a version answered, what became of the rest.

A log may be larger than memory: it is read line by line, and only lines that hold what is looked for
are decoded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from heapq import nsmallest
from operator import attrgetter
from pathlib import Path

import msgspec

from nenrin.serving.answered import AnsweredRequest
from nenrin.serving.prediction import Prediction
from nenrin.serving.router import Variant, key_hash
from nenrin.serving.segments import (
    counted,
    counts_of,
    decoded_line,
    folders,
    predictions_in,
    read_predictions,
    segments,
    whole_lines,
)


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the predictions of a folder.

    Attributes:
        issued: numbers that were given out: each was answered, or about to be.
        written: those that the log has had on whole lines.
        dropped: not written because the disk was too slow, or refused.
        lost: not written because the process died.
        removed: of those written, not kept any more because they were too old.
        waiting: not written yet, or lost by a process whose successor has not counted them yet.
    """

    issued: int
    written: int
    dropped: int
    lost: int
    waiting: int
    removed: int = 0


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """How many logged predictions a version answered, and when.

    Attributes:
        alone: predictions that the route's variant of that version answered.
        shared: predictions of mixtures in which it had a share.
        first, last: calendar instants of the first and the last of them, microseconds UTC; None without.
    """

    alone: int = 0
    shared: int = 0
    first: int | None = None
    last: int | None = None


def find_prediction(folder: Path, prediction_id: str) -> Prediction | None:
    """The prediction of that id, None where no whole line has it; the newest segment is read first."""
    wanted = prediction_id.encode()
    for segment in _newest_first(folder):
        for line in _lines_with(segment, wanted):
            for found in predictions_in(line):
                if found.id == prediction_id:
                    return found
    return None


def sampled(
    folder: Path, holds: Callable[[Prediction], bool], most: int
) -> tuple[int, list[Prediction]]:
    """How many predictions hold, and ``most`` of them, spread evenly and the same each time; 0: all."""
    count = 0

    def those() -> Iterator[Prediction]:
        nonlocal count
        for each in read_predictions(folder):
            if holds(each):
                count += 1
                yield each

    if not most:
        every = list(those())
        return count, every
    found = nsmallest(most, those(), key=lambda each: key_hash(each.id))
    return count, found


def first_and_newest(folder: Path) -> tuple[Prediction | None, Prediction | None]:
    """The first and the newest prediction of a folder's log; None for both where it has none."""
    ends = [_ends(each) for each in folders(folder)]
    firsts = [first for first, _ in ends if first is not None]
    newest = [newest for _, newest in ends if newest is not None]
    return (
        min(firsts, key=attrgetter("at"), default=None),
        max(newest, key=attrgetter("at"), default=None),
    )


def _ends(folder: Path) -> tuple[Prediction | None, Prediction | None]:
    found = segments(folder)
    firsts = (line for segment in found for line in whole_lines(segment))
    newest = (line for segment in reversed(found) for line in _last_lines(segment))
    return _found(firsts, 0), _found(newest, -1)


def _last_lines(segment: Path) -> Iterator[bytes]:
    """The last two whole lines, the last first: a damaged disk may have taken one."""
    yield from reversed(deque(whole_lines(segment), maxlen=2))


def _found(lines: Iterator[bytes], place: int) -> Prediction | None:
    """The prediction at a place of the first of these lines that is not damaged."""
    return next((each[place] for each in map(predictions_in, lines) if each), None)


def answered_by(folder: Path, version: str) -> Answered:
    """What a version answered, by itself and as a member of mixtures, over the whole log."""
    answers = [0, 0]
    first = last = None
    for by_itself, at in _answers(folder, version):
        answers[by_itself] += 1
        first = at if first is None else min(first, at)
        last = at if last is None else max(last, at)
    return Answered(alone=answers[True], shared=answers[False], first=first, last=last)


def _answers(folder: Path, version: str) -> Iterator[tuple[bool, int]]:
    """Of each logged answer of a version: whether it answered by itself, and the instant."""
    wanted = f'"{version}"'.encode()
    for segment in _newest_first(folder):
        for line in _lines_with(segment, wanted):
            found = decoded_line(line)
            if found is None:
                continue
            if isinstance(found, AnsweredRequest):
                who: Sequence[Variant | Prediction] = [
                    found.variants[place] for place in found.answerers
                ]
            else:
                who = [found]
            for each in who:
                by_itself = each.version == version
                # that text may stand elsewhere on the line, too
                if by_itself or any(member.version == version for member in each.members):
                    yield by_itself, found.at


def tally(folder: Path) -> Tally:
    """What became of the predictions of a folder, whether planes write to it or not."""
    issued = written = dropped = lost = waiting = removed = 0
    for each in folders(folder):
        counts, found = counts_of(each), segments(each)
        here = _written(found)
        issued, dropped, lost = issued + counts.issued, dropped + counts.dropped, lost + counts.lost
        written += here
        waiting += max(0, counts.issued - here - counts.dropped - counts.lost)
        removed += int(found[0].stem) if found else 0
    return Tally(
        issued=issued, written=written, dropped=dropped, lost=lost, waiting=waiting, removed=removed
    )


def _written(found: list[Path]) -> int:
    """Those on whole lines: a segment's name counts those before it."""
    if not found:
        return 0
    return int(found[-1].stem) + counted(whole_lines(found[-1]))


def _newest_first(folder: Path) -> list[Path]:
    """All segments, the newest of each folder first."""
    return [segment for each in folders(folder) for segment in reversed(segments(each))]


def _lines_with(segment: Path, wanted: bytes) -> Iterator[bytes]:
    """Whole lines of a segment that hold these bytes."""
    return (line for line in whole_lines(segment) if wanted in line)
