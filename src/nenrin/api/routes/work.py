"""Long work: what runs, its progress as server-sent events, and how to stop it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from nenrin.api.context import Here
from nenrin.api.errors import Json
from nenrin.api.wire import encode
from nenrin.api.work import ENDED, Work

router = APIRouter(prefix="/api/work", tags=["work"])

_LOOK = 0.05  # seconds between two looks for news


@router.get("")
def all_work(here: Here) -> Json:
    """The newest pieces of work, oldest first; those that were cut off, and wait for `nenrin up`, before."""
    return Json([*here.works.left(), *(work.describe() for work in here.works.all())])


def _found(here: Here, name: str) -> Work:
    return here.works.get(name)


Found = Annotated[Work, Depends(_found)]


@router.get("/{name}")
def one_work(work: Found) -> Json:
    """What a piece of work does, its state, and the error where it failed."""
    return Json(work.describe())


@router.delete("/{name}", status_code=202)
def cancel(here: Here, name: str) -> Json:
    """Ask a piece of work to stop; it does at its next report of progress."""
    return Json(here.works.cancel(name).describe(), status_code=202)


@router.get("/{name}/events", response_class=EventSourceResponse)
async def events(
    work: Found, last_event_id: Annotated[int, Header()] = 0
) -> AsyncIterator[ServerSentEvent]:
    """`progress` and `line` events, then one `result`, `error` or `cancelled`, and the stream ends.

    A client that was cut off sends `Last-Event-ID` and misses nothing.
    """
    seen = last_event_id
    while True:
        ended = work.state in ENDED  # before the news: the last word comes before the state
        for said in work.after(seen):
            seen = said.sequence
            data = encode(said.data).decode()
            yield ServerSentEvent(raw_data=data, event=said.kind, id=str(seen))
        if ended:
            return
        await asyncio.sleep(_LOOK)
