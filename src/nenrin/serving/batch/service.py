"""Batch prediction: a deployment's answers for files of any size, read as they are answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Literal, Protocol

import msgspec
import polars as pl

from nenrin.core import nonfinite
from nenrin.core.calendar import Calendar
from nenrin.core.errors import NotFoundError, RequestError
from nenrin.core.timer import Timer
from nenrin.pipelines.executor import Executor
from nenrin.serving.batch.asking import BadRow
from nenrin.serving.batch.logging import BatchLog
from nenrin.serving.batch.parts import PART_ROWS, Asked, Parts, Plan
from nenrin.serving.batch.rows import Batch
from nenrin.serving.batch.sources import Source, batches, is_small, rows_of, sources
from nenrin.serving.batch.working import Answered, Opener, Work, answer_batch, open_deployment
from nenrin.serving.ports import LiveRoute, RouteReader
from nenrin.serving.router import Route, Variant

BATCH_ROWS = 5_000
AHEAD = 2

Bad = Literal["refuse", "skip"]


class Told(Protocol):
    """Is told how far it is."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` rows are answered; ``total`` 0 is unknown."""
        ...


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, and where the answers go.

    Attributes:
        name: a deployment, or a version that one serves.
        input: a file, a folder, a glob or ``s3://…``.
        output: a ``.parquet`` or ``.csv`` file.
        version: have this version answer everything.
        bad: what is done about a row that has no answer: stop there, or write it to a file of its own.
        log: log the answers as a data plane would.
    """

    name: str
    input: str
    output: Path
    version: str | None = None
    bad: Bad = "refuse"
    log: bool = False


class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        path: the output.
        deployment: who was asked.
        rows: how many have an answer.
        versions: how many of them each version answered.
        bad: how many rows have none, and the file that they are in, or "".
        resumed: rows that an earlier run had answered.
        seconds: that this run took.
        rows_a_second: of this run.
    """

    path: str
    deployment: str
    rows: int
    versions: dict[str, int]
    bad: int
    bad_path: str
    resumed: int
    seconds: float
    rows_a_second: float


class BatchPrediction:
    """Answers files as a data plane answers requests: from the same routes, versions and feature states.

    Args:
        routes: who serves.
        opener: what opens a route's versions in a worker.
        here: answers small files.
        started: the executor that answers others, several batches at a time; started when it is needed.
        calendar, timer: business and process time.
        predictions: folder of the prediction log.
        part_rows: rows that are kept together, and asked again where a run was killed.
    """

    def __init__(
        self,
        routes: RouteReader,
        opener: Callable[[LiveRoute], Opener],
        *,
        here: Executor,
        started: Callable[[], Executor],
        calendar: Calendar,
        timer: Timer,
        predictions: Path,
        part_rows: int = PART_ROWS,
    ) -> None:
        self._routes = routes
        self._opener = opener
        self._here = here
        self._started = started
        self._calendar = calendar
        self._timer = timer
        self._predictions = predictions
        self._part_rows = part_rows

    def predict(self, wanted: Wanted, told: Told) -> Predicted:
        """Answer every row of the input, and write the answers in the order of the rows.

        What a killed run has answered is kept; the same call goes on at the first part that is missing.

        Raises:
            RequestError: the input is not there, or lacks a column, or a row does not fit.
            DataError: a file cannot be read.
            StepError: the model failed on a row.
            NotFoundError: there is no such deployment or version.
            ConflictError: the output is there, or was begun from something else.
            UnavailableError: a version does not load.
        """
        asked = Asked(
            sources=tuple(sources(wanted.input)),
            name=wanted.name,
            version=wanted.version,
            log=wanted.log,
            part_rows=self._part_rows,
        )
        with closing(Parts(wanted.output)) as parts:
            begun = parts.begun(asked)
            plan = begun or Plan(asked, self._live(wanted))
            work = Work(
                live=plan.live,
                opener=self._opener(plan.live),
                several=len(asked.sources) > 1,
                logged=asked.log,
            )
            executor = self._here if is_small(asked.sources) else self._started()
            executor.submit(open_deployment, work).result()
            if begun is None:
                parts.begin(plan)
            logging = BatchLog(self._predictions, self._timer) if asked.log else nullcontext()
            with logging as log:
                run = _Run(wanted, plan, parts, work, executor, log, self._timer, told)
                return run.to_the_end()

    def _live(self, wanted: Wanted) -> LiveRoute:
        """Who is asked, and when: as it is now, for all of the rows."""
        live = _named(self._routes.routes(), wanted.name, wanted.version)
        now = self._calendar.now() if live.stands_at is None else live.stands_at
        deployment = live.deployment
        alone = msgspec.structs.replace(deployment.route, shadow=None)
        deployment = msgspec.structs.replace(deployment, route=alone)
        return msgspec.structs.replace(live, deployment=deployment, stands_at=now)


