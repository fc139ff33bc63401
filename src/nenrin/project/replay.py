"""Makes deployments ready for the loop: the folder as a revision, its graph run, a trainer over the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from nenrin.core import environment as environments
from nenrin.core.calendar import Calendar
from nenrin.core.digest import derived_id
from nenrin.core.errors import NenrinError
from nenrin.core.instants import NEVER
from nenrin.core.store import ContentStore
from nenrin.core.timer import Timer
from nenrin.core.unit import Unit, Units
from nenrin.data.faults import DataFault
from nenrin.data.service import DataService
from nenrin.loop.declare import Deployment
from nenrin.loop.limits import limits
from nenrin.loop.policies import rival_of
from nenrin.loop.ports import Prepared, Progress
from nenrin.pipelines.dispatcher import Dispatcher
from nenrin.pipelines.engine import Engine, Planned
from nenrin.pipelines.executor import Executor
from nenrin.pipelines.ports import Results
from nenrin.pipelines.source import SourceReader
from nenrin.project.graph import Preparer, gate_policy, is_file_of
from nenrin.project.loader import FILE, Project, load_project
from nenrin.project.own_graph import OwnGraph
from nenrin.project.policy_file import declared_in
from nenrin.project.revision import Revision, snapshot, unpack
from nenrin.project.stages import datasets_of
from nenrin.project.trainer import GraphTrainer
from nenrin.stats.settle import settle_age
from nenrin.training.declare import Imported
from nenrin.training.table import RowTable


class Revisions(Protocol):
    """Keeps revisions; the one added last is active. Adapter: ``nenrin.backends.sql.project``."""

    def add(self, unit: Unit, record: Revision) -> None:
        """Keep a revision and make it the active one."""
        ...

    def latest(self, unit: Unit) -> Revision | None:
        """The active revision."""
        ...

    def get(self, unit: Unit, revision_id: str) -> Revision:
        """The revision of that id.

        Raises:
            NotFoundError: there is none.
        """
        ...


class ProjectReplay:
    """The loop's ``Replay`` over one folder.

    Args:
        folder: the project's folder.
        state_folder: where revisions are unpacked.
        executor: gives the executor, started when it is first needed.
        dispatcher: makes what runs the jobs of one run in an environment.
        notes: what the executor had to say since it was last asked.
        join_memory: bytes that a process may take for an index of a dataset; an attribute, too.
        others: the rooms' services and ports.
    """

    def __init__(
        self,
        folder: Path,
        state_folder: Path,
        *,
        units: Units,
        store: ContentStore,
        revisions: Revisions,
        results: Results,
        data: DataService,
        calendar: Calendar,
        timer: Timer,
        executor: Callable[[], Executor],
        dispatcher: Callable[[str], Dispatcher],
        notes: Callable[[], list[str]],
        join_memory: int,
    ) -> None:
        self._folder = folder
        self._unpacked = state_folder / "revisions"
        self._units = units
        self._store = store
        self._revisions = revisions
        self._results = results
        self._data = data
        self._calendar = calendar
        self._timer = timer
        self._executor = executor
        self._dispatcher = dispatcher
        self._notes = notes
        self.join_memory = join_memory

    def load(self) -> Project:
        """The declarations of the working folder, with steps that can be put in order."""
        project = load_project(self._folder)
        OwnGraph.of(project, self._store).graph()
        return project

    def snapshot(self, environment: str, project: Project) -> Revision:
        """Keep the working folder as a revision and make it the environment's active one."""
        revision = snapshot(project.folder, self._store, _files(project))
        active = self.active(environment)
        if active is None or active.id != revision.id:
            with self._units.write(environment, self._calendar.now()) as unit:
                self._revisions.add(unit, revision)
                unit.record("revision.activated", revision.id, {"digest": revision.digest})
        return revision

    def taken(self) -> Revision:
        """The working folder as a revision, which nothing follows yet."""
        project = self.load()
        return snapshot(project.folder, self._store, _files(project))

    def unpacked(self, revision: Revision) -> Project:
        """The declarations of an earlier revision."""
        return load_project(unpack(revision, self._store, self._unpacked))

    def active(self, environment: str) -> Revision | None:
        """The revision that an environment follows."""
        with self._units.read(environment) as unit:
            return self._revisions.latest(unit)

    def _due(self, environment: str, *, anew: bool) -> tuple[Project, Revision]:
        """The code that an environment goes by.

        The default environment follows the working folder; any other one keeps what was applied to it,
        until ``anew`` a run or an apply brings the folder as it is now.
        """
        active = self.active(environment)
        if anew or active is None or environment == environments.DEFAULT:
            project = self.load()
            return project, self.snapshot(environment, project)
        return self.unpacked(active), active

    def prepare(
        self,
        environment: str,
        deployment: str | None,
        *,
        load: bool,
        progress: Progress | None,
        faults: Sequence[DataFault] = (),
    ) -> Prepared:
        """Make a deployment ready by the code that is due (see :class:`nenrin.loop.ports.Replay`)."""
        project, revision = self._due(environment, anew=load)
        chosen = project.deployment(deployment)
        if progress:
            progress("snapshot", 1, 1, revision.id)
        return self._preparer(environment, project, revision).prepare(
            environment,
            chosen,
            load=load,
            now=self._calendar.now(),
            progress=progress,
            faults=faults,
        )

    def policy(self, environment: str, prepared: Prepared, text: str) -> Prepared:
        """The same model under another deployment (see :class:`nenrin.loop.ports.Replay`)."""
        declared = declared_in(self._folder, *rival_of(text), prepared.served.model)
        spec = msgspec.structs.replace(declared.declared, name=prepared.declared.name)
        return msgspec.structs.replace(
            prepared, declared=spec, policy=gate_policy(self._folder, spec)
        )

    def on_table(self, prepared: Prepared, table: str) -> Prepared:
        """The same deployment over another row table, kept under the digest ``table``."""
        trainer = prepared.trainer
        return msgspec.structs.replace(
            prepared,
            table=RowTable.open(self._store.file(table)),
            table_digest=table,
            trainer=trainer.on_table(table) if isinstance(trainer, GraphTrainer) else trainer,
        )

    def by_revision(self, environment: str, revision: str, deployment: str) -> Prepared:
        """The deployment over the newest data, by the code of an earlier revision."""
        with self._units.read(environment) as unit:
            found = self._revisions.get(unit, revision)
        project = self.unpacked(found)
        return self._preparer(environment, project, found).prepare(
            environment,
            project.deployment(deployment),
            load=False,
            now=self._calendar.now(),
            progress=None,
        )

    def loaded(self, environment: str) -> tuple[str, ...]:
        """The ids of the newest loads of an environment."""
        newest = {v.dataset: v.id for v in self._data.versions(environment)}
        return tuple(newest.values())

    def own_steps(
        self,
        environment: str,
        project: Project,
        revision: Revision,
        models: Mapping[str, str],
        progress: Progress | None,
    ) -> dict[str, Any]:
        """Run the project's own steps, side by side where they do not wait for each other.

        Args:
            environment: whose newest data versions they read.
            project, revision: the working folder as it was read, and kept.
            models: digest of the newest version of each model.
            progress: told of each step.

        Returns:
            ``shown``: how what each step returned prints; ``ran``: those that were not taken from before;
            ``why``: why each of those ran; ``notes``: what people should know.
        """
        self._load_others(environment, project)
        own = self._own_graph(environment, project, revision, models)
        dispatcher = self._dispatcher(environment)
        try:
            done = self.engine(environment).run(own.graph(), progress, dispatcher)
        except NenrinError as error:
            error.where = error.where.replace(own.folder, str(self._folder))
            raise
        steps = {name: done.outputs[name] for name in project.steps}
        return {
            "shown": {name: own.shown(output) for name, output in steps.items()},
            "ran": [name for name in done.ran if name.partition("[")[0] in steps],
            "why": {name: why for name, why in done.why.items() if name in steps},
            "notes": [*self._notes(), *own.undeclared],
        }

    def _load_others(self, environment: str, project: Project) -> None:
        """Load the datasets that steps read and no deployment does."""
        read = {name for step in project.steps.values() for name in step.declared.inputs}
        loaded = {
            d.declared.name for each in project.deployments.values() for d in datasets_of(each)
        }
        for name, dataset in project.datasets.items():
            if name in read - loaded:
                self._data.load(environment, dataset, self._calendar.now())

    def _own_graph(
        self, environment: str, project: Project, revision: Revision, models: Mapping[str, str]
    ) -> OwnGraph:
        reader = SourceReader(project.folder, FILE)
        return OwnGraph(
            project,
            str(unpack(revision, self._store, self._unpacked)),
            run=derived_id("run", environment, revision.id, self._calendar.now()),
            code=lambda step: reader.code_of(step.function),
            datasets={v.dataset: v.manifest for v in self._data.versions(environment)},
            models=models,
            store=self._store,
        )

    def data_end(self, environment: str) -> int | None:
        """The newest instant at which anything of an environment's data became known."""
        return max((v.bound for v in self._data.versions(environment)), default=None)

    def plan(self, environment: str, models: Mapping[str, str]) -> dict[str, Any]:
        """The graph of every deployment and of the own steps, and what a run would do with each node.

        ``models``: digest of the newest version of each model, which steps would read.
        """
        project = self.load()
        if not project.steps and not project.deployments:
            project.deployment()
        revision = snapshot(project.folder, self._store, _files(project))
        preparer = self._preparer(environment, project, revision)
        now, engine = self._calendar.now(), self.engine(environment)
        own = self._own_graph(environment, project, revision, models).graph()
        return {
            "revision": revision.id,
            "deployments": [
                self._planned(
                    deployment,
                    engine.plan(
                        preparer.stages(environment, deployment, load=True, now=now).whole()
                    ),
                )
                for deployment in project.deployments.values()
            ],
            "steps": [
                msgspec.to_builtins(node) for node in engine.plan(own) if node.name in project.steps
            ],
        }

    def _planned(self, deployment: Deployment, nodes: Sequence[Planned]) -> dict[str, Any]:
        model, declared = deployment.model.declared, deployment.declared
        rows = next((node.output for node in nodes if node.name == f"rows:{model.name}"), "")
        return {
            "name": declared.name,
            "model": model.name,
            "metric": model.metric,
            "refresh": str(declared.refresh),
            "recipes": [recipe.name for recipe in declared.recipes],
            "nodes": [msgspec.to_builtins(node) for node in nodes],
            "limits": _limits(self._store, deployment, rows)
            if rows and self._store.has(rows)
            else [],
        }

    def _preparer(self, environment: str, project: Project, revision: Revision) -> Preparer:
        return Preparer(
            project,
            revision,
            unpack(revision, self._store, self._unpacked),
            run=derived_id("run", environment, revision.id, self._calendar.now()),
            engine=self.engine(environment),
            dispatcher=lambda: self._dispatcher(environment),
            executor=self._executor(),
            data=self._data,
            store=self._store,
            join_memory=self.join_memory,
        )

    def engine(self, environment: str) -> Engine:
        """What remembers the steps of an environment."""
        return Engine(self._units, self._results, self._calendar, self._timer, environment)


def _files(project: Project) -> list[str]:
    """Files that are inputs: imported models, what steps declare. Data files are read by their own bytes."""
    models = [model.declared.imported for model in project.models.values()]
    rules = {deployment.declared.gates for deployment in project.deployments.values()}
    return [
        *[path for path in sorted(rules) if is_file_of(project.folder, path)],
        *[path for each in models if each is not None for path in _imported(each, project.folder)],
        *[file for step in project.steps.values() for file in step.declared.files],
    ]


def _imported(imported: Imported, folder: Path) -> list[str]:
    """The files of a model that is brought along: one, those of its folder, or none behind a URL."""
    if imported.timeout:
        return []
    within = sorted(each for each in (folder / imported.path).rglob("*") if each.is_file())
    return [str(each) for each in within] or [imported.path]


def _limits(store: ContentStore, deployment: Deployment, rows: str) -> list[str]:
    """What the rows built last keep the loop from doing."""
    table = RowTable.open(store.file(rows))
    labelled = table.answered < NEVER
    if deployment.model.rows.declared.time is None or not labelled.any():
        return []
    age = settle_age(table.answered[labelled] - table.asked[labelled])
    return limits(deployment.declared, table, deployment.declared.settle or age)
