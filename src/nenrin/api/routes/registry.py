"""Models: versions of every kind."""

from __future__ import annotations

from fastapi import APIRouter

from nenrin.api.context import Here
from nenrin.api.errors import Json

router = APIRouter(prefix="/api/models", tags=["registry"])


@router.get("")
def versions(here: Here, name: str | None = None) -> Json:
    """Every registered version, newest last; of one name when `name` is given."""
    return Json(here.platform.registry.list(here.environment, name))


@router.get("/{version}")
def version(here: Here, version: str) -> Json:
    """One version: its kind, content, parents and facts."""
    return Json(here.platform.registry.get(here.environment, version))
