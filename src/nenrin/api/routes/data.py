"""Data: datasets, their versions and profiles, and loading more rows."""

from __future__ import annotations

import os
from typing import Literal

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from nenrin.api.asking import no_body
from nenrin.api.context import Context, Here
from nenrin.api.errors import Json
from nenrin.api.unfinished import Asked

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
    work = here.works.ask(_asked(here, name, backfill=backfill))
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
    path = here.works.unfinished.upload(f".{form}")
    try:
        with path.open("wb") as file:
            async for chunk in request.stream():
                await run_in_threadpool(file.write, chunk)
            await run_in_threadpool(os.fsync, file.fileno())
        work = here.works.ask(_asked(here, name, backfill=backfill, file=str(path)))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Json(work.describe(), status_code=202)


def _asked(here: Context, name: str, *, backfill: bool, file: str = "") -> Asked:
    return here.asked("load", f"load {name}", file, name=name, backfill=backfill)
