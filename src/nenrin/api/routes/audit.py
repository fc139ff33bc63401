"""Audit: whether the ledger is what was written."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from nenrin.api.context import Here
from nenrin.api.errors import Json

router = APIRouter(prefix="/api/audit", tags=["audit"])


@router.get("/verify")
def verify(
    here: Here,
    environment: str | None = None,
    head: Annotated[
        str | None, Query(description="a chain hash kept outside: finds events cut off the end")
    ] = None,
) -> Json:
    """Walk the chain of one environment, or of all: every changed, removed or inserted event."""
    return Json(here.platform.audit.verify(environment=environment, head=head))
