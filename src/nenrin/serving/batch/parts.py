"""The answers of a file on disk, part by part, and in the end as one file.

Beside the output is a folder ``OUTPUT.parts``: ``plan.json`` says what is asked whom, and each part is a
Parquet file of the answers to ``PART_ROWS`` rows of one source. A part is there whole or not at all, so
that whoever goes on begins at the first that is missing. Rows without an answer are in a file beside it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import polars as pl

from nenrin.core.durable import sync
from nenrin.core.errors import ConflictError, RequestError
from nenrin.core.lock import FolderLock
from nenrin.serving.batch.sources import Source
from nenrin.serving.ports import LiveRoute

PART_ROWS = 50_000

_ENDS = (".parquet", ".csv")
_BAD = ".bad.ndjson"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked.

    Attributes:
        sources: the files, in the order in which they are read.
        name: the deployment or version, as it was given.
        version: the one version that answers; None: those of the route.
        log: whether the answers are logged, too.
        part_rows: rows of a part.
    """

    sources: tuple[Source, ...]
    name: str
    version: str | None
    log: bool
    part_rows: int


class Plan(msgspec.Struct, frozen=True):
    """What is asked, and whom: who goes on asks the same versions, however routes changed meanwhile.

    Attributes:
        asked: the question.
        live: the deployment, and the instant at which all of it is asked.
    """

    asked: Asked
    live: LiveRoute


class Parts:
    """The parts of one output; one process at a time has them.

    Args:
        to: the output, ``.parquet`` or ``.csv``.

    Raises:
        RequestError: it is of another kind, or there is no such folder.
        ConflictError: the output is there, or another process writes it.
    """

    def __init__(self, to: Path) -> None:
        if to.suffix not in _ENDS or not to.absolute().parent.is_dir():
            raise RequestError(
                f"{to} cannot be written",
                where="--output",
                hint="name a file in a folder that is there, ending in .parquet or .csv",
            )
        self.to = to
        self.bad = to.with_name(f"{to.name}{_BAD}")
        self.folder = to.with_name(f"{to.name}.parts")
        if to.exists() and not self.folder.exists():
            raise ConflictError(
                f"{to} is there", where="--output", hint="move it away, or name another file"
            )
        self._plan = self.folder / "plan.json"
        self._lock = FolderLock(self.folder)
        self._lock.acquire()

    def begun(self, asked: Asked) -> Plan | None:
        """The plan that was begun here; None: none was, or one of something else that has no part yet.

        Raises:
            ConflictError: it asks something else.
        """
        if not self._plan.exists():
            return None
        kept = msgspec.json.decode(self._plan.read_bytes(), type=Plan)
        if kept.asked != asked:
            if not any(self.folder.glob("*.parquet")):
                return None  # the first rows were refused, and are other ones now
            raise ConflictError(
                f"{self.folder} was begun from other files, or with other options",
                where="--output",
                hint="ask as before to go on with it, or remove that folder to begin anew",
            )
        return kept

    def begin(self, plan: Plan) -> None:
        """Keep a plan: from here on there is something to go on with."""
        _write(self._plan, msgspec.json.encode(plan))

    def done(self, source: int) -> int:
        """How many parts of a source there are."""
        return len(list(self.folder.glob(f"{source:05d}-*.parquet")))

    def write(self, source: int, number: int, frame: pl.DataFrame, bad: Sequence[bytes]) -> None:
        """Keep a part, and the lines of its rows without an answer."""
        path = self.folder / f"{source:05d}-{number:06d}.parquet"
        if bad:
            _write(path.with_suffix(_BAD), b"".join(bad))
        fresh = path.with_suffix(".new")
        frame.write_parquet(fresh)
        sync(fresh)
        fresh.replace(path)

    def rows(self, version: str) -> dict[str, int]:
        """How many rows each version has answered; ``version`` is the column that tells it."""
        found = pl.scan_parquet(sorted(self.folder.glob("*.parquet")))
        counts = found.group_by(version).len().sort(version).collect()
        return dict(counts.iter_rows())

    def bad_rows(self) -> int:
        """How many rows have no answer."""
        return sum(path.read_bytes().count(b"\n") for path in self.folder.glob(f"*{_BAD}"))

    def finish(self) -> None:
        """Make one file of the parts, in their order, and remove them."""
        whole = self.folder / "whole"
        found = pl.scan_parquet(sorted(self.folder.glob("*.parquet")))
        if self.to.suffix == ".csv":
            found.sink_csv(whole, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
        else:
            found.sink_parquet(whole, row_group_size=PART_ROWS)
        bad = sorted(self.folder.glob(f"*{_BAD}"))
        if bad:
            with (self.folder / "bad").open("wb") as file:
                for path in bad:
                    file.write(path.read_bytes())
            sync(self.folder / "bad")
            (self.folder / "bad").replace(self.bad)
        sync(whole)
        whole.replace(self.to)
        sync(self.to.absolute().parent)
        shutil.rmtree(self.folder)

    def close(self) -> None:
        """Let others have them."""
        self._lock.release()
        if self.folder.exists() and not self._plan.exists():
            shutil.rmtree(self.folder)  # nothing was begun


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
