"""The loop: its status and rings, and backtests of it on the past."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from nenrin.api.context import Context, Here
from nenrin.api.errors import Json
from nenrin.api.folder import predictions_folder, scratch
from nenrin.api.pages import report_page
from nenrin.core.errors import NotFoundError
from nenrin.loop.asked import read_asked
from nenrin.serving.segments import read_counts

router = APIRouter(prefix="/api", tags=["loop"])

NEWEST = "newest"


class Backtest(BaseModel):
    """Which part of the past to replay, and with what faults."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_: str | None = Field(None, alias="from", description="first day served, `2013-04-01`")
    until: str | None = Field(None, description="day after the last one served")
    inject: list[str] = Field([], examples=[["scrambled_fit:2013-07-29"]])
    without: list[str] = Field([], examples=[["watch"]])
    policies: list[str] = Field([], examples=[["frozen", "every 28d", "other.py:service"]])
    matrix: bool = Field(False, description="the loss of every fit in every week, too")
    workers: int | None = Field(None, ge=0)


class Adoption(BaseModel):
    """Where a backtest's champion is proposed."""

    model_config = ConfigDict(extra="forbid")

    into: str = "dev"


@router.get("/status")
def status(here: Here) -> Json:
    """Where the environment stands: calendar, deployments, alarms, watches; the folder's predictions."""
    scores = here.platform.scores.status(here.environment)
    counts = read_counts(predictions_folder(here.platform.settings.state_folder))
    return Json(
        {**here.platform.loop.status(here.environment), "predictions": counts, "scores": scores}
    )


@router.get("/status/level")
def level(here: Here) -> Json:
    """The maturity that the environment's ledger shows, by Google's and Microsoft's items."""
    return Json(here.platform.maturity.level(here.environment))


@router.get("/rings")
def rings(here: Here, deployment: str | None = None) -> Json:
    """Every turn of the loop: trigger, data, fits, verdicts, rollout, watch, outcome, value."""
    return Json(here.platform.loop.rings(here.environment, deployment))


@router.get("/backtests")
def backtests(here: Here) -> Json:
    """Every backtest, oldest first."""
    return Json(here.platform.loop.backtests())


@router.post("/backtests", status_code=202)
def backtest(here: Here, asked: Backtest) -> Json:
    """Replay the past through the loop. Long work; its result is the report."""
    read_asked(  # it is told at once
        asked.from_, asked.until, asked.inject, asked.without, asked.policies, asked.matrix
    )
    work = here.works.ask(here.asked("backtest", **asked.model_dump()))
    return Json(work.describe(), status_code=202)


@router.get("/backtests/{name}")
def report(here: Here, name: str) -> Json:
    """The report of a backtest; `newest` is the last one."""
    return Json(here.platform.loop.report(_backtest(here, name)))


@router.get("/backtests/{name}/page", response_class=HTMLResponse)
def page(here: Here, name: str) -> HTMLResponse:
    """The report as one self-contained page with charts."""
    return HTMLResponse(report_page(here.platform.loop.report(_backtest(here, name))))


@router.get("/backtests/{name}/predictions", response_class=FileResponse)
def predictions(here: Here, name: str) -> FileResponse:
    """Every prediction of every policy, as Parquet; the header `Nenrin-Export` says what it is."""
    chosen = _backtest(here, name)
    with ExitStack() as stack:
        folder = stack.enter_context(scratch(here.platform.settings.state_folder))
        path = Path(folder) / "predictions.parquet"
        said = here.platform.loop.export(chosen, path)
        kept = stack.pop_all()
    return FileResponse(
        path,
        media_type="application/vnd.apache.parquet",
        filename="predictions.parquet",
        headers={"Nenrin-Export": json.dumps(said)},  # pure ASCII, as headers must be
        background=BackgroundTask(kept.close),
    )


@router.post("/backtests/{name}/adopt")
def adopt(here: Here, name: str, adoption: Adoption) -> Json:
    """Propose a backtest's champion to an environment; where there is none it is deployed."""
    return Json(here.platform.loop.adopt(_backtest(here, name), into=adoption.into))


def _backtest(here: Context, name: str) -> str:
    """The id of a backtest, or of the newest."""
    if name != NEWEST:
        return name
    known = here.platform.loop.backtests()
    if not known:
        raise NotFoundError("there is no backtest yet", hint="run one: nenrin backtest")
    newest: str = known[-1]["id"]
    return newest
