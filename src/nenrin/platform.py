"""The composition root: settings in, services out. Here adapters are chosen, and nowhere else."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from nenrin.backends.blobs.opening import (
    examine_store,
    is_remote,
    open_store,
    probe_store,
    store_at,
)
from nenrin.backends.compute.in_process import InProcessExecutor
from nenrin.backends.health import online_of, project_of, state_of
from nenrin.backends.online.opening import open_online
from nenrin.backends.sql.data import SqlDatasetVersions
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.engines import is_server
from nenrin.backends.sql.gates import SqlMarks, SqlVerdicts
from nenrin.backends.sql.leases import SqlLeases
from nenrin.backends.sql.loop import SqlBacktests, SqlLoopStates
from nenrin.backends.sql.moving import Moved, move, states_of
from nenrin.backends.sql.pipelines import SqlResults
from nenrin.backends.sql.project import SqlRevisions
from nenrin.backends.sql.pruning import SqlRetained
from nenrin.backends.sql.registry import SqlAliases, SqlVersions
from nenrin.backends.sql.serving import SqlDeployments
from nenrin.core.audit import Audit, AuditReport
from nenrin.core.backup import Backups, Manifest, Told
from nenrin.core.calendar import Calendar, SystemCalendar
from nenrin.core.checkpoints import Checkpoints
from nenrin.core.errors import ConflictError, OvertakenError
from nenrin.core.health import Finding
from nenrin.core.instants import iso
from nenrin.core.leases import Alone, Leases, Ours
from nenrin.core.pruning import Pruning
from nenrin.core.restore import restore
from nenrin.core.settings import Settings
from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer
from nenrin.data.service import DataService
from nenrin.features.materialise import Materialiser, Progress
from nenrin.gates.service import GatesService
from nenrin.integrations.exports import Exports
from nenrin.loop.service import LoopService
from nenrin.pipelines.logs import StepLogs
from nenrin.pipelines.packages import from_folders
from nenrin.plane import UNCOMPILED, Known, Projects, Routes
from nenrin.project.explaining import Explaining
from nenrin.project.lineage import Lineage
from nenrin.project.loader import project_attributes
from nenrin.project.maturity import Maturity
from nenrin.project.outcomes import Outcomes
from nenrin.project.replay import ProjectReplay
from nenrin.project.replay_check import ReplayCheck
from nenrin.project.revision import unpack
from nenrin.project.scoring import Scoring
from nenrin.project.service import ProjectService
from nenrin.registry.forms import ServedForms
from nenrin.registry.kinds import Kind, Kinds
from nenrin.registry.kinds.rescoring import Rescoring
from nenrin.registry.service import RegistryService
from nenrin.serving.batch.service import BatchPrediction
from nenrin.serving.log import PredictionLog
from nenrin.serving.observed import read_observed
from nenrin.serving.opening import Openings
from nenrin.serving.pairs import pairs
from nenrin.serving.ports import LiveRoute
from nenrin.serving.segments import copy_log
from nenrin.serving.service import ServingService, feature_states, looks_back
from nenrin.training.answering import answer_each
from nenrin.workers import Workers

PREDICTIONS = "predictions"


class Platform:
    """The services of every room over one folder.

    Attributes:
        settings: what it was opened with.
        units, store: ledger and state; content.
        probe_store: refuses a store that does not keep its promises.
        calendar: business time.
        logs: what steps wrote.
        data, registry, gates, serving, loop, projects: the rooms' verbs.
        scores: what is answered on a schedule.
        maturity: assesses an environment.
        replay_check: computes logged predictions anew.
        exports: writes what containers and clusters run an environment from.
        audit, checkpoints, backups, pruning: those of looking after a folder.

    Args:
        settings: where things are kept.
        calendar: business time; the machine's by default.
        kinds: kinds of versions beside those that are installed.
    """

    def __init__(
        self, settings: Settings, *, calendar: Calendar | None = None, kinds: Sequence[Kind] = ()
    ) -> None:
        self.settings = settings
        self.calendar = calendar or SystemCalendar()
        folder = settings.state_folder
        self._online = open_online(settings.online, folder)
        self.store: ContentStore = open_store(settings.store, folder)
        self.units = Database(settings.database)
        self.probe_store = partial(probe_store, settings.store)
        self._materialiser = Materialiser(self._online, self.store) if self._online else None
        self._scoring = threading.Lock()
        self._timer = SystemTimer()
        self.logs = StepLogs(folder / "logs")
        self._workers = Workers(
            settings, self.units, self.store, self.calendar, self._timer, self.logs
        )
        self._leases: Leases = (
            SqlLeases(self.units, self._workers.name) if is_server(settings.database) else Alone()
        )
        self.data = DataService(self.units, self.store, SqlDatasetVersions())
        self.registry = RegistryService(
            self.units, self.store, SqlVersions(), SqlAliases(), Kinds(kinds)
        )
        self.gates = GatesService(self.units, SqlVerdicts(), SqlMarks())
        self.serving = ServingService(self.units, SqlDeployments())
        self.audit = Audit(self.units)
        self.checkpoints = Checkpoints(self.units, folder / "keys", self.calendar.now)
        self.pruning = Pruning(self.units, self.store, SqlRetained(self.units), self._timer.epoch)
        self.backups = Backups(
            states_of(settings.database),
            self.store,
            folder / "scratch",
            lambda: iso(self.calendar.now()),
            {PREDICTIONS: partial(copy_log, folder / PREDICTIONS)},
        )
        replay = self._replay()
        self.loop = self._loop(replay)
        self.projects = ProjectService(
            replay,
            self.loop,
            registry=self.registry,
            gates=self.gates,
            data=self.data,
            units=self.units,
            store=self.store,
            lineage=self._lineage(replay),
        )
        self.exports = Exports(self.store, self.projects.follows, from_folders)
        self.scores = self._scores(replay)
        self.replay_check = self._checks(replay)
        self.maturity = Maturity(
            settings.folder.absolute(),
            folder / PREDICTIONS,
            replay,
            self.loop,
            data=self.data,
            gates=self.gates,
            units=self.units,
        )

    def _replay(self) -> ProjectReplay:
        settings = self.settings
        return ProjectReplay(
            settings.folder.absolute(),
            settings.state_folder,
            units=self.units,
            store=self.store,
            revisions=SqlRevisions(),
            results=SqlResults(),
            data=self.data,
            calendar=self.calendar,
            timer=self._timer,
            executor=self._workers.executor,
            dispatcher=self._workers.dispatcher,
            notes=self._workers.told,
            join_memory=int(settings.join_memory),
        )

    def _loop(self, replay: ProjectReplay) -> LoopService:
        predictions = self.settings.state_folder / PREDICTIONS
        outcomes = Outcomes(predictions, replay, self.data)
        return LoopService(
            self.settings.environment,
            units=self.units,
            replay=replay,
            registry=self.registry,
            gates=self.gates,
            serving=self.serving,
            states=SqlLoopStates(),
            backtests=SqlBacktests(),
            log=PredictionLog(self.store),
            store=self.store,
            calendar=self.calendar,
            timer=self._timer,
            worker_cpu=self._workers.cpu,
            leases=self._leases,
            observe=partial(read_observed, predictions),
            measure=outcomes.measure,
            pairs=partial(pairs, predictions),
            losses=outcomes.losses,
            projects=Projects(self.units, self.store, self.settings.state_folder).attributes,
        )

    def _lineage(self, replay: ProjectReplay) -> Lineage:
        return Lineage(
            self.settings.state_folder / PREDICTIONS,
            replay,
            SqlRevisions(),
            registry=self.registry,
            gates=self.gates,
            data=self.data,
            units=self.units,
            states=SqlLoopStates(),
            explaining=Explaining(replay, self._workers.executor),
            calendar=self.calendar,
            deployments=SqlDeployments(),
        )

    def _scores(self, replay: ProjectReplay) -> Scoring:
        return Scoring(
            replay,
            self._batch,
            self.settings.folder.absolute(),
            self.settings.state_folder / "scores",
            data=self.data,
            units=self.units,
            calendar=self.calendar,
        )

    def _checks(self, replay: ProjectReplay) -> ReplayCheck:
        executor = self._workers.executor
        return ReplayCheck(
            self.settings.state_folder / PREDICTIONS,
            replay,
            SqlRevisions(),
            lambda jobs: executor().submit(answer_each, list(jobs)).result(),
            registry=self.registry,
            serving=self.serving,
            data=self.data,
            units=self.units,
            store=self.store,
        )

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The platform of a folder; makes what is missing.

        Raises:
            NenrinError: the folder's state cannot be read or brought up to date.
        """
        platform = cls(settings)
        platform.resume()
        return platform

    def resume(self) -> None:
        """End what a process of this folder was at when it died (:meth:`nenrin.workers.Workers.resume`)."""
        self._workers.resume()

    def close(self) -> None:
        """End the workers and close the database."""
        self._workers.close()
        self._leases.close()
        if self._online is not None:
            self._online.close()
        self.units.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def materialise(self, environment: str, progress: Progress | None = None) -> int:
        """Bring the feature states that are served into the online store; how many keys were written.

        Of several processes one fills it at a time.

        Raises:
            UnavailableError: the store does not answer; what is served stays as it is.
        """
        if self._materialiser is None:
            return 0
        deployments = self.serving.list(environment)
        now, back = self.calendar.now(), max(looks_back(deployments), 0)
        ends = {v.dataset: min(v.bound, now) - back for v in self.data.versions(environment)}
        with self._leases.hold(f"online/{environment}") as ours:
            if not ours():
                return 0
            return self._materialiser.bring(
                environment,
                feature_states(deployments),
                lambda: self.serving.places_of_states(environment),
                ends,
                _while(ours, progress),
            )

    def write_scores(
        self, environment: str, progress: Progress | None = None
    ) -> list[dict[str, Any]]:
        """Write the scores that are due; of several processes, and threads, one does it at a time."""
        with self._scoring, self._leases.hold(f"scores/{environment}") as ours:
            return self.scores.write(environment, _while(ours, progress)) if ours() else []

    def _batch(self, environment: str) -> BatchPrediction:
        return _batch(
            self.settings, environment, self.units, self.store, self.calendar, self._workers
        )

    def uncompile(self, environment: str) -> int:
        """Note which compiled forms planes have given up; of how many versions."""
        return self.loop.uncompile(environment, self.settings.state_folder / UNCOMPILED)


