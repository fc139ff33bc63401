"""Opens versions and feature states from the content store, here or in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from nenrin.core.store import ContentStore
from nenrin.features.service import FeatureSet
from nenrin.pipelines.executor import WorkerContext
from nenrin.registry.kinds import Answerer, Kinds, OpenContext, RowAnswerer
from nenrin.registry.kinds.compiled import CompiledForms
from nenrin.registry.kinds.rescoring import Rescoring
from nenrin.registry.version import Version
from nenrin.serving.ports import Features
from nenrin.serving.recalibrated import Recalibrated
from nenrin.serving.router import Variant
from nenrin.stats.platt import Platt

Project = Callable[[str], Mapping[str, Any]]
"""The attributes of the project module of a revision."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A version as its environment has it.

    Attributes:
        version: its record.
        models: the models that answer in it: itself, or its members; none of another kind.
        compiled: those of them that answer by their compiled forms.
    """

    version: Version
    models: Sequence[Version] = ()
    compiled: Sequence[Version] = ()


class StoreLoader:
    """Opens versions by what ``find`` says of them.

    Args:
        store: content.
        find: a version by its id; raises ``NotFoundError`` where there is none.
        project: finds what kinds need of a project.
        rescoring: compares what compiled forms answer.
        features: opens a feature state; left out, from the store.
    """

    def __init__(
        self,
        store: ContentStore,
        find: Callable[[str], Found],
        project: Project,
        rescoring: Rescoring,
        features: Callable[[str], Features] | None = None,
    ) -> None:
        self._store = store
        self._find = find
        self._project = project
        self._rescoring = rescoring
        self._features = features or self._kept
        self._kinds = Kinds()

    def open(self, variant: Variant) -> RowAnswerer | Recalibrated:
        """The variant's version, ready to answer rows by its shares."""
        found = self._find(variant.version)
        record = found.version
        context = OpenContext(
            store=self._store,
            project=_Later(partial(self._project, record.revision)),
            shares=tuple((part.slot, part.share) for part in variant.members),
            compiled=self._forms(found),
        )
        answerer: Answerer = self._kinds.get(record.kind).open(
            self._store.get(record.content), context
        )
        rows = RowAnswerer(answerer)
        if variant.recalibration is None:
            return rows
        a, b = variant.recalibration
        return Recalibrated(rows, Platt(a=a, b=b))

    def size(self, variant: Variant) -> int:
        """Bytes of the variant's models, their forms, and twice its feature state: as kept, and as read."""
        found = self._find(variant.version)
        forms = self._forms(found).outcomes.values()
        models = [found.version, *found.models]
        contents = {model.content for model in models} | {form.content for form in forms}
        states = [variant.features] * 2 if variant.features else []
        return sum(map(self._store.size, [*contents, *states]))

    def features(self, digest: str) -> Features:
        """The feature state kept under ``digest``."""
        return self._features(digest)

    def _forms(self, found: Found) -> CompiledForms:
        return CompiledForms(self._store, list(found.compiled), self._rescoring)

    def _kept(self, digest: str) -> Features:
        return FeatureSet.loads(self._store.get(digest))


class Openings(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker opens versions by, beside the content store: it may have no database.

    Attributes:
        found: versions by id.
        folders: where revisions are unpacked, by id; another machine goes by the folder's name.
        uncompiled: where it is told that a compiled form was given up.
        rescore: one batch in so many is compared; 0: none.
    """

    found: dict[str, Found]
    folders: dict[str, str]
    uncompiled: Path
    rescore: int

    def loader(self, context: WorkerContext) -> StoreLoader:
        """What opens them in a worker."""

        def project(revision: str) -> Mapping[str, Any]:
            return context.project(self.folders[revision]) if revision else {}

        rescoring = Rescoring(self.uncompiled, self.rescore)
        return StoreLoader(context.store, self.found.__getitem__, project, rescoring)


class _Later(Mapping[str, Any]):
    """The attributes of a project module that is imported when somebody looks at them.

    Projects import their libraries, which a compiled model does without.
    """

    def __init__(self, find: Callable[[], Mapping[str, Any]]) -> None:
        self._find = find

    def __getitem__(self, name: str) -> Any:
        return self._find()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._find())

    def __len__(self) -> int:
        return len(self._find())
