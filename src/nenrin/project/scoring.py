"""Writes declared scores when they are due: a dataset's new rows, answered by what is deployed.

What was done is in the ledger (``scores.written``). The rows of scores that are being written lie in a
folder of their own until that event: whoever comes after a kill goes on with just these rows, unless another
host has written them since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from nenrin.core.calendar import Calendar, stands_at
from nenrin.core.errors import ConflictError, NenrinError, NotFoundError, OvertakenError
from nenrin.core.instants import DAY, local_date, local_instant
from nenrin.core.ledger import Event
from nenrin.core.unit import Units
from nenrin.data.service import DataService
from nenrin.data.times import EVENT, KNOWN
from nenrin.data.versions import DatasetVersion
from nenrin.project.loader import Project
from nenrin.project.replay import ProjectReplay
from nenrin.project.scores import Score
from nenrin.serving.batch.service import BatchPrediction, Told, Wanted

WRITTEN = "scores.written"

_BEGINNING = -(2**62)  # before every row


class Scoring:
    """The scores of a project's folder.

    Args:
        replay: the folder, and the revisions that environments go by.
        batch: answers files in an environment.
        folder: of the project; outputs are relative to it.
        rows: a folder for the rows of scores that are being written.
        data, units, calendar: the rooms' services.
    """

    def __init__(
        self,
        replay: ProjectReplay,
        batch: Callable[[str], BatchPrediction],
        folder: Path,
        rows: Path,
        *,
        data: DataService,
        units: Units,
        calendar: Calendar,
    ) -> None:
        self._replay = replay
        self._declared: dict[str, Project] = {}
        self._batch = batch
        self._folder = folder
        self._rows = rows
        self._data = data
        self._units = units
        self._calendar = calendar

    def status(self, environment: str) -> list[dict[str, Any]]:
        """Every active score: what, when, where to, what was written last, and when the next is due."""
        project = self._active(environment)
        scores = project.scores.values() if project else ()
        return [self._told(environment, score) for score in scores]

    def planned(self, environment: str) -> list[dict[str, Any]]:
        """The same of what the folder declares."""
        return [self._told(environment, score) for score in self._replay.load().scores.values()]

    def write(self, environment: str, progress: Told | None = None) -> list[dict[str, Any]]:
        """Write the scores that are due and have new rows; gives what each wrote.

        Raises:
            NenrinError: one cannot be written; those before it are.
        """
        project = self._active(environment)
        done: list[dict[str, Any]] = []
        if project is None:
            return done
        for score in project.scores.values():
            with suppress(
                NotFoundError
            ):  # not loaded or not deployed yet: then it is not due either
                done += self._write(environment, project, score, progress)
        return done

    def _active(self, environment: str) -> Project | None:
        """The declarations of the active revision, imported once; None before there is one."""
        revision = self._replay.active(environment)
        if revision is None:
            return None
        if revision.id not in self._declared:
            self._declared = {revision.id: self._replay.unpacked(revision)}
        return self._declared[revision.id]

    def _write(
        self, environment: str, project: Project, score: Score, progress: Told | None
    ) -> Iterator[dict[str, Any]]:
        version = self._data.latest(environment, score.rows.declared.name)
        now, last = self._now(version), self._last(environment, score)
        begun = self._begun(environment, score)
        if begun is not None and _span(begun)[0] != _until(last):  # they are another host's by now
            begun.unlink()
            begun.with_suffix(".writing").unlink(missing_ok=True)
            begun = None
        if begun is None:
            if now < self._due(score, last):
                return
            begun = self._begin(environment, score, version, last, now)
            if begun is None:
                return
        yield self._finish(environment, project, score, begun, progress)

    def _begin(
        self, environment: str, score: Score, version: DatasetVersion, last: Event | None, now: int
    ) -> Path | None:
        """Put the new rows into a file; None where there are none."""
        since = _until(last)
        files = self._data.manifest(version).files
        if not any(ref.known_max > since and ref.known_min <= now for ref in files):
            return None
        frame = self._data.frame(version, known_by=now).filter(pl.col(KNOWN) > since)
        key = score.rows.declared.key
        if key:  # of a row that changed in between, as it is now
            frame = frame.unique(list(key), keep="last", maintain_order=True)
        if frame.is_empty():
            return None
        path = self._place(environment, score) / f"{since}_{now}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        frame.drop(EVENT, KNOWN).write_parquet(fresh)
        fresh.replace(path)
        return path

    def _finish(
        self,
        environment: str,
        project: Project,
        score: Score,
        begun: Path,
        progress: Told | None,
    ) -> dict[str, Any]:
        span = _span(begun)
        to = self._output(environment, score, span[1])
        to.parent.mkdir(parents=True, exist_ok=True)
        mark = begun.with_suffix(".writing")
        if to.exists() and not mark.exists():
            raise ConflictError(
                f"{to} is there, and scores {score.declared.name} would be written to it",
                where=score.declared.where,
                hint="move it away; nenrin up then writes them",
            )
        mark.touch()
        if not to.exists() or to.with_name(f"{to.name}.parts").exists():
            name = _deployment(project, score)
            wanted = Wanted(name=name, input=str(begun), output=to, bad="skip")
            self._batch(environment).predict(wanted, progress or _quiet)
        said = {
            "since": max(span[0], 0),
            "until": span[1],
            "rows": _rows(begun),
            "answered": _rows(to),
            "to": score.declared.to.format(day=self._day(score, span[1]), environment=environment),
        }
        if _until(self._last(environment, score)) != span[0]:
            raise OvertakenError(
                f"another host has written scores {score.declared.name} meanwhile",
                where=str(to),
                hint="the file here holds the same rows, and no event tells of it: delete it",
            )
        with self._units.write(environment, self._calendar.now()) as unit:
            unit.record(WRITTEN, score.declared.name, said)
        begun.unlink()
        mark.unlink()
        return {"name": score.declared.name, **said}

    def _told(self, environment: str, score: Score) -> dict[str, Any]:
        declared, last = score.declared, self._last(environment, score)
        return {
            "name": declared.name,
            "model": score.model.declared.name,
            "rows": score.rows.declared.name,
            "when": f"every {declared.when.period // DAY}d at {declared.when.at}",
            "to": declared.to,
            "last": None if last is None else last.body,
            "next": None if last is None else self._due(score, last),
        }

    def _due(self, score: Score, last: Event | None) -> int:
        """The instant of the next: at once where there was none."""
        if last is None:
            return _BEGINNING
        when, zone = score.declared.when, score.rows.declared.tz or "UTC"
        day = local_date(int(last.body["until"]), zone) + timedelta(days=when.period // DAY)
        return local_instant(day, when.clock, zone)

    def _last(self, environment: str, score: Score) -> Event | None:
        found = self._units.find(environment, kind=WRITTEN, subject=score.declared.name, limit=1)
        return found[0] if found else None

    def _now(self, version: DatasetVersion) -> int:
        """The environment's calendar, which stands still where no rows come any more."""
        now = self._calendar.now()
        return stands_at(version.bound, now) or now

    def _begun(self, environment: str, score: Score) -> Path | None:
        return next(iter(self._place(environment, score).glob("*.parquet")), None)

    def _place(self, environment: str, score: Score) -> Path:
        return self._rows / environment.replace("/", "-") / score.declared.name

    def _day(self, score: Score, at: int) -> str:
        return local_date(at, score.rows.declared.tz or "UTC").isoformat()

    def _output(self, environment: str, score: Score, at: int) -> Path:
        name = score.declared.to.format(day=self._day(score, at), environment=environment)
        return self._folder / name


def _span(begun: Path) -> tuple[int, int]:
    """The instants after which, and until which, the rows of a file became known."""
    since, until = map(int, begun.stem.split("_"))
    return since, until


def _until(last: Event | None) -> int:
    """Up to where rows are written."""
    return _BEGINNING if last is None else int(last.body["until"])


def _deployment(project: Project, score: Score) -> str:
    """The deployment that serves the model.

    Raises:
        NenrinError: the project file declares none.
    """
    for name, deployment in project.deployments.items():
        if deployment.model is score.model:
            return name
    raise NenrinError(
        f"scores {score.declared.name} ask the model {score.model.declared.name}, which is not deployed",
        where=score.declared.where,
        hint=f"add a line such as: service = nr.deployment({score.model.declared.name})",
    )


def _rows(path: Path) -> int:
    scan = pl.scan_csv(path) if path.suffix == ".csv" else pl.scan_parquet(path)
    return int(scan.select(pl.len()).collect().item())


def _quiet(stage: str, done: int, total: int, note: str = "") -> None:
    """Nobody listens."""
