"""Rows that no event loop should be held up by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nenrin.core.errors import StepError


class AsideError(StepError):
    """An event loop asks an answerer of rows that would hold it up: they are to be asked in a thread.

    Attributes:
        prepare: makes the answerer ready for them, in a thread, while it answers others.
    """

    def __init__(self, prepare: Callable[[], object]) -> None:
        super().__init__("these rows are not answered on an event loop", hint="ask in a thread")
        self.prepare = prepare


def on_a_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
