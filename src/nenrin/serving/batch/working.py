"""Answers batches in a worker, which opens the deployment once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import polars as pl

from nenrin.core.calendar import SystemCalendar
from nenrin.core.digest import digest_bytes
from nenrin.core.errors import UnavailableError
from nenrin.pipelines.executor import WorkerContext
from nenrin.serving.batch.asking import AnsweredRows, BadRow, answers
from nenrin.serving.batch.frame import Table
from nenrin.serving.batch.rows import Batch
from nenrin.serving.plane.asking import by_place
from nenrin.serving.plane.served import Served
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.ports import LiveRoute, Loader
from nenrin.serving.router import Variant


class Opener(Protocol):
    """Opens versions in a worker; can be pickled."""

    def loader(self, context: WorkerContext) -> Loader:
        """What opens them there."""
        ...


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What all batches of a run have in common.

    Attributes:
        live: who is asked, and the instant at which all of it is.
        opener: opens its versions.
        several, logged: see :class:`nenrin.serving.batch.frame.Table`.
    """

    live: LiveRoute
    opener: Opener
    several: bool
    logged: bool

    @property
    def variants(self) -> list[Variant]:
        """Who may answer, by place."""
        return by_place(self.live.deployment.route.variants)

    @property
    def versions(self) -> list[str]:
        """Their versions."""
        return [variant.version for variant in self.variants]

    def table(self) -> Table:
        """The columns of the output."""
        return Table(self.live.deployment, several=self.several, logged=self.logged)


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to a batch.

    Attributes:
        frames: as the output has them, unless they have to be logged first.
        found: what is to be logged.
        bad: the rows without an answer.
    """

    frames: Sequence[pl.DataFrame]
    found: Sequence[AnsweredRows]
    bad: Sequence[BadRow]


def open_deployment(context: WorkerContext, work: Work) -> None:
    """See that it opens.

    Raises:
        UnavailableError: a version does not load.
    """
    _served(context, work)


def answer_batch(context: WorkerContext, work: Work, file: str, batch: Batch) -> Answered:
    """The answers to the rows of a batch, which are of ``file``.

    Raises:
        UnavailableError: a version does not load, or does not answer.
    """
    found: list[AnsweredRows] = []
    bad: list[BadRow] = []
    for each in answers(_served(context, work), batch):
        if isinstance(each, BadRow):
            bad.append(each)
        else:
            found.append(each)
    if work.logged:
        return Answered(frames=[], found=found, bad=bad)
    table, versions = work.table(), work.versions
    frames = [table.frame(file, each, versions, []) for each in found]
    return Answered(frames=frames, found=[], bad=bad)


def _served(context: WorkerContext, work: Work) -> Served:
    key = digest_bytes(msgspec.json.encode(work.live))
    return context.cached("batch", key, lambda: _opened(context, work), keep=1)


def _opened(context: WorkerContext, work: Work) -> Served:
    loader = work.opener.loader(context)
    # the calendar stands where the plan says
    table = RouteTable(_Only(work.live), loader, SystemCalendar(), context.timer)
    table.refresh()
    # a plane would serve the champion in place of a challenger; here nobody waits for an answer
    name = work.live.deployment.name
    problem = table.problems.get(name)
    if problem:
        raise UnavailableError(
            f"deployment {name!r} does not load: {problem}",
            where=name,
            hint="nenrin status says what is wrong; --version names another version",
        )
    return table.get(name)


class _Only:
    """One route, as it was when the work began."""

    def __init__(self, live: LiveRoute) -> None:
        self._live = live

    def routes(self) -> Sequence[LiveRoute]:
        return [self._live]
