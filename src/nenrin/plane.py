"""The composition root of data planes: what reads routes, and opens what they name.

It is apart from :mod:`nenrin.platform`, for planes need little of that, and there are several of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from nenrin.backends.blobs.opening import store_at
from nenrin.backends.online.opening import open_online
from nenrin.backends.sql.data import SqlDatasetVersions
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.project import SqlRevisions
from nenrin.backends.sql.registry import SqlVersions
from nenrin.backends.sql.serving import SqlDeployments
from nenrin.core.calendar import Calendar, SystemCalendar, stands_at
from nenrin.core.errors import NotFoundError
from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer
from nenrin.core.unit import Unit
from nenrin.features.online import OnlineFeatures
from nenrin.features.ports import OnlineStore
from nenrin.features.service import FeatureSet
from nenrin.project.loader import project_attributes
from nenrin.project.revision import unpack
from nenrin.registry.forms import ServedForms, models_of
from nenrin.registry.kinds import Answerer, Kinds, OpenContext, RowAnswerer
from nenrin.registry.kinds.rescoring import Rescoring
from nenrin.serving.deployments import Deployment
from nenrin.serving.plane.process import PlaneParts, PlaneSettings
from nenrin.serving.ports import Features, LiveRoute
from nenrin.serving.recalibrated import Recalibrated
from nenrin.serving.router import Variant
from nenrin.stats.platt import Platt

UNCOMPILED = "uncompiled"  # what planes write of compiled forms that were given up


def plane_parts(settings: PlaneSettings) -> PlaneParts:
    """The data plane's adapters, made in its own process: reads only, from files on this machine."""
    units = Database(settings.database, read_only=True)
    store = store_of(settings)
    timer, calendar = SystemTimer(), SystemCalendar()
    rescoring = Rescoring(settings.state_folder / UNCOMPILED, settings.rescore)
    forms = ServedForms(SqlVersions(), store, rescoring)
    online = open_online(settings.online, settings.state_folder, reads_only=True)
    projects = Projects(units, store, settings.state_folder)
    return PlaneParts(
        routes=Routes(units, settings.environment, calendar, forms),
        loader=VersionLoader(units, store, settings.environment, projects, forms, online),
        calendar=calendar,
        timer=timer,
        rescoring=rescoring,
    )


def store_of(settings: PlaneSettings) -> ContentStore:
    """The content store, to read from."""
    return store_at(settings.store, settings.state_folder)


class Routes:
    """Reads routes from the state database."""

    def __init__(
        self, units: Database, environment: str, calendar: Calendar, forms: ServedForms
    ) -> None:
        self._units = units
        self._forms = forms
        self._environment = environment
        self._calendar = calendar
        self._deployments = SqlDeployments()
        self._versions = SqlDatasetVersions()

    def routes(self) -> list[LiveRoute]:
        """Every deployment, and where the environment's calendar stands."""
        with self._units.read(self._environment) as unit:
            stands = self._stands(unit)
            return [self._live(unit, each, stands) for each in self._deployments.all(unit)]

    def _live(self, unit: Unit, deployment: Deployment, stands: int | None) -> LiveRoute:
        told = self._forms.told(unit, [each.version for each in deployment.route.loaded])
        return LiveRoute(
            deployment=deployment, stands_at=stands, forms=told.words, untried=told.untried
        )

    def _stands(self, unit: Unit) -> int | None:
        bounds = [version.bound for version in self._versions.all(unit)]
        return stands_at(max(bounds), self._calendar.now()) if bounds else None


class Projects:
    """The project modules of revisions, each imported once."""

    def __init__(self, units: Database, store: ContentStore, state_folder: Path) -> None:
        self._units = units
        self._store = store
        self._folder = state_folder / "revisions"
        self._revisions = SqlRevisions()
        self._imported: dict[str, Mapping[str, Any]] = {}

    def attributes(self, environment: str, revision: str) -> Mapping[str, Any]:
        """The attributes of the project module of a revision; none where ``revision`` is empty."""
        if not revision:
            return {}
        if revision not in self._imported:
            with self._units.read(environment) as unit:
                found = self._revisions.get(unit, revision)
            self._imported[revision] = project_attributes(unpack(found, self._store, self._folder))
        return self._imported[revision]


class _Later(Mapping[str, Any]):
    """The attributes of a project module that is imported when somebody looks at them.

    Projects import their libraries, which a compiled model does without.
    """

    def __init__(self, projects: Projects, environment: str, revision: str) -> None:
        self._find = partial(projects.attributes, environment, revision)

    def __getitem__(self, name: str) -> Any:
        return self._find()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._find())

    def __len__(self) -> int:
        return len(self._find())


class VersionLoader:
    """Opens versions and feature states from the content store."""

    def __init__(
        self,
        units: Database,
        store: ContentStore,
        environment: str,
        projects: Projects,
        forms: ServedForms,
        online: OnlineStore | None,
    ) -> None:
        self._units = units
        self._forms = forms
        self._store = store
        self._environment = environment
        self._versions = SqlVersions()
        self._kinds = Kinds()
        self._projects = projects
        self._online = online

    def open(self, variant: Variant) -> RowAnswerer | Recalibrated:
        """The variant's version, ready to answer rows by its shares."""
        with self._units.read(self._environment) as unit:
            record = self._versions.get(unit, variant.version)
            compiled = self._forms.of(unit, variant.version)
        if record is None:
            raise NotFoundError(
                f"there is no version {variant.version} in {self._environment}",
                hint="nenrin models list shows those there are",
            )
        project = _Later(self._projects, self._environment, record.revision)
        shares = tuple((part.slot, part.share) for part in variant.members)
        context = OpenContext(store=self._store, project=project, shares=shares, compiled=compiled)
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
        with self._units.read(self._environment) as unit:
            get = partial(self._versions.get, unit)
            record = get(variant.version)
            models = [record, *models_of(get, variant.version)]
            forms = self._forms.of(unit, variant.version).outcomes.values()
        contents = {model.content for model in models if model} | {form.content for form in forms}
        states = [variant.features] * 2 if variant.features else []
        return sum(map(self._store.size, [*contents, *states]))

    def features(self, digest: str) -> Features:
        """The feature state kept under ``digest``; where an online store is set, read from there."""
        if self._online is None:
            return FeatureSet.loads(self._store.get(digest))
        return OnlineFeatures(self._store.file(digest), self._online, self._environment, digest)
