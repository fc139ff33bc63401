"""Nothing that was asked is passed over: a misspelt name must not mean something else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from fastapi import Body, Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from nenrin.core.errors import RequestError
from nenrin.core.instants import to_us


class Nothing(BaseModel):
    """The body of a verb that needs to know no more: none, or `{}`."""

    model_config = ConfigDict(extra="forbid")


def _no_members(_body: Annotated[Nothing | None, Body()] = None) -> None: ...


no_body = Depends(_no_members)


def refuse_unknown(request: Request) -> None:
    """Let a request through unless it has a query parameter that its route does not take.

    Raises:
        RequestError: it has one.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = dict.fromkeys(_query(route.dependant))
    for name in request.query_params:
        if name not in known:
            raise RequestError(
                f"{request.method} {request.url.path} takes no parameter {name!r}",
                where=name,
                hint=f"it takes {', '.join(known) or 'none'}; GET /docs shows more",
            )


def _query(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.query_params)
    for each in dependant.dependencies:
        yield from _query(each)


def instant(word: str, text: str) -> int | None:
    """Microseconds UTC of a parameter that is a date or an instant; None where it is empty.

    Raises:
        RequestError: it is neither.
    """
    if not text:
        return None
    try:
        return to_us(datetime.fromisoformat(text))
    except ValueError:
        raise RequestError(
            f"{word} {text!r} is neither a date nor an instant",
            hint='write "2013-04-01" or "2013-04-01T12:00:00Z"; without an offset it is UTC',
            where=word,
        ) from None
