"""Who asked: events of what somebody asks for by name say so; what the loop decides by itself has no actor.

It is said once, where the request comes in, and holds for what is recorded within, in that context.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

ACTOR = "actor"

_ACTOR: ContextVar[str] = ContextVar(ACTOR, default="")


def act_for(name: str) -> None:
    """What is recorded from here on, in this context, is asked for by ``name``; empty: by nobody."""
    _ACTOR.set(name)


def signed(body: dict[str, Any]) -> dict[str, Any]:
    """An event's body with ``actor``, where somebody asked for it."""
    name = _ACTOR.get()
    return {**body, ACTOR: name} if name else body
