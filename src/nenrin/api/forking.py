"""What data planes are forked from: one process that only imports, so that planes share what they import.

It is light itself: ``nenrin up`` starts that process before it imports what it needs on its own.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing import forkserver

FORKED = multiprocessing.get_context("forkserver")
"""Starts processes that have imported what a data plane needs."""

_PRELOADED = ["__main__", "nenrin.api.preloaded"]


def warm() -> None:
    """Start that process, and do not wait for it; it ends after the last of those that have been forked."""
    FORKED.set_forkserver_preload(_PRELOADED)
    forkserver.ensure_running()