def _while(ours: Ours, progress: Progress | None) -> Progress:
    """Progress of work that ends when its lease is lost: another process is at it."""

    def told(stage: str, done: int, total: int, note: str = "") -> None:
        if not ours():
            raise OvertakenError(
                f"the lease of this work ({stage}) could not be kept up: another process may be at it",
                hint="look whether the database answers; what is done stays",
            )
        if progress is not None:
            progress(stage, done, total, note)

    return told


def examine(settings: Settings) -> Iterator[Finding]:
    """What is wrong with a folder's state and its project; holds nothing and changes nothing."""
    content = None if is_remote(settings.store) else Path(settings.store)
    yield from state_of(settings.database, content, SystemCalendar().now)
    yield from examine_store(settings.store)
    yield from online_of(settings.online, settings.state_folder)
    yield from project_of(settings.folder.absolute())


def restore_folder(source: Path, settings: Settings, told: Told) -> Restored:
    """Restore a backup into a folder without state, and the project's files where it has none.

    Raises:
        NenrinError: see :func:`nenrin.core.restore.restore`.
    """
    store = open_store(settings.store, settings.state_folder)
    states = states_of(settings.database)
    folder = settings.state_folder
    with states.incoming() as database:
        manifest = restore(source, folder, database, states, store, (PREDICTIONS,), told)
    with Database(settings.database) as units:
        report = Audit(units).verify()
        sources = _unpack_project(units, store, settings)
    return Restored(manifest=manifest, audit=report, sources=sources)


