"""The composition root of data planes: what reads routes, and opens what they name.

It is apart from :mod:`nenrin.platform`, for planes need little of that, and there are several of them.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from nenrin.project.loader import project_attributes
from nenrin.project.revision import unpack
from nenrin.registry.forms import ServedForms
from nenrin.registry.kinds.rescoring import Rescoring
from nenrin.serving.opening import Found, StoreLoader
from nenrin.serving.plane.process import PlaneParts, PlaneSettings
from nenrin.serving.ports import Features, LiveRoute

UNCOMPILED = "uncompiled"  # what planes write of compiled forms that were given up


def plane_parts(settings: PlaneSettings) -> PlaneParts:
    """The data plane's adapters, made in its own process: reads only, from files on this machine."""
    units = Database(settings.database, read_only=True)
    store = store_of(settings)
    timer, calendar = SystemTimer(), SystemCalendar()
    rescoring = Rescoring(settings.state_folder / UNCOMPILED, settings.rescore)
    forms = ServedForms(SqlVersions(), store, rescoring)
    known = Known(units, settings.environment, forms)
    online = open_online(settings.online, settings.state_folder, reads_only=True)
    projects = Projects(units, store, settings.state_folder)
    return PlaneParts(
        routes=Routes(units, settings.environment, calendar, forms),
        loader=StoreLoader(
            store,
            known.find,
            partial(projects.attributes, settings.environment),
            rescoring,
            partial(_read_online, store, online, settings.environment) if online else None,
        ),
        calendar=calendar,
        timer=timer,
        rescoring=rescoring,
    )


def _read_online(
    store: ContentStore, online: OnlineStore, environment: str, digest: str
) -> Features:
    return OnlineFeatures(store.file(digest), online, environment, digest)


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
            return [
                LiveRoute(
                    deployment=deployment,
                    stands_at=stands,
                    forms=self._forms.words(unit, [v.version for v in deployment.route.loaded]),
                )
                for deployment in self._deployments.all(unit)
            ]

    def _stands(self, unit: Unit) -> int | None:
        bounds = [version.bound for version in self._versions.all(unit)]
        return stands_at(max(bounds), self._calendar.now()) if bounds else None


class Projects:
    """The projects of revisions, each unpacked and imported once."""

    def __init__(self, units: Database, store: ContentStore, state_folder: Path) -> None:
        self._units = units
        self._store = store
        self._folder = state_folder / "revisions"
        self._revisions = SqlRevisions()
        self._imported: dict[str, Mapping[str, Any]] = {}

    def folder(self, environment: str, revision: str) -> Path:
        """Where a revision is unpacked."""
        with self._units.read(environment) as unit:
            found = self._revisions.get(unit, revision)
        return unpack(found, self._store, self._folder)

    def attributes(self, environment: str, revision: str) -> Mapping[str, Any]:
        """The attributes of the project module of a revision; none where ``revision`` is empty."""
        if not revision:
            return {}
        if revision not in self._imported:
            self._imported[revision] = project_attributes(self.folder(environment, revision))
        return self._imported[revision]


class Known:
    """The versions of an environment."""

    def __init__(self, units: Database, environment: str, forms: ServedForms) -> None:
        self._units = units
        self._environment = environment
        self._forms = forms
        self._versions = SqlVersions()

    def find(self, version: str) -> Found:
        """A version, and the models that answer in it.

        Raises:
            NotFoundError: there is none of that id.
        """
        with self._units.read(self._environment) as unit:
            record = self._versions.get(unit, version)
            models, compiled = self._forms.models(unit, version)
        if record is None:
            raise NotFoundError(
                f"there is no version {version} in {self._environment}",
                hint="nenrin models list shows those there are",
            )
        return Found(version=record, models=models, compiled=compiled)
