"""The control application: every room's verbs over HTTP, with OpenAPI."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI

from nenrin.api.actor import note_actor
from nenrin.api.asking import refuse_unknown
from nenrin.api.bodies import LimitedBodies
from nenrin.api.docs import serve_docs
from nenrin.api.errors import answer_errors
from nenrin.api.folder import log_file, work_folder
from nenrin.api.origin import refuse_other_sites
from nenrin.api.routes import (
    audit,
    data,
    experiments,
    gates,
    loop,
    predictions,
    project,
    registry,
    replay_check,
    serving,
    system,
    work,
)
from nenrin.api.unfinished import Unfinished
from nenrin.api.verbs import do
from nenrin.api.work import Works

if TYPE_CHECKING:
    from nenrin.platform import Platform

_ROOMS = (
    system,
    project,
    data,
    registry,
    serving,
    experiments,
    replay_check,
    predictions,
    gates,
    loop,
    audit,
    work,
)


def works_of(platform: Platform) -> Works:
    """The long work of the process that holds a folder."""
    folder = platform.settings.state_folder
    unfinished = Unfinished(work_folder(folder))
    return Works(
        log_file(folder),
        unfinished,
        lambda asked, progress: do(platform, asked, progress),
        platform.logs.listening,
    )


def create_app(platform: Platform, works: Works | None = None) -> FastAPI:
    """The application over ``platform``; it opens and closes nothing itself.

    It has no word for tokens: it listens on a socket that only the folder's owner can open, and the
    data plane, which passes requests on to it, has asked for the token already.
    """
    log = log_file(platform.settings.state_folder)
    app = FastAPI(
        title="nenrin",
        version=version("nenrin"),
        summary="The MLOps platform that closes the loop.",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(refuse_other_sites), Depends(refuse_unknown), Depends(note_actor)],
    )
    app.state.platform = platform
    app.state.works = works or works_of(platform)
    app.add_middleware(LimitedBodies)
    answer_errors(app, log)
    for room in _ROOMS:
        app.include_router(room.router)
    serve_docs(app, lambda: platform.serving.list(platform.settings.environment))
    return app
