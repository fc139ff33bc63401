"""The prediction log on disk: folders of segments, their counters, and how they are read.

``.nenrin/predictions/`` has a folder for each process that answers, named by its number. In it:
``counters`` (three int64: issued, dropped, lost), ``lock`` (who writes), and segments of JSON lines, named
by the number of predictions before them. A line is an answered request, or one prediction: where personal
fields are masked, and in all that an older nenrin wrote. What lies in ``predictions/`` itself is older
still. Readers read all of them. What shadows answered is a log of its own, laid out alike, in
``predictions/shadow/``.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path

import msgspec

from nenrin.core import nonfinite
from nenrin.serving.answered import FORMAT, AnsweredRequest, predictions_of
from nenrin.serving.prediction import Prediction

_HEAD = b'{"format":%d,' % FORMAT
_REQUEST = msgspec.json.Decoder(AnsweredRequest)
_PREDICTION = msgspec.json.Decoder(Prediction)

COUNTERS = struct.Struct("=qqq")


class Counts(msgspec.Struct, frozen=True):
    """Predictions issued, dropped because the disk was too slow or refused, and lost by a kill."""

    issued: int
    dropped: int
    lost: int


def worker_folder(predictions: Path, worker: int) -> Path:
    """Where the process of that number writes."""
    return predictions / str(worker)


def shadow_log(predictions: Path) -> Path:
    """The log of what shadows answered."""
    return predictions / "shadow"


def root_of(folder: Path) -> Path:
    """The folder of all predictions, of one that a process writes."""
    return folder.parent if folder.name.isdecimal() else folder


def folders(predictions: Path) -> list[Path]:
    """Every folder that a process has written, oldest layout first."""
    workers = [path for path in predictions.glob("*/") if path.name.isdecimal()]
    return [predictions, *sorted(workers, key=lambda path: int(path.name))]


def segments(folder: Path) -> list[Path]:
    """The files of one folder, oldest first."""
    return sorted(folder.glob("*.ndjson"))


def read_counts(predictions: Path) -> Counts:
    """The counts of all folders, whether a process writes to them or not."""
    found = [counts_of(folder) for folder in folders(predictions)]
    return Counts(
        issued=sum(counts.issued for counts in found),
        dropped=sum(counts.dropped for counts in found),
        lost=sum(counts.lost for counts in found),
    )


def counts_of(folder: Path) -> Counts:
    """The counts of one folder."""
    try:
        return Counts(*COUNTERS.unpack_from((folder / "counters").read_bytes()))
    except (FileNotFoundError, struct.error):
        return Counts(0, 0, 0)


def read_predictions(predictions: Path) -> Iterator[Prediction]:
    """Every prediction that was written, in order of the instants of their answers.

    A line that a kill cut short, or a damaged disk changed, is passed over.
    """
    return heapq.merge(*map(_read, folders(predictions)), key=attrgetter("at"))


def whole_lines(segment: Path) -> Iterator[bytes]:
    """The lines of a segment, without one that is being written, or was cut short; none where it is gone."""
    try:
        with segment.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield line
    except FileNotFoundError:  # it was too old to be kept
        return


def decoded_line(line: bytes) -> AnsweredRequest | Prediction | None:
    """What a line holds, or None where a damaged disk left something else."""
    try:
        if line.startswith(_HEAD):
            return nonfinite.decode(line, _REQUEST)
        return nonfinite.decode(line, _PREDICTION)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def predictions_in(line: bytes) -> Sequence[Prediction]:
    """The predictions of a line; none where a damaged disk left something else."""
    found = decoded_line(line)
    if not isinstance(found, AnsweredRequest):
        return [] if found is None else [found]
    try:
        return list(predictions_of(found))
    except (ValueError, LookupError, TypeError):
        return []


class _Ids(msgspec.Struct):
    """What counting reads of a line."""

    ids: tuple[str, ...] = ("",)


_IDS = msgspec.json.Decoder(_Ids)


def counted(lines: Iterable[bytes]) -> int:
    """How many predictions lines hold; a damaged one counts as one."""
    return sum(map(_in_line, lines))


def _in_line(line: bytes) -> int:
    if not line.startswith(_HEAD):
        return 1
    try:
        return len(nonfinite.decode(line, _IDS).ids)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return 1


def copy_log(predictions: Path, to: Path) -> None:
    """Copy what is written of a log, as of now, into the empty folder ``to``; the log may go on meanwhile.

    What is issued and not yet written is not lost, only younger than the copy: its counters end with it.
    The secret of personal fields is not copied.
    """
    shadows = shadow_log(predictions)
    if shadows.is_dir():
        shadow_log(to).mkdir()
        copy_log(shadows, shadow_log(to))
    for folder in folders(predictions):
        target = to / folder.relative_to(predictions)
        written = 0
        for segment in segments(folder):
            content = segment.read_bytes()
            content = content[: content.rfind(b"\n") + 1]
            target.mkdir(exist_ok=True)
            (target / segment.name).write_bytes(content)
            written = int(segment.stem) + counted(content.split(b"\n")[:-1])
        found = counts_of(folder)
        issued = written + found.dropped + found.lost
        if issued:
            target.mkdir(exist_ok=True)
            (target / "counters").write_bytes(COUNTERS.pack(issued, found.dropped, found.lost))


def _read(folder: Path) -> Iterator[Prediction]:
    for segment in segments(folder):
        for line in whole_lines(segment):
            yield from predictions_in(line)
