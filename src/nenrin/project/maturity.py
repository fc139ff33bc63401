"""Gathers what an assessment of an environment's maturity may know."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from nenrin.core.environment import is_backtest, of_backtest
from nenrin.core.errors import NenrinError
from nenrin.core.instants import DAY, local_date, to_us
from nenrin.core.ledger import Event
from nenrin.core.unit import Units
from nenrin.data.service import DataService
from nenrin.gates.service import GatesService
from nenrin.loop.declare import Deployment
from nenrin.loop.maturity.assessing import assess
from nenrin.loop.maturity.facts import Answers, Declared, Facts, Snapshot
from nenrin.loop.service import LoopService
from nenrin.project.loader import FILE, Project
from nenrin.project.replay import ProjectReplay
from nenrin.project.revision import Revision, commit_of, is_tracked
from nenrin.serving.logged import first_and_newest
from nenrin.serving.segments import read_counts

_BEFORE_THE_END = 14 * DAY  # a fault so long before the data ends has days to be noticed in


class Maturity:
    """Assesses environments of one folder.

    Args:
        folder: the project's folder.
        predictions: the folder of the prediction log.
        replay: the project's revisions.
        others: the rooms' services and ports.
    """

    def __init__(
        self,
        folder: Path,
        predictions: Path,
        replay: ProjectReplay,
        loop: LoopService,
        *,
        data: DataService,
        gates: GatesService,
        units: Units,
    ) -> None:
        self._folder = folder
        self._predictions = predictions
        self._replay = replay
        self._loop = loop
        self._data = data
        self._gates = gates
        self._units = units

    def level(self, environment: str) -> dict[str, Any]:
        """The maturity of an environment (see :func:`nenrin.loop.maturity.assessing.assess`).

        Raises:
            ProjectError: the project file is wrong; says where.
        """
        return assess(self.facts(environment))

    def facts(self, environment: str) -> Facts:
        """What its ledger, its state and its active revision say."""
        status = self._loop.status(environment)
        events = tuple(self._units.events(environment))
        active = self._replay.active(environment)
        project = self._replay.load() if active is None else self._replay.unpacked(active)
        return Facts(
            environment=environment,
            now=to_us(datetime.fromisoformat(status["now"])),
            events=events,
            others={
                name: tuple(self._units.events(name))
                for name in self._units.environments()
                if name != environment and not is_backtest(name)
            },
            blocked=tuple(self._blocked(events)),
            declared=_declared(project),
            active=None if active is None else self._snapshot(active),
            folder_commit=self._commit(),
            champions={line["name"]: line["champion"] for line in status["deployments"]},
            verdicts=tuple(self._gates.verdicts(environment)),
            answers=self._answers(events),
            fault_day=self._fault_day(environment),
        )

    def _commit(self) -> str:
        """The git commit that the folder stands on, where git knows the project file."""
        return commit_of(self._folder)[0] if is_tracked(self._folder, FILE) else ""

    def _snapshot(self, active: Revision) -> Snapshot:
        """A revision; its commit is the folder's where what was committed since is what it holds."""
        commit, dirty = active.commit, active.dirty
        if self._commit() and (dirty or not commit):
            with suppress(NenrinError):  # the folder may be at work; then it is not what is active
                now = self._replay.taken()
                if now.id == active.id:
                    commit, dirty = now.commit, now.dirty
        return Snapshot(
            id=active.id,
            python=active.python,
            packages=len(active.packages),
            commit=commit,
            dirty=dirty,
        )

    def _blocked(self, events: tuple[Event, ...]) -> list[Event]:
        """The looks that faults of the data blocked in the environment's backtests."""
        reported = [event.subject for event in events if event.kind == "backtest.reported"]
        return [
            event
            for backtest in dict.fromkeys(reported)
            for event in self._units.find(of_backtest(backtest), kind="look.blocked")
        ]

    def _answers(self, events: tuple[Event, ...]) -> Answers:
        """The folder's log, where this environment's versions answered."""
        here = {event.subject for event in events if event.kind == "version.registered"}
        first, newest = first_and_newest(self._predictions)
        if first is None or newest is None or newest.version not in here:
            return Answers()
        counts = read_counts(self._predictions)
        return Answers(first=first, newest=newest, missing=counts.dropped + counts.lost)

    def _fault_day(self, environment: str) -> str:
        """A date shortly before the first loads end: what was loaded later may be known much later."""
        bounds = [load.bound for load in self._data.versions(environment) if load.number == 1]
        return f"{local_date(min(bounds) - _BEFORE_THE_END, 'UTC')}" if bounds else ""


def _declared(project: Project) -> Declared:
    deployments = project.deployments.values()
    learning = [each for each in deployments if each.model.declared.imported is None]
    timed = [each for each in learning if _timed(each)]
    return Declared(
        datasets=tuple(project.datasets),
        views=tuple(project.views),
        deployments=tuple(project.deployments),
        timed=any(_timed(each) for each in deployments),
        trained=bool(learning),
        canary=any(len(each.declared.canary) > 1 for each in timed),
    )


def _timed(deployment: Deployment) -> bool:
    return deployment.model.rows.declared.time is not None
