"""What is too large for this process: joins and profiles in parts, each a job of a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import polars as pl

from nenrin.core.digest import derived_id
from nenrin.core.jobs import Job, Needs
from nenrin.core.store import ContentStore
from nenrin.core.unit import Unit
from nenrin.data.files import Manifest
from nenrin.data.profile import column_of_files, profiled
from nenrin.features.arrays import Ints
from nenrin.features.partition_work import Order, work
from nenrin.features.partitioned import INDEXED, Join
from nenrin.features.traced import Traced
from nenrin.pipelines.dispatcher import Dispatcher
from nenrin.pipelines.executor import WorkerContext

Progress = Callable[[str, int, int, str], None]

_ORDER = "nenrin.project.apart:run_order"
_COLUMN = "nenrin.project.apart:profile_column"
_BESIDE = (
    2 * 2**30
)  # bytes for the interpreter, its libraries, and what is read and sorted on the way


def is_large(manifest: Manifest, memory: int) -> bool:
    """Whether an index of a version would take more than ``memory`` bytes."""
    return manifest.rows * INDEXED > memory


class ColumnJob(msgspec.Struct, frozen=True):
    """A column to profile, of the version with this manifest."""

    manifest: str
    column: str


def run_order(context: WorkerContext, payload: Any) -> Any:
    """Work off an order of a join."""
    return work(context.store, msgspec.convert(payload, Order))


def profile_column(context: WorkerContext, payload: Any) -> dict[str, Any]:
    """Profile a column of all files of a version."""
    job = msgspec.convert(payload, ColumnJob)
    manifest = msgspec.json.decode(context.store.get(job.manifest), type=Manifest)
    return column_of_files(manifest, context.store, job.column)


class Apart:
    """Sends work on large datasets to workers. A worker that dies costs the part that it was at.

    Args:
        store: content, which workers reach too.
        dispatcher: makes what runs jobs.
        run: what asks for it.
        folder: the unpacked revision, whose packages workers must have.
        memory: bytes of the setting ``join_memory``.
    """

    def __init__(
        self,
        store: ContentStore,
        dispatcher: Callable[[], Dispatcher],
        *,
        run: str,
        folder: str,
        memory: int,
    ) -> None:
        self.memory = memory
        self._store = store
        self._dispatcher = dispatcher
        self._run = run
        self._folder = folder

    def is_for(self, manifest: Manifest) -> bool:
        """Whether an index of a version would take more than the memory."""
        return is_large(manifest, self.memory)

    def columns(
        self,
        view: Traced,
        manifest: Manifest,
        rows: pl.DataFrame,
        asked: Ints,
        progress: Progress | None,
    ) -> pl.DataFrame:
        """The features of a view for rows; as :meth:`Join.columns`."""

        def run(orders: Sequence[Order]) -> list[Any]:
            return self._ran(f"join:{view.view}", _ORDER, orders, progress)

        mark = f"{self._run} {view.view}"
        return Join(self._store, run, self.memory, mark).columns(view, manifest, rows, asked)

    def profile(
        self, manifest: str, described: Manifest, progress: Progress | None
    ) -> dict[str, Any]:
        """The profile of a version: see :func:`nenrin.data.profile.profile`.

        Args:
            manifest: its digest.
            described: what it says.
        """
        names = profiled(described.schema)
        orders = [ColumnJob(manifest, name) for name in names]
        found = self._ran(f"profile:{described.dataset}", _COLUMN, orders, progress)
        return {"rows": described.rows, "columns": dict(zip(names, found, strict=True))}

    def _ran(
        self, name: str, call: str, orders: Sequence[Any], progress: Progress | None
    ) -> list[Any]:
        """What each order gave, in order."""
        given: dict[str, Any] = {}

        def commit(job: str) -> Callable[[Unit, Any], str]:
            def kept(_unit: Unit, value: Any) -> str:
                given[job] = value
                return ""

            return kept

        def watching(done: int, note: str) -> None:
            if progress is not None:
                progress(name, done, len(jobs), note)

        jobs = [self._job(name, call, msgspec.to_builtins(order)) for order in orders]
        self._dispatcher().whole([(job, commit(job.id)) for job in jobs], watching)
        return [given[job.id] for job in jobs]

    def _job(self, name: str, call: str, payload: Any) -> Job:
        return Job(
            id=derived_id("job", self._run, name, call, payload),
            run=self._run,
            name=name,
            call=call,
            payload=payload,
            project=self._folder,
            needs=Needs(memory=self.memory + _BESIDE),
        )
