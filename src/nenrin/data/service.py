"""The verbs of this room: load datasets, list their versions, read them as they were known."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from nenrin.core.digest import canonical, derived_id
from nenrin.core.errors import (
    USERS_ERRORS,
    ConflictError,
    DataError,
    NenrinError,
    NotFoundError,
    StepError,
)
from nenrin.core.exits import exits_raise
from nenrin.core.instants import NEVER
from nenrin.core.store import ContentStore
from nenrin.core.unit import Units
from nenrin.data import checks, profile
from nenrin.data.declare import Dataset, columns_hidden_by_words
from nenrin.data.files import Manifest, digest_as_of, parquet, read_files, read_header, write_files
from nenrin.data.frames import table
from nenrin.data.ports import DatasetVersions
from nenrin.data.schema import check_names, fit_schema
from nenrin.data.spec import DatasetSpec
from nenrin.data.times import EVENT, KNOWN, with_instants
from nenrin.data.versions import DatasetVersion, Difference, difference

Progress = Callable[[str, int, int, str], None]


class DataService:
    """Datasets of every environment, over one content store."""

    def __init__(self, units: Units, store: ContentStore, records: DatasetVersions) -> None:
        self._units = units
        self._store = store
        self._records = records
        self._manifests: dict[str, Manifest] = {}

    def load(
        self,
        environment: str,
        dataset: Dataset,
        at: int,
        source: object = None,
        progress: Progress | None = None,
        *,
        backfill: bool = False,
    ) -> DatasetVersion:
        """Load a dataset: store what is new or changed, as a version of its own.

        Args:
            environment: where the version is recorded.
            dataset: the declaration; it gives the rows unless ``source`` does.
            at: business instant of the load.
            source: a table or path to take instead, whose rows are added or replace those of equal
                key.
            progress: told ``(stage, done, total, note)``.
            backfill: the rows belong to the past, and were known then.

        Returns:
            the new version, or the version before it, its counts saying so, where nothing is new.

        Raises:
            DataError: the load is empty, its schema is not the frozen one, a key is null or
                ambiguous.
            StepError: the dataset's function raised.
            ConflictError: another load of the dataset ended meanwhile.
        """
        spec = dataset.declared
        say = progress or _quiet
        say("load", 0, 3, spec.name)
        before = self._latest(environment, spec.name)
        stored = None if before is None else self.frame(before)
        given = _call(dataset) if source is None else source
        spec = msgspec.structs.replace(spec, path=_path(given))
        raw = table(given, spec, None if stored is None else dict(stored.schema))
        say("load", 1, 3, _note(raw, spec))
        found = difference(_prepared(raw, stored, spec, at), stored, spec, at, backfill=backfill)
        if before is not None and found.rows.is_empty():
            say("load", 3, 3, f"{spec.name}: nothing new")
            return msgspec.structs.replace(before, added=0, changed=0, unchanged=found.unchanged)
        manifest = self._extended(spec.name, before, found)
        say("load", 2, 3, f"{spec.name}: {found.added} new, {found.changed} changed rows")
        version = self._record(environment, before, manifest, found, at)
        say("load", 3, 3, f"{spec.name}: version {version.number}")
        return version

    def latest(self, environment: str, name: str) -> DatasetVersion:
        """The newest version of a dataset.

        Raises:
            NotFoundError: it was never loaded there.
        """
        version = self._latest(environment, name)
        if version is None:
            raise NotFoundError(
                f"dataset {name} has no version in {environment}",
                hint=f"load it: nenrin data load {name}",
            )
        return version

    def version(self, environment: str, version_id: str) -> DatasetVersion:
        """The version with this id.

        Raises:
            NotFoundError: the environment has none.
        """
        with self._units.read(environment) as unit:
            version = self._records.get(unit, version_id)
        if version is None:
            raise NotFoundError(
                f"there is no dataset version {version_id} in {environment}",
                hint="nenrin data list shows those there are",
            )
        return version

    def versions(self, environment: str, name: str | None = None) -> list[DatasetVersion]:
        """Every version, of one dataset or of all, by name and number."""
        with self._units.read(environment) as unit:
            return self._records.all(unit, name)

    def manifest(self, version: DatasetVersion) -> Manifest:
        """What the version consists of."""
        if version.manifest not in self._manifests:
            data = self._store.get(version.manifest)
            self._manifests[version.manifest] = msgspec.json.decode(data, type=Manifest)
        return self._manifests[version.manifest]

    def header(self, version: DatasetVersion) -> pl.DataFrame:
        """No rows of a version, but all its columns, ``__event__`` and ``__known__`` too."""
        return read_header(self.manifest(version), self._store)

    def frame(
        self,
        version: DatasetVersion,
        *,
        known_by: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """The rows of a version, or those known by an instant, by known instant and load order.

        Args:
            known_by: microseconds UTC, inclusive.
            columns: the user's columns wanted; ``__event__`` and ``__known__`` always come.
        """
        until = NEVER if known_by is None else known_by
        return read_files(self.manifest(version), self._store, until, columns)

    def digest_as_of(self, version: DatasetVersion, known_by: int) -> str:
        """The name of the rows known by an instant: equal where these rows are."""
        return digest_as_of(self.manifest(version), self._store, known_by)

    def profile(self, version: DatasetVersion, known_by: int | None = None) -> dict[str, Any]:
        """What each column holds: see :func:`nenrin.data.profile.profile`."""
        manifest = self.manifest(version)
        if known_by is None and manifest.rows > profile.PART:
            names = profile.profiled(manifest.schema)
            found = {name: profile.column_of_files(manifest, self._store, name) for name in names}
            return {"rows": manifest.rows, "columns": found}
        return profile.profile(self.frame(version, known_by=known_by))

    def check(
        self, dataset: Dataset, version: DatasetVersion, known_by: int
    ) -> list[dict[str, Any]]:
        """Check the rows known by an instant: see :func:`nenrin.data.checks.check`."""
        return checks.check(self.frame(version, known_by=known_by), dataset.declared)

    def _latest(self, environment: str, name: str) -> DatasetVersion | None:
        with self._units.read(environment) as unit:
            return self._records.latest(unit, name)

    def _extended(self, name: str, before: DatasetVersion | None, found: Difference) -> Manifest:
        """The manifest before, and the files that the difference adds."""
        old = () if before is None else self.manifest(before).files
        files = sorted([*old, *write_files(found.rows, self._store)], key=lambda ref: ref.day)
        return Manifest(
            dataset=name,
            schema={column: str(kind) for column, kind in found.rows.schema.items()},
            header=self._store.put(parquet(found.rows.clear())),
            files=tuple(files),
            bound=max(ref.known_max for ref in files),
            rows=sum(ref.rows for ref in files),
        )

    def _record(
        self,
        environment: str,
        before: DatasetVersion | None,
        manifest: Manifest,
        found: Difference,
        at: int,
    ) -> DatasetVersion:
        content = digest_as_of(manifest, self._store, NEVER)
        version = DatasetVersion(
            id=derived_id("data", manifest.dataset, content),
            dataset=manifest.dataset,
            environment=environment,
            number=1 if before is None else before.number + 1,
            manifest=self._store.put(canonical(msgspec.to_builtins(manifest))),
            rows=manifest.rows,
            added=found.added,
            changed=found.changed,
            unchanged=found.unchanged,
            bound=manifest.bound,
            at=at,
        )
        with self._units.write(environment, at) as unit:
            if self._records.latest(unit, manifest.dataset) != before:
                raise ConflictError(
                    f"another load of dataset {manifest.dataset} ended meanwhile", hint="load again"
                )
            self._records.add(unit, version)
            body = msgspec.to_builtins(version) | {"content": content}
            del body["environment"], body["at"]
            unit.record("dataset.loaded", manifest.dataset, body)
        return version


def _path(source: object) -> str | None:
    """The file that the rows are read from, if it is one."""
    return str(source) if isinstance(source, str | Path) else None


def _call(dataset: Dataset) -> object:
    try:
        with exits_raise():
            given = dataset()
            return (
                list(given) if isinstance(given, Iterator) else given
            )  # a generator runs only now
    except NenrinError:
        raise
    except USERS_ERRORS as error:
        file = dataset.declared.where.rpartition(":")[0]
        calls = traceback.extract_tb(error.__traceback__)
        lines = [f"{call.filename}:{call.lineno}" for call in calls if call.filename == file]
        raise StepError(
            f"dataset {dataset.declared.name} raised {type(error).__name__}: {error}",
            hint=f"mend it, and try it by itself: {dataset.declared.name}()",
            where=(lines or [dataset.declared.where])[-1],
        ) from error


def _prepared(
    raw: pl.DataFrame, stored: pl.DataFrame | None, spec: DatasetSpec, at: int
) -> pl.DataFrame:
    """The load with its instants, in the frozen schema."""
    check_names(raw.columns, spec)
    if raw.is_empty():
        raise DataError(
            f"the load of dataset {spec.name} has no rows",
            hint="see what its source gives; an empty load never becomes a version",
            where=spec.where,
        )
    loaded = with_instants(raw, spec, at)
    if stored is None:
        return loaded
    return fit_schema(loaded, stored, spec)


def _quiet(*_: object) -> None:
    """Progress that nobody wants to hear of."""


def _note(raw: pl.DataFrame, spec: DatasetSpec) -> str:
    hidden = columns_hidden_by_words(raw.columns)
    note = f"{spec.name}: {raw.height} rows, {raw.width} columns"
    return note + "".join(f'; write {spec.name}["{name}"] for column {name}' for name in hidden)


__all__ = ["EVENT", "KNOWN", "DataService"]
