"""What a route needs to answer: the platform, the long work, and the environment asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Query, Request

from nenrin.api.unfinished import Asked
from nenrin.api.work import Works
from nenrin.core import environment as environments

if TYPE_CHECKING:
    from nenrin.platform import Platform


@dataclass(frozen=True)
class Context:
    """Handed to every route.

    Attributes:
        platform: the services of every room.
        works: the long work of this process.
        environment: ``?environment=``, else the one of the settings.
    """

    platform: Platform
    works: Works
    environment: str

    def asked(self, verb: str, what: str = "", file: str = "", /, **values: Any) -> Asked:
        """A long verb of :mod:`nenrin.api.verbs` in this environment."""
        return Asked(
            verb=verb, what=what or verb, environment=self.environment, values=values, file=file
        )


def _context(
    request: Request,
    environment: Annotated[
        str, Query(description="`dev` and the like; empty is the environment of the settings")
    ] = "",
) -> Context:
    state = request.app.state
    chosen = environments.checked(environment or state.platform.settings.environment)
    return Context(state.platform, state.works, chosen)


Here = Annotated[Context, Depends(_context)]
