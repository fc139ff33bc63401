"""Data: datasets, their versions and profiles, and loading more rows."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import msgspec
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from nenrin.api.asking import no_body
from nenrin.api.context import Context, Here
from nenrin.api.errors import Json
from nenrin.api.folder import scratch
from nenrin.api.work import Progress
from nenrin.core.errors import NotFoundError
from nenrin.project.label_texts import new_label_texts

router = APIRouter(prefix="/api/data", tags=["data"])


@router.get("")
def datasets(here: Here) -> Json:
    """The newest version of every dataset that has been loaded."""
    versions = here.platform.data.versions(here.environment)  # by name and number
    return Json(list({version.dataset: version for version in versions}.values()))


@router.get("/{name}")
def versions(here: Here, name: str) -> Json:
    """Every version of a dataset, oldest first."""
    here.platform.data.latest(here.environment, name)  # or it was never loaded
    return Json(here.platform.data.versions(here.environment, name))


@router.get("/{name}/profile")
def profile(here: Here, name: str) -> Json:
    """The newest version of a dataset, column by column."""
    return Json(here.platform.data.profile(here.platform.data.latest(here.environment, name)))


@router.post("/{name}/load", status_code=202, dependencies=[no_body])
def load(here: Here, name: str, backfill: bool = False) -> Json:
    """Call the dataset's loader and keep what is new; `backfill`: it was known then. Long work."""
    work = here.works.start(
        f"load {name}",
        lambda progress: _load(here, name, None, backfill=backfill, progress=progress),
    )
    return Json(work.describe(), status_code=202)


@router.put("/{name}", status_code=202)
async def upload(
    here: Here,
    name: str,
    request: Request,
    form: Literal["csv", "parquet"],
    backfill: bool = False,
) -> Json:
    """Load the rows in the body, a CSV or Parquet file: new keys are added, known ones changed.

    With `backfill` they belong to the past, and were known then. Long work.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(scratch(here.platform.settings.state_folder))
        path = Path(folder) / f"rows.{form}"
        with path.open("wb") as file:
            async for chunk in request.stream():
                await run_in_threadpool(file.write, chunk)
        kept = stack.pop_all()

    def job(progress: Progress) -> object:
        with kept:
            return _load(here, name, path, backfill=backfill, progress=progress)

    return Json(here.works.start(f"load {name}", job).describe(), status_code=202)


def _load(
    here: Context, name: str, source: Path | None, *, backfill: bool, progress: Progress
) -> object:
    project = here.platform.projects.load()
    declared = project.datasets
    if name not in declared:
        raise NotFoundError(
            f"the project file declares no dataset {name!r}",
            where=name,
            hint=f"it declares {', '.join(declared) or 'none'}",
        )
    data = here.platform.data
    before = data.versions(here.environment, name)
    version = data.load(
        here.environment,
        declared[name],
        here.platform.calendar.now(),
        source=source,
        progress=progress,
        backfill=backfill,
    )
    latest = before[-1] if before else None
    notes = new_label_texts(data, declared[name], project.models.values(), latest, version)
    return {**msgspec.to_builtins(version), "notes": notes}
