"""Who asks for a change, as the header ``X-Nenrin-Actor`` has it: a name, not a proof.

Everybody who holds the token, or the folder, may change all; the name is for those who read the ledger.
"""

from __future__ import annotations

from urllib.parse import unquote

from fastapi import Request

from nenrin.api.origin import SAFE
from nenrin.api.wire import ACTOR, LONGEST_ACTOR
from nenrin.core.actor import act_for
from nenrin.core.errors import RequestError

_UNNAMED = "api"


async def note_actor(request: Request) -> None:
    """Let the events of a change say who asked for it.

    It is no thread's own function: what it says has to hold in the context of the request.

    Raises:
        RequestError: the name is no line of text, or too long.
    """
    if request.method in SAFE:
        return
    name = unquote(request.headers.get(ACTOR, _UNNAMED))
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_ACTOR:
        raise RequestError(
            f"the header {ACTOR} holds no name",
            where=ACTOR,
            hint=f"send up to {LONGEST_ACTOR} printable characters, percent-encoded, or leave it out",
        )
    act_for(name)
