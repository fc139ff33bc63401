"""Makes deployments ready for the loop: the folder as a revision, its graph run, a trainer over the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from nenrin.core.calendar import Calendar
from nenrin.core.errors import NenrinError
from nenrin.core.store import ContentStore
from nenrin.core.timer import Timer
from nenrin.core.unit import Unit, Units
from nenrin.data.service import DataService
from nenrin.loop.declare import Deployment
from nenrin.loop.ports import Prepared, Progress
from nenrin.pipelines.engine import Engine, Planned
from nenrin.pipelines.executor import Executor
from nenrin.pipelines.graph import Graph, Node
from nenrin.pipelines.ports import Results
from nenrin.project.graph import Preparer
from nenrin.project.loader import Project, load_project
from nenrin.project.own_steps import StepJob, StepOutput, job_of, run_step
from nenrin.project.revision import Revision, snapshot, unpack
from nenrin.project.trainer import GraphTrainer
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

    def load(self) -> Project:
        """The declarations of the working folder, with steps that can be put in order."""
        project = load_project(self._folder)
        Graph(_own_nodes(project))
        return project

    def snapshot(self, environment: str) -> Revision:
        """Keep the working folder as a revision and make it the environment's active one."""
        return self._snapshot(environment, self.load())

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

    def prepare(
        self, environment: str, deployment: str | None, *, load: bool, progress: Progress | None
    ) -> Prepared:
        """Snapshot the folder and make a deployment ready (see :class:`nenrin.loop.ports.Replay`)."""
        project = self.load()
        chosen = project.deployment(deployment)
        revision = self._snapshot(environment, project)
        if progress:
            progress("snapshot", 1, 1, revision.id)
        return self._preparer(environment, project, revision).prepare(
            environment, chosen, load=load, now=self._calendar.now(), progress=progress
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

    def features(self, environment: str, revision: str, deployment: str) -> str:
        """Digest of the feature state over the newest data by the code of an earlier revision."""
        with self._units.read(environment) as unit:
            found = self._revisions.get(unit, revision)
        project = self.unpacked(found)
        prepared = self._preparer(environment, project, found).prepare(
            environment,
            project.deployment(deployment),
            load=False,
            now=self._calendar.now(),
            progress=None,
        )
        return prepared.served.features

    def loaded(self, environment: str) -> tuple[str, ...]:
        """The ids of the newest loads of an environment."""
        newest = {v.dataset: v.id for v in self._data.versions(environment)}
        return tuple(newest.values())

    def own_steps(
        self, environment: str, models: Mapping[str, str], progress: Progress | None
    ) -> dict[str, str]:
        """Run the project's own steps in order; how what each returned prints.

        Args:
            environment: whose newest data versions they read.
            models: digest of the newest version of each model.
            progress: told of each step.
        """
        project = self.load()
        graph = Graph(_own_nodes(project))
        revision = self._snapshot(environment, project)
        folder = str(unpack(revision, self._store, self._unpacked))
        datasets = {v.dataset: v.manifest for v in self._data.versions(environment)}
        outputs: dict[str, str] = {}
        shown: dict[str, str] = {}
        for done, node in enumerate(node for node in graph if node.name in project.steps):
            if progress:
                progress(node.name, done, len(project.steps), "")
            step = project.steps[node.name]
            job = job_of(step, folder, datasets=datasets, models=models, outputs=outputs)
            result = self._own_step(environment, revision, job)
            outputs[node.name], shown[node.name] = result.value, result.shown
        return shown

    def _own_step(self, environment: str, revision: Revision, job: StepJob) -> StepOutput:
        """A step's output, remembered by code and inputs."""
        engine = self._engine(environment)
        read = {**job.datasets, **job.models, **job.steps}
        parts = {"code": revision.digest, "reads": read}
        known = engine.remembered(job.step, parts)
        if known is not None and self._store.has(known.output):
            return msgspec.json.decode(self._store.get(known.output), type=StepOutput)
        try:
            result = self._executor().submit(run_step, job).result()
        except NenrinError as error:
            error.where = error.where.replace(job.project, str(self._folder))
            raise
        engine.remember(job.step, parts, self._store.put(msgspec.json.encode(result)), 0.0)
        return result

    def data_end(self, environment: str) -> int | None:
        """The newest instant at which anything of an environment's data became known."""
        return max((v.bound for v in self._data.versions(environment)), default=None)

    def plan(self, environment: str) -> dict[str, Any]:
        """The graph of every deployment, and what a run would do with each node."""
        project = self.load()
        if not project.deployments:
            project.deployment()
        revision = snapshot(project.folder, self._store, _files(project))
        preparer = self._preparer(environment, project, revision)
        now, engine = self._calendar.now(), self._engine(environment)
        return {
            "revision": revision.id,
            "deployments": [
                _planned(
                    deployment,
                    engine.plan(
                        preparer.stages(environment, deployment, load=True, now=now).whole()
                    ),
                )
                for deployment in project.deployments.values()
            ],
        }

    def _snapshot(self, environment: str, project: Project) -> Revision:
        revision = snapshot(project.folder, self._store, _files(project))
        active = self.active(environment)
        if active is None or active.id != revision.id:
            with self._units.write(environment, self._calendar.now()) as unit:
                self._revisions.add(unit, revision)
                unit.record("revision.activated", revision.id, {"digest": revision.digest})
        return revision

    def _preparer(self, environment: str, project: Project, revision: Revision) -> Preparer:
        return Preparer(
            project,
            revision,
            unpack(revision, self._store, self._unpacked),
            engine=self._engine(environment),
            executor=self._executor(),
            data=self._data,
            store=self._store,
        )

    def _engine(self, environment: str) -> Engine:
        return Engine(self._units, self._results, self._calendar, self._timer, environment)


def _files(project: Project) -> list[str]:
    """Files that are inputs of training: imported models. Data files are read by their own bytes."""
    return [
        model.declared.imported.path
        for model in project.models.values()
        if model.declared.imported is not None
    ]


def _planned(deployment: Deployment, nodes: Sequence[Planned]) -> dict[str, Any]:
    return {
        "name": deployment.declared.name,
        "model": deployment.model.declared.name,
        "metric": deployment.model.declared.metric,
        "recipes": [recipe.name for recipe in deployment.declared.recipes],
        "nodes": [msgspec.to_builtins(node) for node in nodes],
    }


def _own_nodes(project: Project) -> list[Node]:
    """The project's own steps as a graph, with what they read."""
    sources = [*project.datasets, *project.models]
    read = [Node(name=name, stage="input") for name in sources]
    return read + [
        Node(
            name=name,
            stage="own step",
            inputs=step.declared.inputs,
            where=step.declared.where,
        )
        for name, step in project.steps.items()
    ]
