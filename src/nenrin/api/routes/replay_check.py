"""Logged predictions, computed anew from the data."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from nenrin.api.asking import instant
from nenrin.api.context import Here
from nenrin.api.errors import Json
from nenrin.core.instants import duration
from nenrin.project.replay_check import Which

router = APIRouter(prefix="/api/predictions", tags=["predictions"])


@router.get("/check")
def check(
    here: Here,
    deployment: str = "",
    from_: Annotated[str, Query(alias="from", description="`2026-04-01`, or an instant")] = "",
    until: Annotated[str, Query(description="the first instant that is left out")] = "",
    sample: Annotated[int, Query(ge=0, description="at most so many; 0: all")] = 1_000,
    grace: Annotated[str, Query(description="what a plane may take to bring newer data in")] = "1m",
) -> Json:
    """Every difference between what was answered and what the data says, by feature."""
    which = Which(
        deployment=deployment,
        since=instant("from", from_),
        until=instant("until", until),
        sample=sample,
        grace=duration(grace),
    )
    return Json(here.platform.replay_check.check(here.environment, which))
