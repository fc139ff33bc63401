"""Changes are asked for by this site's own pages, or by programs; never by a page of another site.

A browser sends a plain POST to any address that a page names, this machine's too, without asking first.
It says where the page came from: https://www.w3.org/TR/fetch-metadata/ and, before that, ``Origin``.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from nenrin.core.errors import RefusedError

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

_OURS = frozenset({"same-origin", "none"})


def refuse_other_sites(request: Request) -> None:
    """Let a request through unless a page of another site made it.

    Raises:
        RefusedError: one did.
    """
    if request.method in SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        ours = site in _OURS
    else:
        ours = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not ours:
        raise RefusedError(
            "a page of another site asked for a change",
            where=origin or "",
            hint="ask from nenrin's own pages, or from a program",
        )
