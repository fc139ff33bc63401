"""What a prediction's head asks for: by its URL, and by the headers that say more than how to read it."""

from __future__ import annotations

import msgspec
from starlette.datastructures import QueryParams
from starlette.routing import compile_path

from nenrin.serving.plane.bodies import HEAD_LENGTH
from nenrin.serving.plane.deadlines import TIMEOUT

VERSION = b"x-nenrin-version"
"""The header by which a client names the version that is to answer."""

MODEL = "/v2/models/{name}"
PINNED = MODEL + "/versions/{version}"
INFER = (f"{MODEL}/infer", f"{PINNED}/infer")

_ODD = frozenset(b"%#")
_HEAD_LENGTH = HEAD_LENGTH.encode()
_HEADERS = frozenset({VERSION, TIMEOUT, _HEAD_LENGTH})
_PATHS = [compile_path(path)[0] for path in INFER]


class Target(msgspec.Struct, frozen=True, cache_hash=True):
    """What a head asks for.

    Attributes:
        path: without the query.
        protocol: ``v2`` or ``invocations``.
        name: of the deployment, if it is said.
        version: the one that is to answer, named by the path or else by a header.
        timeout: what the header of that name says.
        in_two_parts: whether the body is JSON and bytes behind it.
    """

    path: str
    protocol: str
    name: str | None
    version: str | None = None
    timeout: bytes | None = None
    in_two_parts: bool = False

    @property
    def is_own(self) -> bool:
        """Whether it says whom to ask, or for how long: then it is read, dealt and logged alone."""
        return self.version is not None or self.timeout is not None

    def of(self, headers: dict[bytes, bytes]) -> Target:
        """The same with what these headers say beside the URL."""
        if _HEADERS.isdisjoint(headers):
            return self
        version = self.version
        if version is None and VERSION in headers:
            version = headers[VERSION].decode("latin-1")
        return msgspec.structs.replace(
            self,
            version=version,
            timeout=headers.get(TIMEOUT),
            in_two_parts=_HEAD_LENGTH in headers,
        )


def target_of(doors: frozenset[str], url: bytes) -> Target | None:
    """What a plainly written URL of a prediction asks for; None: it is none, or the app reads it better.

    Args:
        doors: the paths of MLflow's protocol.
        url: as it stands in the request's first line.
    """
    if not _ODD.isdisjoint(url) or not url.isascii():
        return None
    path, _, query = url.decode().partition("?")
    if path in doors:
        return Target(path, "invocations", QueryParams(query).get("deployment"))
    for pattern in _PATHS:
        found = pattern.match(path)
        if found is not None:
            return Target(path, "v2", found["name"], found.groupdict().get("version"))
    return None
