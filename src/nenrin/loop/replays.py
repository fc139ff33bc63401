"""Backtests: a question is read, replayed in an environment of its own, and its report is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from nenrin.core.calendar import Calendar
from nenrin.core.errors import NotFoundError, RefusedError
from nenrin.core.timer import Timer
from nenrin.core.unit import Unit, Units
from nenrin.data.faults import DataFault, is_data_fault
from nenrin.loop.asked import Asked, environment_of, name_of_question
from nenrin.loop.exporting import export_predictions
from nenrin.loop.journal import LoopJournal
from nenrin.loop.policies import is_rival
from nenrin.loop.ports import Prepared, Progress, Replay
from nenrin.loop.replaying import Replayer
from nenrin.serving.log import PredictionLog


class Backtests(Protocol):
    """Keeps reports. Adapter: ``nenrin.backends.sql.loop``."""

    def add(self, unit: Unit, backtest: str, at: int, body: dict[str, Any]) -> None:
        """Keep a report."""
        ...

    def get(self, unit: Unit, backtest: str) -> dict[str, Any] | None:
        """The report of that id."""
        ...

    def all(self, unit: Unit) -> list[dict[str, Any]]:
        """Every report, oldest first."""
        ...


class Replays:
    """Answers questions to the past.

    Args:
        environment: the environment whose data is replayed, and that keeps the reports.
        worker_cpu: CPU seconds of all workers so far.
        others: the rooms' services and ports.
    """

    def __init__(
        self,
        environment: str,
        *,
        units: Units,
        replay: Replay,
        journal: Callable[[str, Prepared], LoopJournal],
        backtests: Backtests,
        log: PredictionLog,
        calendar: Calendar,
        timer: Timer,
        worker_cpu: Callable[[], float],
    ) -> None:
        self._environment = environment
        self._units = units
        self._replay = replay
        self._journal = journal
        self._backtests = backtests
        self._log = log
        self._calendar = calendar
        self._timer = timer
        self._worker_cpu = worker_cpu
        self._accounted = 0.0  # the first backtest bears what starting the process cost

    def answer(
        self, asked: Asked, deployment: str | None, progress: Progress | None
    ) -> dict[str, Any]:
        """Replay, and keep the report.

        Raises:
            RefusedError: rows have no time, so there is no history to replay.
            RequestError: the window does not fit.
        """
        report = self._replayed(asked, deployment, progress)
        with self._units.write(self._environment, self._calendar.now()) as unit:
            self._backtests.add(unit, report["id"], unit.at, report)
            unit.record("backtest.reported", report["id"], {"ledger_head": report["ledger_head"]})
        return report

    def all(self) -> list[dict[str, Any]]:
        """A line for every backtest, oldest first."""
        with self._units.read(self._environment) as unit:
            reports = self._backtests.all(unit)
        lines = ("id", "window", "inject", "without", "counts", "ledger_head", "project")
        return [{name: report.get(name) for name in lines} for report in reports]

    def report(self, backtest: str) -> dict[str, Any]:
        """A backtest's report.

        Raises:
            NotFoundError: there is none of that id.
        """
        with self._units.read(self._environment) as unit:
            report = self._backtests.get(unit, backtest)
        if report is None:
            raise NotFoundError(
                f"there is no backtest {backtest!r}",
                hint="run one: nenrin backtest",
                where=backtest,
            )
        return report

    def export(self, backtest: str, path: Path) -> dict[str, Any]:
        """Write every prediction of every policy as Parquet (see :mod:`nenrin.loop.exporting`)."""
        report = self.report(backtest)
        prepared = self._replay.prepare(
            self._environment, report["project"]["deployment"], load=False, progress=None
        )
        return export_predictions(report, prepared, self._log, path)

    def _replayed(
        self, asked: Asked, deployment: str | None, progress: Progress | None
    ) -> dict[str, Any]:
        faults = [DataFault.parse(text) for text in asked.inject if is_data_fault(text)]
        began = self._timer.wall()
        prepared = self._replay.prepare(
            self._environment, deployment, load=False, progress=progress, faults=faults
        )
        if not prepared.timed:
            raise RefusedError(
                f"the rows of {prepared.rows} have no time, so there is no history to replay",
                hint="declare time= on the dataset, or judge by cross-validation: nenrin run",
                where=prepared.rows,
            )
        undisturbed = self._undisturbed(prepared, asked)
        if faults and not undisturbed:
            undisturbed = self.answer(_undisturbed(asked), deployment, progress)
            began = self._timer.wall()
        environment = environment_of(prepared, asked, self._units.environments())
        report = Replayer(
            environment,
            prepared,
            asked,
            units=self._units,
            journal=self._journal(environment, _replayed(prepared)),
            log=self._log,
            timer=self._timer,
            worker_cpu=self._worker_cpu,
            rivals={
                text: self._replay.policy(self._environment, prepared, text)
                for text in asked.policies
                if is_rival(text)
            },
            undisturbed=undisturbed,
        ).play((self._accounted, began), progress)
        self._accounted = self._timer.cpu() + self._worker_cpu()
        return report

    def _undisturbed(self, prepared: Prepared, asked: Asked) -> dict[str, Any]:
        """The report of the same question without faults, where it was answered before; else empty."""
        if not asked.inject:
            return {}
        name = name_of_question(prepared, _undisturbed(asked))
        with self._units.read(self._environment) as unit:
            return self._backtests.get(unit, name) or {}


def _undisturbed(asked: Asked) -> Asked:
    return msgspec.structs.replace(asked, inject=())


def _replayed(prepared: Prepared) -> Prepared:
    """A replay's events name nothing that later data or another snapshot of the same code changes.

    Rows are answered from the row table, so no feature state is served; the opening event names the code.
    """
    served = msgspec.structs.replace(prepared.served, features="", revision="")
    return msgspec.structs.replace(prepared, served=served)
