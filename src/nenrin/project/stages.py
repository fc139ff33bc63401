"""The stages of a deployment as nodes: load, check, profile, features, rows; then what the loop decides.

Each node is a room's verb with its key: what it reads, by digest, and the code it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import polars as pl

from nenrin.core.errors import DataError
from nenrin.core.settings import JOIN_MEMORY
from nenrin.core.store import ContentStore, whole
from nenrin.data.declare import Dataset
from nenrin.data.faults import DataFault
from nenrin.data.service import DataService
from nenrin.data.spec import DatasetSpec
from nenrin.data.versions import DatasetVersion
from nenrin.features.partitioned import PartitionedView
from nenrin.features.service import FeatureSet
from nenrin.loop.declare import Deployment
from nenrin.pipelines.graph import Graph, Node
from nenrin.project.apart import Apart
from nenrin.project.label_texts import new_label_texts
from nenrin.project.loader import Project
from nenrin.project.own_graph import explained_by
from nenrin.project.revision import Revision, code_of
from nenrin.training.asking import ask, asked_by
from nenrin.training.declare import Model
from nenrin.training.labels import check_columns
from nenrin.training.table import RowTable

Progress = Callable[[str, int, int, str], None]

_Listed = tuple[str, str, tuple[str, ...]]
"""A node to be: its name, its stage, what it reads."""


class Stages:
    """Nodes of one deployment, bound to the rooms that run them.

    Args:
        project: the project's declarations.
        deployment: whose graph it is.
        environment: where data is loaded.
        revision: the revision that runs.
        load: load datasets anew; otherwise only those that have no version yet.
        now: business instant of a load.
        data, store: the rooms' services.
        apart: does what is too large for this process.
        faults: what a backtest plays into the data.
    """

    def __init__(
        self,
        project: Project,
        deployment: Deployment,
        *,
        environment: str,
        revision: Revision,
        load: bool,
        now: int,
        data: DataService,
        store: ContentStore,
        apart: Apart,
        progress: Progress | None = None,
        faults: Sequence[DataFault] = (),
    ) -> None:
        self._apart = apart
        self._faults = faults
        self.project = project
        self.deployment = deployment
        self.versions: dict[str, DatasetVersion] = {}
        self._environment = environment
        self._revision = revision
        self._load = load
        self._now = now
        self._data = data
        self._store = store
        self._progress = progress
        self._frames: dict[str, pl.DataFrame] = {}

    @property
    def model(self) -> Model:
        """The deployment's model."""
        return self.deployment.model

    @property
    def datasets(self) -> list[Dataset]:
        """Every dataset that the model reads."""
        return datasets_of(self.deployment)

    def prepare(self) -> Graph:
        """The graph up to the point-in-time rows."""
        return Graph([*self._data_nodes(), *self._row_nodes()])

    def whole(self) -> Graph:
        """The whole graph: as :meth:`prepare`, then what each look does."""
        return Graph([*self._data_nodes(), *self._row_nodes(), *self._look_nodes()])

    def frame(self, name: str) -> pl.DataFrame:
        """Every stored row of a dataset, as of the loaded version, with the faults that are played in."""
        if name not in self._frames:
            frame, zone = (
                self._data.frame(self.versions[name]),
                self.model.rows.declared.tz or "UTC",
            )
            for fault in self._faults:
                frame = fault.apply(
                    frame,
                    zone,
                    rows=name == self.model.rows.declared.name,
                    label=name == self.model.label_column.dataset.declared.name,
                )
            self._frames[name] = frame
        return self._frames[name]

    def forget(self) -> None:
        """Let go of the frames."""
        self._frames.clear()

    def _data_nodes(self) -> list[Node]:
        nodes = []
        for dataset in self.datasets:
            spec = dataset.declared
            name = f"load:{spec.name}"
            known = self._data.versions(self._environment, spec.name)
            nodes.append(
                Node(
                    name=name,
                    stage="data extraction",
                    expected=known[-1].manifest if known else "",
                    run=partial(self._loaded, dataset),
                    where=spec.where,
                    note=spec.path or "",
                )
            )
            for verb, stage, run in (
                ("check", "data validation", self._checked),
                ("profile", "data analysis", self._profiled),
            ):
                nodes.append(
                    Node(
                        name=f"{verb}:{spec.name}",
                        stage=stage,
                        inputs=(name,),
                        parts={"declared": _said(spec)},
                        intact=partial(whole, self._store),
                        run=partial(run, dataset),
                        where=spec.where,
                    )
                )
        return nodes

    def _row_nodes(self) -> list[Node]:
        model = self.model.declared
        loads = tuple(f"load:{dataset.declared.name}" for dataset in self.datasets)
        code = code_of(self._revision, self._store)
        common: dict[str, Any] = {
            "stage": "data preparation",
            "parts": {
                "code": self._revision.digest,
                "model": model.name,
                **({"faults": [fault.text for fault in self._faults]} if self._faults else {}),
            },
            "plain": frozenset({"model", "faults"}),
            "intact": partial(whole, self._store),
            "told": self._store.put(msgspec.json.encode(code)),
            "explained": explained_by(code, self._store),
            "where": model.where,
        }
        features, rows = f"features:{model.name}", f"rows:{model.name}"
        return [
            Node(name=features, inputs=loads, run=self._featured, **self._by_memory(common)),
            Node(name=rows, inputs=(features, *loads), run=self._rowed, **common),
        ]

    def _by_memory(self, node: dict[str, Any]) -> dict[str, Any]:
        """Whether features are indexed follows a setting, part of their key unless it is the default."""
        memory = self._apart.memory
        if memory == JOIN_MEMORY:
            return node
        parts = {**node["parts"], "join_memory": memory}
        return {**node, "parts": parts, "plain": node["plain"] | {"join_memory"}}

    def _look_nodes(self) -> list[Node]:
        """What a look does, decided by the loop when it gets there."""
        rows = f"rows:{self.model.declared.name}"
        fits, judged, shipped = self._fits(rows)
        listed = [
            *fits,
            ("evaluate", "model evaluation", (judged, rows)),
            ("gate", "model validation", ("evaluate",)),
            ("register", "model validation", shipped),
            ("roll out", "model deployment", ("gate", "register")),
            ("watch", "model monitoring", ("roll out",)),
        ]
        return [
            Node(name=node, stage=stage, inputs=inputs, where=self.model.declared.where)
            for node, stage, inputs in listed
        ]

    def _fits(self, rows: str) -> tuple[list[_Listed], str, tuple[str, ...]]:
        """What makes models: the nodes, the one whose model is judged, those whose models may ship."""
        imported = self.model.declared.imported
        if imported is not None:
            read = f"read:{imported.path}"
            return [(read, "model training", ())], read, (read,)
        tuned = ("tune",) if self.model.declared.tune else ()
        trains = [f"train:{recipe.name}" for recipe in self.deployment.declared.recipes]
        fits: list[_Listed] = [
            *([("tune", "model training", (rows,))] if tuned else []),
            *[(fit, "model training", (rows, *tuned)) for fit in ("twin", *trains)],
        ]
        return fits, "twin", tuple(trains)

    def _loaded(self, dataset: Dataset, inputs: Mapping[str, str]) -> str:
        name = dataset.declared.name
        known = self._data.versions(self._environment, name)
        if self._load or not known:
            version = self._data.load(
                self._environment, dataset, self._now, progress=self._progress
            )
            latest = known[-1] if known else None
            for note in new_label_texts(self._data, dataset, [self.model], latest, version):
                if self._progress is not None:
                    self._progress("load", 3, 3, note)
        else:
            version = known[-1]
        self.versions[name] = version
        return version.manifest

    def _checked(self, dataset: Dataset, inputs: Mapping[str, str]) -> str:
        version = self.versions[dataset.declared.name]
        found = self._data.check(dataset, version, version.bound)
        failed = [check for check in found if check["outcome"] == "fail"]
        if failed:
            raise DataError(
                f"{dataset.declared.name}: {failed[0]['says']}",
                hint="mend the loader or the file, then load again",
                where=dataset.declared.where,
            )
        return self._store.put(msgspec.json.encode(found))

    def _profiled(self, dataset: Dataset, inputs: Mapping[str, str]) -> str:
        version = self.versions[dataset.declared.name]
        manifest = self._data.manifest(version)
        if self._apart.is_for(manifest):
            found = self._apart.profile(version.manifest, manifest, self._progress)
        else:
            found = self._data.profile(version)
        return self._store.put(msgspec.json.encode(found))

    def _featured(self, inputs: Mapping[str, str]) -> str:
        model, label = self.model, self.model.label_column
        apart = self._joined_apart()
        read = {model.rows.declared.name, label.dataset.declared.name}
        frames = {
            name: self._data.header(version) if name in apart - read else self.frame(name)
            for name, version in self.versions.items()
        }
        check_columns(model, frames[model.rows.declared.name], frames[label.dataset.declared.name])
        return self._store.put(features_of(model, frames, apart).dumps())

    def _joined_apart(self) -> set[str]:
        """The datasets that are too large to be indexed here.

        What faults are played into is changed as a whole, and so it is answered as a whole.
        """
        if self._faults:
            return set()
        return {
            name
            for name, version in self.versions.items()
            if self._apart.is_for(self._data.manifest(version))
        }

    def _rowed(self, inputs: Mapping[str, str]) -> str:
        model = self.model
        features = FeatureSet.loads(self._store.get(inputs[f"features:{model.declared.name}"]))
        asked = ask(model, self.frame(model.rows.declared.name))
        joined = {
            name: self._apart.columns(
                part.traced,
                self._data.manifest(self.versions[part.traced.dataset]),
                asked.frame,
                asked.asked,
                self._progress,
            )
            for name, part in features.parts.items()
            if isinstance(part, PartitionedView)
        }
        columns = features.columns(asked.frame, asked.asked, joined)
        labels = self.frame(model.label_column.dataset.declared.name)
        return self._store.put(RowTable.build(model, asked, labels, columns).dumps())


def features_of(
    model: Model, frames: Mapping[str, pl.DataFrame], apart: Collection[str] = ()
) -> FeatureSet:
    """The features of a model over its datasets' frames; ``apart`` as :meth:`FeatureSet.build` takes it."""
    label = model.label_column
    return FeatureSet.build(
        model.features,
        model.rows,
        frames,
        label=label.name if label.dataset is model.rows else None,
        drop=model.declared.drop,
        time=asked_by(model)[0],
        apart=apart,
    )


def datasets_of(deployment: Deployment) -> list[Dataset]:
    """Every dataset that a deployment's model reads: its rows, its label's, its views'."""
    model = deployment.model
    views = model.features or ()
    found = [model.rows, model.label_column.dataset, *[view.dataset for view in views]]
    return list(dict.fromkeys(found))


def _said(spec: DatasetSpec) -> dict[str, Any]:
    """What is declared of a dataset and decides what is loaded."""
    said = msgspec.to_builtins(spec)
    return {name: value for name, value in said.items() if name not in ("where", "personal")}
