"""The loop's verbs: backtest, adopt, tick, promote, roll back, freeze; and what it tells: rings, status.

``guarding`` judges rollouts by live requests, and pauses them; ``experiments`` has versions side by side,
``shadows`` one behind the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nenrin.core.calendar import Calendar
from nenrin.core.environment import checked, is_backtest, of_backtest
from nenrin.core.errors import RequestError
from nenrin.core.leases import Leases
from nenrin.core.logs import about
from nenrin.core.store import ContentStore
from nenrin.core.timer import Timer
from nenrin.core.unit import Units
from nenrin.gates.service import GatesService
from nenrin.gates.verdict import Verdict
from nenrin.loop.adopting import Adopting
from nenrin.loop.asked import read_asked
from nenrin.loop.compiling import note_breaches
from nenrin.loop.exam import Exam
from nenrin.loop.experimenting import Experiments, Measure
from nenrin.loop.guarding import Guarding, Observe
from nenrin.loop.insisting import insist, served
from nenrin.loop.journal import Journals, LoopStates
from nenrin.loop.living import Living
from nenrin.loop.ports import Progress, Replay
from nenrin.loop.proposing import Projects, Proposing
from nenrin.loop.replays import Backtests, Replays
from nenrin.loop.rings import rings
from nenrin.loop.shadowing import Losses, Pairs, Shadows
from nenrin.registry.service import RegistryService
from nenrin.serving.log import PredictionLog
from nenrin.serving.service import ServingService


class LoopService:
    """The loop of one folder's deployments.

    Args:
        environment: the environment whose data backtests replay, and that keeps their reports.
        replay: makes deployments ready.
        projects: the project of each revision, for kinds that need a callable of it.
        worker_cpu: CPU seconds of all workers so far.
        leases: which of several processes turns an environment's loop by itself.
        observe: what the planes have counted of live requests.
        measure: what became of logged answers.
        pairs, losses: what shadows said, and what became of that.
        others: the rooms' services and ports.
    """

    def __init__(
        self,
        environment: str,
        *,
        units: Units,
        replay: Replay,
        registry: RegistryService,
        gates: GatesService,
        serving: ServingService,
        states: LoopStates,
        backtests: Backtests,
        log: PredictionLog,
        store: ContentStore,
        calendar: Calendar,
        timer: Timer,
        worker_cpu: Callable[[], float],
        projects: Projects,
        leases: Leases,
        observe: Observe,
        measure: Measure,
        pairs: Pairs,
        losses: Losses,
    ) -> None:
        journals = Journals(units, registry, gates, serving, states, store)
        self._units, self._replay, self._leases, self._serving = units, replay, leases, serving
        self._note_breaches = partial(note_breaches, units, registry)
        self._replays = Replays(
            environment,
            units=units,
            replay=replay,
            journal=journals,
            backtests=backtests,
            log=log,
            calendar=calendar,
            timer=timer,
            worker_cpu=worker_cpu,
        )
        self._living = Living(
            units=units,
            replay=replay,
            journal=journals,
            registry=registry,
            serving=serving,
            states=states,
            calendar=calendar,
            store=store,
        )
        instant = self._living.instant
        self.guarding = Guarding(journals, observe, instant)
        self.experiments = Experiments(journals, replay, measure, instant, self._living.stands)
        self.shadows = Shadows(journals, replay, observe, pairs, losses, instant)
        self._adopting = Adopting(
            self._living,
            units=units,
            registry=registry,
            gates=gates,
            serving=serving,
            states=states,
        )
        self._proposing = _proposing(journals, calendar, projects)

    def backtest(
        self,
        from_: str | None = None,
        until: str | None = None,
        inject: Sequence[str] = (),
        without: Sequence[str] = (),
        policies: Sequence[str] = (),
        matrix: bool = False,
        deployment: str | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Replay history through the loop and its comparators.

        Args:
            from_: local date of the first look; left out, after a quarter of the history.
            until: local date at whose beginning the replay ends; left out, the end of the data.
            inject: faults, as ``scrambled_fit:2013-07-29``.
            without: parts to leave out: ``watch``, ``recalibration``.
            policies: what the loop is measured against (:mod:`nenrin.loop.policies`); the usual if left out.
            matrix: the loss of every fit in every week, too.
            deployment: whose loop; may be left out if there is one.
            workers: ignored here: the platform was opened with them.
            progress: told of every closed day.

        Returns:
            the report.

        Raises:
            RefusedError: rows have no time, so there is no history to replay.
            RequestError: a date, a fault or the window does not fit.
        """
        asked = read_asked(from_, until, inject, without, policies, matrix)
        return self._replays.answer(asked, deployment, progress)

    def backtests(self) -> list[dict[str, Any]]:
        """A line for every backtest, oldest first."""
        return self._replays.all()

    def report(self, backtest: str) -> dict[str, Any]:
        """A backtest's report.

        Raises:
            NotFoundError: there is none of that id.
        """
        return self._replays.report(backtest)

    def export(self, backtest: str, path: Path) -> dict[str, Any]:
        """Write every prediction of every policy as Parquet (see :mod:`nenrin.loop.exporting`)."""
        return self._replays.export(backtest, path)

    def adopt(self, backtest: str, into: str = "dev") -> dict[str, Any]:
        """Propose a backtest's champion to an environment; deployed at once where there is none.

        Raises:
            RequestError: ``into`` is the environment of a backtest, or names none.
        """
        if is_backtest(checked(into)):
            raise RequestError(
                f"{into} belongs to a backtest: what it holds is the replay's alone",
                hint="adopt into an environment that serves: --into dev",
                where=into,
            )
        report = self.report(backtest)
        prepared = self._replay.prepare(
            into, report["project"]["deployment"], load=False, progress=None
        )
        return self._adopting.adopt(report, of_backtest(backtest), into, prepared)

    def propose(
        self,
        environment: str,
        deployment: str,
        version: str,
        exam: Exam,
        *,
        weight: int = 100,
        project: Mapping[str, Any] | None = None,
    ) -> Verdict:
        """Propose a registered version of any kind (see :class:`nenrin.loop.proposing.Proposing`)."""
        return self._proposing.propose(
            environment, deployment, version, exam, weight=weight, project=project
        )

    def turn(
        self, environment: str, deployment: str | None, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Load, build, and let the loop decide: the first version, new code, or what is due."""
        with about(environment=environment, deployment=deployment or ""):
            for healed in self.heal(environment):
                if progress is not None:
                    progress("healing", 1, 1, healed)
            prepared = self._replay.prepare(environment, deployment, load=True, progress=progress)
            return self._living.turn(environment, prepared, progress)

    def tick(self, environment: str) -> int:
        """Roll back what is not safe; do what is due, unless another process is at it.

        Returns:
            how many steps changed something.
        """
        self.guard(environment)
        with self._leases.hold(f"loop/{environment}") as ours:
            if not ours():
                return 0
            # a bandit that cannot be weighed keeps the loop from nothing
            steps = self._living.tick(environment, ours)
            return steps + (self.experiments.tick(environment) if ours() else 0)

    def guard(self, environment: str) -> list[str]:
        """Roll back what is not safe, and end shadows that are bad; a sentence for each."""
        return [*self.guarding.guard(environment), *self.shadows.leave_bad(environment)]

    def heal(self, environment: str) -> list[str]:
        """Mend what is served and cannot be read; a sentence for each (:mod:`nenrin.loop.healing`)."""
        return self._living.healing.heal(environment)

    def restarted(self, environment: str, worker: str, why: str) -> None:
        """A worker died, and was started again."""
        self._living.healing.restarted(environment, worker, why)

    def uncompile(self, environment: str, folder: Path) -> int:
        """Note which compiled forms planes have given up, as written in ``folder``; of how many versions."""
        return self._note_breaches(environment, folder, self._living.instant)

    def promote(
        self, environment: str, deployment: str, version: str, reason: str = ""
    ) -> dict[str, Any]:
        """Serve a version by hand, through the gate."""
        if self._living.state(environment, deployment) is None:  # nothing of it is trained here
            return self._proposing.promote(environment, deployment, version, reason)
        return insist(
            lambda: self._living.promote(environment, deployment, version, reason),
            lambda: served(self._units, self._serving, environment, deployment),
        )

    def rollback(self, environment: str, deployment: str, reason: str = "") -> dict[str, Any]:
        """Serve what the champion replaced, at once."""
        return insist(
            lambda: self._living.rollback(environment, deployment, reason),
            lambda: served(self._units, self._serving, environment, deployment),
        )

    def freeze(
        self, environment: str, deployment: str | None, reason: str = "by hand"
    ) -> list[dict[str, Any]]:
        """Stop every automatic change of a deployment, or of all (None)."""
        freeze = self._living.freezing.freeze
        return insist(lambda: freeze(environment, deployment, reason), lambda: None)

    def unfreeze(
        self, environment: str, deployment: str | None, reason: str = "by hand"
    ) -> list[dict[str, Any]]:
        """Allow automatic changes again, of a deployment or of all (None)."""
        unfreeze = self._living.freezing.unfreeze
        return insist(lambda: unfreeze(environment, deployment, reason), lambda: None)

    def mark_bad(self, environment: str, version: str, reason: str) -> dict[str, Any]:
        """Never serve a version again; a mixture that it is a member of goes on without it, at once.

        Raises:
            NotFoundError: the environment has no such version.
            RefusedError: it answers, and nothing else would in its place.
        """
        mark_bad = self._living.marking.mark_bad
        left = insist(lambda: mark_bad(environment, version, reason), lambda: None)
        return {"version": version, "status": "bad", "reason": reason, "left": left}

    def rings(self, environment: str, deployment: str | None = None) -> list[dict[str, Any]]:
        """Every turn of the loop (:func:`nenrin.loop.rings.rings`); oldest first."""
        return rings(self._units.events(environment), deployment)

    def status(self, environment: str) -> dict[str, Any]:
        """What is served, how each deployment stands, who answers in whose place, and who scores beside."""
        told = self._living.status(environment)
        for line in told["deployments"]:
            line["problem"] = self.guarding.problem(environment, line["name"])
            line["breakers"] = self.guarding.breakers(environment, line["name"])
            line["shadow"] = self.shadows.counted(environment, line["name"])
        return told


def _proposing(rooms: Journals, calendar: Calendar, projects: Projects) -> Proposing:
    return Proposing(
        units=rooms.units,
        store=rooms.store,
        registry=rooms.registry,
        gates=rooms.gates,
        serving=rooms.serving,
        calendar=calendar,
        projects=projects,
    )
