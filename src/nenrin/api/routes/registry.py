"""Models: versions of every kind."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

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


class Marked(BaseModel):
    """Why a version is marked bad."""

    reason: str = Field(min_length=1, examples=["it answers one number for every row"])


@router.post("/{version}/bad")
def bad(here: Here, version: str, body: Marked) -> Json:
    """Never serve a version again; a mixture that it is a member of goes on without it."""
    return Json(here.platform.loop.mark_bad(here.environment, version, body.reason))
