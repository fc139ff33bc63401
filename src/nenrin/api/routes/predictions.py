"""The prediction log: its end, one prediction, and all of it as a file."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from msgspec import to_builtins
from starlette.background import BackgroundTask

from nenrin.api.asking import instant
from nenrin.api.context import Here
from nenrin.api.errors import ExactJson
from nenrin.api.folder import predictions_folder, scratch
from nenrin.serving.exporting import Form, Which, export
from nenrin.serving.logged import find_prediction
from nenrin.serving.segments import shadow_log
from nenrin.serving.tailing import after, newest

router = APIRouter(prefix="/api/predictions", tags=["predictions"])


@router.get("")
def tail(
    here: Here,
    number: Annotated[int, Query(ge=0, le=1_000, description="how many, the newest")] = 10,
    since: Annotated[str, Query(description="`cursor` of an answer: what came after it")] = "",
    deployment: str = "",
) -> ExactJson:
    """The newest predictions, or those since an earlier look, and the `cursor` of the next."""
    folder = predictions_folder(here.platform.settings.state_folder)
    if since:
        return ExactJson(after(folder, since, deployment))
    return ExactJson(newest(folder, number, deployment))


@router.get("/export", response_class=FileResponse)
def exported(
    here: Here,
    form: Form = "parquet",
    deployment: str = "",
    version: str = "",
    from_: Annotated[str, Query(alias="from", description="`2013-04-01`, or an instant")] = "",
    until: Annotated[str, Query(description="the first instant that is left out")] = "",
) -> FileResponse:
    """Logged predictions as one file; the header `Nenrin-Export` says how many."""
    which = Which(
        deployment=deployment,
        version=version,
        since=instant("from", from_),
        until=instant("until", until),
    )
    state = here.platform.settings.state_folder
    with ExitStack() as stack:
        path = Path(stack.enter_context(scratch(state))) / f"predictions.{form}"
        rows = export(predictions_folder(state), path, form, which)
        kept = stack.pop_all()
    return FileResponse(
        path,
        filename=path.name,
        headers={"Nenrin-Export": json.dumps({"rows": rows})},
        background=BackgroundTask(kept.close),
    )


@router.get("/{prediction}")
def show(here: Here, prediction: str) -> ExactJson:
    """One prediction, and what a shadow said; `GET /api/why/…` says what stands behind it."""
    found = here.platform.projects.logged(here.environment, prediction)
    shadows = shadow_log(predictions_folder(here.platform.settings.state_folder))
    said = find_prediction(shadows, prediction)
    if said is None:
        return ExactJson(found)
    shadow = {"version": said.version, "answer": said.answer}
    return ExactJson(to_builtins(found) | {"shadow": shadow})
