"""The project: its plan, running it, applying it, and why something is as it is."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from nenrin.api.asking import no_body
from nenrin.api.context import Here
from nenrin.api.errors import ExactJson, Json
from nenrin.api.pages import run_page
from nenrin.core.errors import NotFoundError
from nenrin.project.loader import one_reading

router = APIRouter(prefix="/api", tags=["project"])


@router.get("/plan")
def plan(here: Here) -> Json:
    """The graph derived from the declarations: what is kept, what would run, and why."""
    with one_reading():
        planned = here.platform.projects.plan(here.environment)
        return Json({**planned, "scores": here.platform.scores.planned(here.environment)})


@router.post("/run", status_code=202, dependencies=[no_body])
def run(here: Here) -> Json:
    """Snapshot the folder and run the graph: load, train, judge, register, deploy. Long work."""
    work = here.works.ask(here.asked("run"))
    return Json(work.describe(), status_code=202)


@router.get("/runs/latest")
def latest_run(here: Here) -> Json:
    """What the newest run found of each deployment: evaluation, verdict, columns, data versions."""
    return Json(here.platform.projects.last_run(here.environment))


@router.get("/runs/latest/page", response_class=HTMLResponse)
def latest_run_page(here: Here) -> HTMLResponse:
    """The same as one HTML page."""
    return HTMLResponse(run_page(here.platform.projects.last_run(here.environment)))


@router.post("/apply", status_code=202, dependencies=[no_body])
def apply(here: Here) -> Json:
    """Make the folder's revision the one that the environment follows. Long work."""
    work = here.works.ask(here.asked("apply"))
    return Json(work.describe(), status_code=202)


@router.get("/logs/{step}")
def logs(here: Here, step: str) -> Json:
    """What a step wrote when it last ran; of one that failed the traceback too."""
    paths = here.platform.logs.find(step)
    if not paths:
        raise NotFoundError(
            f"no step {step!r} has written anything", hint="nenrin plan shows the steps", where=step
        )
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    if len(paths) > 1:  # the elements of a map
        names = [path.name.rsplit(".", 2)[0] for path in paths]
        texts = [f"{name}\n{text}" for name, text in zip(names, texts, strict=True)]
    return Json({"step": step, "run": paths[0].parent.name, "log": "".join(texts)})


@router.get("/why/{what:path}")
def why(here: Here, what: str) -> ExactJson:
    """What stands behind a prediction, a version, a load, a verdict, a deployment; why a step ran."""
    return ExactJson(here.platform.projects.why(here.environment, what))
