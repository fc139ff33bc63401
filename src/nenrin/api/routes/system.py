"""The folder and the process that holds it: whether it is there, and copies of what it keeps."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from nenrin.api.context import Here
from nenrin.api.errors import Json
from nenrin.core.errors import RequestError
from nenrin.core.instants import duration
from nenrin.integrations.exports import Kind
from nenrin.pipelines.needs import size

router = APIRouter(prefix="/api", tags=["system"])


class Backup(BaseModel):
    """Where a backup goes, on this machine: a folder, or one file where the name ends in ``.tar``."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(description="an absolute path", examples=["/backups/monday.tar"])


class Export(BaseModel):
    """What an environment is exported as, into which folder of this machine, and the image that pods run."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    to: str = Field(description="an absolute path", examples=["/deploy/delay"])
    image: str = Field("", examples=["registry.example.com/team/delay:1"])


class Prune(BaseModel):
    """What may go: results of steps older than ``keep``, the oldest until content fits ``budget``."""

    model_config = ConfigDict(extra="forbid")

    keep: str | None = Field(None, examples=["30d"])
    budget: str | None = Field(None, examples=["5GB"])
    dry_run: bool = False


@router.get("/health")
def health(here: Here) -> Json:
    """This process, the folder that it holds, and the environments that have a ledger."""
    return Json(
        {
            "ready": True,
            "pid": os.getpid(),
            "folder": here.platform.settings.folder,
            "environment": here.environment,
            "environments": here.platform.units.environments(),
        }
    )


@router.post("/backups", status_code=202)
def backup(here: Here, asked: Backup) -> Json:
    """Copy state and content as they are at one instant, while everything runs. Long work."""
    to = Path(asked.to)
    if not to.is_absolute():
        raise RequestError(f"{to} is no absolute path", where="to", hint="begin it with /")
    work = here.works.ask(here.asked("backup", to=asked.to))
    return Json(work.describe(), status_code=202)


@router.post("/exports")
def export(here: Here, asked: Export) -> Json:
    """Write what a container, Kubernetes or KServe runs the environment's active revision from."""
    to = Path(asked.to)
    if not to.is_absolute():
        raise RequestError(f"{to} is no absolute path", where="to", hint="begin it with /")
    exports = here.platform.exports
    return Json(exports.write(here.environment, asked.kind, to, asked.image))


@router.post("/prune", status_code=202)
def prune(here: Here, asked: Prune) -> Json:
    """Remove content that nothing names, and old results of steps. Long work."""
    work = here.works.ask(
        here.asked(
            "prune",
            keep=None if asked.keep is None else duration(asked.keep),
            budget=None if asked.budget is None else size(asked.budget),
            dry_run=asked.dry_run,
        )
    )
    return Json(work.describe(), status_code=202)
