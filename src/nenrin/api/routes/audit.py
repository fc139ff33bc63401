"""Audit: whether the ledger is what was written."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from nenrin.api.asking import no_body
from nenrin.api.context import Here
from nenrin.api.errors import Json

router = APIRouter(prefix="/api/audit", tags=["audit"])


class Kept(BaseModel):
    """A checkpoint that was kept outside, and the key that it was signed with, kept beside it."""

    model_config = ConfigDict(extra="forbid")

    checkpoint: str = Field(max_length=1_000_000, description="the signed text")
    key: str | None = Field(None, description="the public key; left out, the folder's own")


@router.post("/checkpoint", dependencies=[no_body])
def checkpoint(here: Here) -> Json:
    """Sign the heads of all chains; keep the note and the key where this folder is not."""
    return Json(here.platform.checkpoints.make())


@router.post("/verify")
def compare(here: Here, kept: Kept, environment: str | None = None) -> Json:
    """Walk the chains, and compare them with a checkpoint: finds a tail cut off or rewritten."""
    heads = here.platform.checkpoints.heads_of(kept.checkpoint, kept.key)
    named = {name: f"{head.sequence}:{head.hash}" for name, head in heads.items()}
    return Json(here.platform.audit.compare(named, environment))


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
