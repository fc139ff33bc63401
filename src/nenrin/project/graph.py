"""Makes a deployment ready for the loop: the project's graph, run on the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from nenrin.core.digest import digest
from nenrin.core.errors import RequestError
from nenrin.core.store import ContentStore
from nenrin.data.faults import DataFault
from nenrin.data.service import DataService
from nenrin.features.service import FeatureSet
from nenrin.gates.evidence import read_policy
from nenrin.gates.policy import Policy
from nenrin.loop.declare import Deployment, DeploymentSpec
from nenrin.loop.ports import Prepared, Progress, Served
from nenrin.pipelines.dispatcher import Dispatcher
from nenrin.pipelines.engine import Engine
from nenrin.pipelines.executor import Executor
from nenrin.pipelines.source import SourceReader
from nenrin.project.apart import Apart
from nenrin.project.compiling import compiling
from nenrin.project.data_tests import DataTests
from nenrin.project.loader import FILE, Project
from nenrin.project.looking_up import lookup_of
from nenrin.project.personal import log_rules
from nenrin.project.revision import Revision
from nenrin.project.stages import Stages
from nenrin.project.trainer import GraphTrainer
from nenrin.serving.signature import RequestSignature
from nenrin.training.asking import asked_by
from nenrin.training.declare import Model
from nenrin.training.table import RowTable
from nenrin.training.tasks import Task, infer_task


class Preparer:
    """Runs the graph of one revision's deployments up to their rows, and opens trainers over them.

    Args:
        project: the project's declarations.
        revision: the snapshot that workers import.
        folder: where that snapshot is unpacked.
        run: what asks for it.
        engine, dispatcher, executor, data, store: what the graph runs on.
        join_memory: bytes that a process may take for an index of a dataset.
    """

    def __init__(
        self,
        project: Project,
        revision: Revision,
        folder: Path,
        *,
        run: str,
        engine: Engine,
        dispatcher: Callable[[], Dispatcher],
        executor: Executor,
        data: DataService,
        store: ContentStore,
        join_memory: int,
    ) -> None:
        self._project = project
        self._revision = revision
        self._folder = folder
        self._run = run
        self._engine = engine
        self._dispatcher = dispatcher
        self._executor = executor
        self._data = data
        self._store = store
        self._apart = Apart(store, dispatcher, run=run, folder=str(folder), memory=join_memory)

    def prepare(
        self,
        environment: str,
        deployment: Deployment,
        *,
        load: bool,
        now: int,
        progress: Progress | None,
        faults: Sequence[DataFault] = (),
    ) -> Prepared:
        """Run the graph and give what the loop needs; ``faults`` are played into what it reads."""
        stages = self.stages(
            environment, deployment, load=load, now=now, progress=progress, faults=faults
        )
        outputs = self._engine.run(stages.prepare(), progress).outputs
        _check_faults(
            faults, {d.declared.name: stages.frame(d.declared.name) for d in stages.datasets}
        )
        model = deployment.model
        table_digest = outputs[f"rows:{model.declared.name}"]
        table = RowTable.open(self._store.file(table_digest))
        task = infer_task(model, table)
        trainer = self._trainer(stages, deployment, table_digest, task, progress)
        features = outputs[f"features:{model.declared.name}"]
        served = self._served(stages, deployment, task, features)
        frames = {d.declared.name: stages.frame(d.declared.name) for d in stages.datasets}
        zone = model.rows.declared.tz or "UTC"
        tests = DataTests(frames, {d.declared.name: d.declared.tz or zone for d in stages.datasets})
        stages.forget()
        return Prepared(
            declared=deployment.declared,
            task=task,
            table=table,
            table_digest=table_digest,
            timed=model.rows.declared.time is not None,
            trainer=trainer,
            costs=lambda: msgspec.structs.asdict(trainer.costs),
            served=served,
            policy=gate_policy(self._project.folder, deployment.declared),
            project=self._revision.digest,
            data={name: version.id for name, version in sorted(stages.versions.items())},
            rows=model.rows.declared.name,
            checks=tests.findings,
            end=min(stages.versions[name].bound for name in _of_rows(model)),
            newest=max(version.bound for version in stages.versions.values()),
            trains=model.declared.imported is None,
            compiles=compiling(self._executor, table_digest, str(self._folder)),
        )

    def stages(
        self,
        environment: str,
        deployment: Deployment,
        *,
        load: bool,
        now: int,
        progress: Progress | None = None,
        faults: Sequence[DataFault] = (),
    ) -> Stages:
        """The deployment's graph, bound to this revision."""
        return Stages(
            self._project,
            deployment,
            environment=environment,
            revision=self._revision,
            load=load,
            now=now,
            data=self._data,
            store=self._store,
            apart=self._apart,
            progress=progress,
            faults=faults,
        )

    def _trainer(
        self,
        stages: Stages,
        deployment: Deployment,
        table: str,
        task: Task,
        progress: Progress | None,
    ) -> GraphTrainer:
        model, versions = deployment.model, dict(stages.versions)

        @cache
        def known_by(instant: int) -> dict[str, str]:
            return {
                name: self._data.digest_as_of(version, instant)
                for name, version in versions.items()
            }

        return GraphTrainer(
            model=model,
            code=self._code_of(model),
            revision=self._revision.digest,
            folder=str(self._folder),
            shown=str(self._project.folder),
            table=table,
            task=task,
            data=known_by,
            run=self._run,
            dispatcher=self._dispatcher,
            executor=self._executor,
            engine=self._engine,
            store=self._store,
            refuses=deployment.declared.where if deployment.declared.unseen == "refuse" else "",
            progress=progress,
        )

    def _code_of(self, model: Model) -> str:
        """Digest of what decides what a model's function does; where that cannot be told, of the revision."""
        if model.function is None:
            return self._revision.digest
        code = SourceReader(self._project.folder, FILE).code_of(model.function)
        return self._revision.digest if code.doubts else digest(code.parts)

    def _served(self, stages: Stages, deployment: Deployment, task: Task, features: str) -> Served:
        rows = deployment.model.rows.declared
        frame = stages.frame(rows.name)
        state = FeatureSet.loads(self._store.get(features))
        needed = state.request_columns
        frames = {d.declared.name: stages.frame(d.declared.name) for d in stages.datasets}
        log = log_rules(deployment, stages.datasets, frames, state)
        known = {n: t for n, t in frame.schema.items() if not n.startswith("__")}
        time, shift = asked_by(deployment.model)
        request = RequestSignature.of(
            needed,
            known=known,
            key=rows.key,
            time=time,
            shift=shift,
            zone=rows.tz,
            output="probability" if task.kind == "binary" else "prediction",
            sticky=deployment.declared.sticky,
            lookup=lookup_of(deployment, state),
            unseen=deployment.declared.unseen,
        )
        chosen = frame.row(frame.height - 1 if rows.time else 0, named=True)
        return Served(
            deployment=deployment.declared.name,
            model=deployment.model.declared.name,
            revision=self._revision.id,
            request=request,
            example={
                # everybody who may ask gets to see it
                field.name: None if field.name in log.row else _plain(chosen.get(field.name))
                for field in request.fields
            },
            features=features,
            log=log,
            unanswered=state.too_large,
        )