def _unpack_project(units: Database, store: ContentStore, settings: Settings) -> tuple[str, ...]:
    """The files of the active revision, where the folder has no project; which they are."""
    with units.read(settings.environment) as unit:
        active = SqlRevisions().latest(unit)
    if active is None or (settings.folder / "project.py").exists():
        return ()
    unpacked = unpack(active, store, settings.state_folder / "revisions")
    found = sorted(path for path in unpacked.rglob("*") if path.is_file())
    names = [path.relative_to(unpacked).as_posix() for path in found]
    taken = [name for name in names if (settings.folder / name).exists()]
    if taken:
        raise ConflictError(
            f"the state is restored, but the project's files are not: there is a {taken[0]}",
            where=str(settings.folder.absolute()),
            hint=f"copy what you need from {unpacked}",
        )
    for path, name in zip(found, names, strict=True):
        (settings.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, settings.folder / name)
    return tuple(names)


@contextmanager
def batch_prediction(settings: Settings) -> Iterator[BatchPrediction]:
    """Answers files beside whatever holds the folder, as a data plane does: it only reads there."""
    calendar, logs = SystemCalendar(), StepLogs(settings.state_folder / "logs")
    with Database(settings.database, read_only=True) as units:
        store = store_at(settings.store, settings.state_folder)
        workers = Workers(settings, units, store, calendar, SystemTimer(), logs)
        with closing(workers):
            yield _batch(settings, settings.environment, units, store, calendar, workers)


def _batch(
    settings: Settings,
    environment: str,
    units: Database,
    store: ContentStore,
    calendar: Calendar,
    workers: Workers,
) -> BatchPrediction:
    folder = settings.state_folder
    forms = ServedForms(SqlVersions(), store, Rescoring(folder / UNCOMPILED, settings.rescore))
    known, projects = Known(units, environment, forms), Projects(units, store, folder)

    def openings(live: LiveRoute) -> Openings:
        found = {each.version: known.find(each.version) for each in live.deployment.route.variants}
        revisions = {each.version.revision for each in found.values()} - {""}
        return Openings(
            found=found,
            folders={each: str(projects.folder(environment, each)) for each in revisions},
            uncompiled=folder / UNCOMPILED,
            rescore=0 if settings.executor else settings.rescore,  # nodes could tell nobody
        )

    return BatchPrediction(
        Routes(units, environment, calendar, forms),
        openings,
        here=InProcessExecutor(store, project_attributes),
        started=workers.executor,
        calendar=calendar,
        timer=SystemTimer(),
        predictions=folder / PREDICTIONS,
    )


class MovedState(msgspec.Struct, frozen=True, kw_only=True):
    """What was copied into another database, and the audit of its ledger there."""

    moved: Moved
    audit: AuditReport


def move_to_server(settings: Settings, to: str) -> MovedState:
    """Copy the state of a folder's own file into the server's database ``to``, and walk its ledger.

    Raises:
        NenrinError: see :func:`nenrin.backends.sql.moving.move`.
    """
    moved = move(settings.own_database, to)
    with Database(to) as units:
        return MovedState(moved=moved, audit=Audit(units).verify())


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup brought back: what it held, the audit of its ledger, the project's files."""

    manifest: Manifest
    audit: AuditReport
    sources: tuple[str, ...]
