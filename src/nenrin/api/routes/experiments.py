"""Experiments: versions of a deployment side by side, and what they have shown."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from nenrin.api.asking import no_body
from nenrin.api.context import Here
from nenrin.api.errors import Json
from nenrin.loop.experimenting import Asked

router = APIRouter(prefix="/api/experiments", tags=["serving"])


class Start(BaseModel):
    """Which versions answer beside the champion, and what they are compared by."""

    model_config = ConfigDict(extra="forbid")

    versions: list[str] = Field(min_length=1, examples=[["version-3f9ac27d51e0"]])
    weight: int = Field(50, ge=1, le=99, description="percent of the keys, shared by the versions")
    strategy: Literal["fixed", "bandit"] = "fixed"
    outcome: str = Field(
        "", description="`dataset.column`, joined by key; empty: the model's own loss"
    )
    lower: bool | None = Field(None, description="less is better; left out: of a loss, yes")
    days: int = Field(14, ge=1, description="closed days before *no difference* is said")
    effect: float | None = Field(None, description="the smallest difference that matters")


@router.post("/{name}/start")
def start(here: Here, name: str, said: Start) -> Json:
    """Let versions answer side by side, sticky by key; the loop changes nothing meanwhile."""
    asked = Asked(
        challengers=tuple(said.versions),
        weight=said.weight,
        strategy=said.strategy,
        outcome=said.outcome,
        lower=said.lower,
        days=said.days,
        effect=said.effect,
    )
    return Json(here.platform.loop.experiments.start(here.environment, name, asked))


class Weigh(BaseModel):
    """Another weight of the versions beside the champion."""

    model_config = ConfigDict(extra="forbid")

    weight: int = Field(ge=1, le=99, description="percent of the keys, shared by the versions")


@router.post("/{name}/weigh")
def weigh(here: Here, name: str, said: Weigh) -> Json:
    """Move the weight of a running experiment; keys move only between the versions that it concerns."""
    return Json(here.platform.loop.experiments.weigh(here.environment, name, said.weight))


@router.get("/{name}")
def show(here: Here, name: str) -> Json:
    """The newest experiment: exposures, whether the split is sound, power, differences."""
    return Json(here.platform.loop.experiments.show(here.environment, name))


@router.get("/{name}/exposures")
def exposures(here: Here, name: str) -> Json:
    """Every key of the newest experiment, the version that it got first, and when."""
    return Json(here.platform.loop.experiments.exposures(here.environment, name))


@router.post("/{name}/stop", dependencies=[no_body])
def stop(here: Here, name: str) -> Json:
    """Let the champion answer everything again."""
    return Json(here.platform.loop.experiments.stop(here.environment, name))