class _Run:
    """One run over what is left of a plan."""

    def __init__(
        self,
        wanted: Wanted,
        plan: Plan,
        parts: Parts,
        work: Work,
        executor: Executor,
        log: BatchLog | None,
        timer: Timer,
        told: Told,
    ) -> None:
        self._wanted = wanted
        self._sources, self._part_rows = plan.asked.sources, plan.asked.part_rows
        self._parts = parts
        self._work = work
        self._executor = executor
        self._log = log
        self._timer = timer
        self._told = told
        self._table = work.table()
        self._began = timer.wall()
        self._looked_at = self._resumed = 0
        self._total = rows_of(self._sources)

    def to_the_end(self) -> Predicted:
        """Write the parts that are missing, and the output."""
        for number, source in enumerate(self._sources):
            self._source(number, source)
        versions = self._parts.rows(self._table.version)
        bad = self._parts.bad_rows()
        self._parts.finish()
        seconds = self._timer.wall() - self._began
        return Predicted(
            path=str(self._wanted.output),
            deployment=self._work.live.deployment.name,
            rows=sum(versions.values()),
            versions=versions,
            bad=bad,
            bad_path=str(self._parts.bad) if bad else "",
            resumed=self._resumed,
            seconds=round(seconds, 3),
            rows_a_second=round(self._new / seconds, 1) if seconds else 0.0,
        )

    @property
    def _new(self) -> int:
        return self._looked_at - self._resumed

    def _source(self, number: int, source: Source) -> None:
        """Write the parts of a source that are missing; one that has no rows has one part without any."""
        done = self._parts.done(number)
        after = done * self._part_rows
        self._resumed += after
        self._looked_at += after
        frames, bad = self._nothing(), list[bytes]()
        for batch, ends, answered in self._answered(source, after):
            frames += self._frames(source, answered)
            bad += [self._bad(source, each) for each in answered.bad]
            self._looked_at += len(batch.numbers)
            self._tell()
            if ends:
                if self._log:
                    self._log.written()
                self._parts.write(number, done, pl.concat(frames), bad)
                frames, bad = self._nothing(), []
                done += 1
        if not done:
            self._parts.write(number, 0, pl.concat(frames), [])

    def _answered(self, source: Source, after: int) -> Iterator[tuple[Batch, bool, Answered]]:
        """Every batch of a source with its answers, in order, and whether a part ends with it.

        Some more are under way than the executor has workers, so that none waits for this process.
        """
        waiting: deque[tuple[Batch, bool, Future[Answered]]] = deque()
        try:
            for batch, ends in self._batches(source, after):
                asked = self._executor.submit(answer_batch, self._work, source.path, batch)
                waiting.append((batch, ends, asked))
                if len(waiting) > self._executor.workers + AHEAD:
                    yield _next(waiting)
            while waiting:
                yield _next(waiting)
        finally:
            for _, _, asked in waiting:
                asked.cancel()

    def _batches(self, source: Source, after: int) -> Iterator[tuple[Batch, bool]]:
        request = self._work.live.deployment.request
        for part in batches(source, request, after=after, rows=self._part_rows):
            rows = len(part.numbers)
            for start in range(0, max(rows, 1), BATCH_ROWS):
                yield part.part(start, start + BATCH_ROWS), start + BATCH_ROWS >= rows

    def _nothing(self) -> list[pl.DataFrame]:
        return [self._table.schema.to_frame()]

    def _frames(self, source: Source, answered: Answered) -> Iterator[pl.DataFrame]:
        """The answers as the output has them, logged where that is wanted."""
        yield from answered.frames
        if self._log is not None:
            for found in answered.found:
                ids = self._log.keep(self._work, found)
                yield self._table.frame(source.path, found, self._work.versions, ids)

    def _bad(self, source: Source, found: BadRow) -> bytes:
        """The line of a row without an answer.

        Raises:
            RequestError, StepError: such rows are not skipped.
        """
        # it was asked about alone, and is row 0 of that
        message = found.error.message.replace("row 0", f"row {found.number}", 1)
        if self._wanted.bad == "refuse":
            raise type(found.error)(
                message,
                where=f"{source.path}, row {found.number}",
                hint=f"{found.error.hint}; or --bad skip writes such rows to {self._parts.bad.name}",
            )
        line = {"file": source.path, "row": found.number, "reason": message, "given": found.given}
        return nonfinite.encode(line) + b"\n"

    def _tell(self) -> None:
        seconds = self._timer.wall() - self._began
        rate = f"{self._new / seconds:,.0f} rows/s" if seconds else ""
        self._told("predict", self._looked_at, self._total, rate)