def gate_policy(folder: Path, declared: DeploymentSpec) -> Policy:
    """The gate's rules of a deployment: the default, or those of a file of the project, or written inline."""
    rules = declared.gates
    if not rules:
        return read_policy()
    if is_file_of(folder, rules):
        path = folder / rules
        return read_policy(path.read_text("utf-8"), str(path))
    return read_policy(rules, declared.where)


def is_file_of(folder: Path, rules: str) -> bool:
    """Whether ``gates=`` names a file of the project."""
    return bool(rules) and "\n" not in rules and (folder / rules).is_file()


def _check_faults(faults: Sequence[DataFault], frames: Mapping[str, pl.DataFrame]) -> None:
    """Refuse a fault of a column that no dataset has.

    Raises:
        RequestError: there is none of that name; says which there are.
    """
    known = {
        name for frame in frames.values() for name in frame.columns if not name.startswith("__")
    }
    for fault in faults:
        if fault.what and fault.kind != "late_labels" and fault.what not in known:
            raise RequestError(
                f"no dataset has a column {fault.what!r}",
                hint=f"there are {', '.join(sorted(known))}",
                where=fault.text,
            )


def _plain(value: Any) -> Any:
    """A value of a stored row as JSON has it: instants as ISO 8601 text."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def _of_rows(model: Model) -> tuple[str, str]:
    """The datasets of the model's rows and of its label."""
    return model.rows.declared.name, model.label_column.dataset.declared.name
