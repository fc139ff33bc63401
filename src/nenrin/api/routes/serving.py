"""Deployments: what clients address by name, and which version answers."""

from __future__ import annotations

from fastapi import APIRouter
from msgspec import to_builtins
from pydantic import BaseModel, ConfigDict, Field

from nenrin.api.asking import no_body
from nenrin.api.context import Here
from nenrin.api.errors import Json

router = APIRouter(prefix="/api/deployments", tags=["serving"])

BY_HAND = "by hand"


class Reason(BaseModel):
    """Why somebody changes a deployment; the ledger keeps it, and of a freeze every status."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=500, examples=["the release on Friday"])


class Promotion(Reason):
    """Which version is to become the champion; it passes the gates first."""

    version: str = Field(examples=["version-3f9ac27d51e0"])


class ShadowOf(Reason):
    """Which version is to score what others answer, what that may cost, and why."""

    version: str = Field(examples=["version-3f9ac27d51e0"])
    budget: int = Field(25, ge=1, le=100, description="percent of a core, in each data plane")


@router.get("")
def deployments(here: Here) -> Json:
    """Every deployment, with its champion and its route."""
    return Json(here.platform.serving.list(here.environment))


@router.get("/{name}")
def deployment(here: Here, name: str) -> Json:
    """One deployment; what live requests say of the version that goes out, every breaker, its shadow."""
    kept = here.platform.serving.show(here.environment, name)
    told = here.platform.loop.guarding.show(here.environment, name)
    shadow = here.platform.loop.shadows.compared(here.environment, name)
    return Json(to_builtins(kept) | told | {"shadow": shadow})


@router.get("/{name}/example")
def example(here: Here, name: str) -> Json:
    """A request that this deployment answers: raw columns of a real row."""
    return Json(here.platform.serving.example(here.environment, name))


@router.post("/{name}/promote")
def promote(here: Here, name: str, promotion: Promotion) -> Json:
    """Judge a version and, if the gates let it, make it the champion."""
    return Json(
        here.platform.loop.promote(here.environment, name, promotion.version, promotion.reason)
    )


@router.post("/{name}/rollback")
def rollback(here: Here, name: str, said: Reason | None = None) -> Json:
    """Back to the version that served before, at once."""
    return Json(here.platform.loop.rollback(here.environment, name, said.reason if said else ""))


@router.post("/{name}/pause")
def pause(here: Here, name: str, said: Reason | None = None) -> Json:
    """Keep a rollout at its weight: judged, and rolled back where it is not safe, but not raised."""
    return Json(here.platform.loop.guarding.pause(here.environment, name, _reason(said)))


@router.post("/{name}/resume", dependencies=[no_body])
def resume(here: Here, name: str) -> Json:
    """Let a rollout go on."""
    return Json(here.platform.loop.guarding.pause(here.environment, name, ""))


@router.get("/{name}/shadow")
def shadow(here: Here, name: str) -> Json:
    """What the shadow has scored, how its answers differ from the champion's, who lost less by labels."""
    return Json(here.platform.loop.shadows.show(here.environment, name))


@router.post("/{name}/shadow")
def begin_shadow(here: Here, name: str, said: ShadowOf) -> Json:
    """Have a version score what others have answered, within a budget; no client hears of it."""
    begin = here.platform.loop.shadows.begin
    return Json(
        begin(here.environment, name, said.version, budget=said.budget, reason=_reason(said))
    )


@router.post("/{name}/unshadow")
def end_shadow(here: Here, name: str, said: Reason | None = None) -> Json:
    """Have nothing scored any more."""
    return Json(here.platform.loop.shadows.end(here.environment, name, _reason(said)))


@router.post("/freeze")
def freeze_all(here: Here, said: Reason | None = None) -> Json:
    """Stop every automatic change of every deployment of the environment."""
    return Json(here.platform.loop.freeze(here.environment, None, _reason(said)))


@router.post("/unfreeze")
def unfreeze_all(here: Here, said: Reason | None = None) -> Json:
    """Let the loop act on every deployment of the environment again."""
    return Json(here.platform.loop.unfreeze(here.environment, None, _reason(said)))


@router.post("/{name}/freeze")
def freeze(here: Here, name: str, said: Reason | None = None) -> Json:
    """Stop every automatic change of this deployment."""
    return Json(here.platform.loop.freeze(here.environment, name, _reason(said))[0])


@router.post("/{name}/unfreeze")
def unfreeze(here: Here, name: str, said: Reason | None = None) -> Json:
    """Let the loop act on this deployment again."""
    return Json(here.platform.loop.unfreeze(here.environment, name, _reason(said))[0])


def _reason(said: Reason | None) -> str:
    return (said.reason if said else "") or BY_HAND