def _next(waiting: deque[tuple[Batch, bool, Future[Answered]]]) -> tuple[Batch, bool, Answered]:
    batch, ends, asked = waiting.popleft()
    return batch, ends, asked.result()


def _named(routes: Sequence[LiveRoute], name: str, version: str | None) -> LiveRoute:
    """The deployment of that name, or the one that has that version; routed to ``version`` alone if given.

    Raises:
        NotFoundError: there is none.
        RequestError: a version is named, and another one beside it.
    """
    for live in routes:
        if live.deployment.name == name:
            return live if version is None else _pinned(live, version)
    if version is not None:
        raise RequestError(
            f"there is no deployment {name!r}",
            where=name,
            hint="--version goes with a deployment's name",
        )
    for live in routes:
        if name in _variants(live):
            return _pinned(live, name)
    names = ", ".join(sorted(live.deployment.name for live in routes))
    raise NotFoundError(
        f"there is no deployment {name!r}, nor a version that one serves",
        where=name,
        hint=f"deployments here: {names}" if names else "run `nenrin run` to make one",
    )


def _pinned(live: LiveRoute, version: str) -> LiveRoute:
    found = _variants(live)
    if version not in found:
        raise NotFoundError(
            f"deployment {live.deployment.name!r} does not serve version {version!r}",
            where=version,
            hint=f"versions there: {', '.join(found)}; nenrin deployments promote brings another back",
        )
    alone = msgspec.structs.replace(found[version], weight=100)
    route = Route(deployment=live.deployment.name, variants=(alone,))
    deployment = msgspec.structs.replace(live.deployment, route=route)
    return msgspec.structs.replace(live, deployment=deployment)


def _variants(live: LiveRoute) -> dict[str, Variant]:
    """Those of the route, the members of its mixtures, and the version before, with what they read."""
    deployment = live.deployment
    route = deployment.route.variants
    found = {variant.version: variant for variant in route}
    for variant in route:
        for member in variant.members:
            alone = Variant(version=member.version, features=variant.features)
            found.setdefault(member.version, alone)
    if deployment.previous:
        before = Variant(version=deployment.previous, features=deployment.previous_features)
        found.setdefault(deployment.previous, before)
    return found
