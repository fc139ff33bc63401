"""Gates: what would be said about a deployment's challenger now."""

from __future__ import annotations

from fastapi import APIRouter

from nenrin.api.context import Here
from nenrin.api.errors import Json

router = APIRouter(prefix="/api/gates", tags=["gates"])


@router.get("/{deployment}")
def check(here: Here, deployment: str) -> Json:
    """The checks of the gate policy, each with its outcome and the numbers that it used."""
    return Json(here.platform.gates.check(here.environment, deployment))
