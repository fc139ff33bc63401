"""Whether the control process is there, and which one it is."""

from __future__ import annotations

import os

from fastapi import APIRouter

from nenrin.api.context import Here
from nenrin.api.errors import Json

router = APIRouter(prefix="/api", tags=["system"])


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
