"""A body that is read whole may be so large and no larger; an uploaded file goes to the disk as it comes."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nenrin.serving.plane.bodies import BODY_BYTES, too_large

_UPLOAD = "PUT"


class LimitedBodies:
    """The app, which reads no more of a body.

    Args:
        app: the application.
        most: bytes.
    """

    def __init__(self, app: ASGIApp, most: int = BODY_BYTES) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI exchange."""
        if scope["type"] != "http" or scope["method"] == _UPLOAD:
            await self._app(scope, receive, send)
            return
        told = dict(scope["headers"]).get(b"content-length", b"")
        said = int(told) if told.isdigit() else 0
        size = 0

        async def limited() -> Message:
            nonlocal size
            if said > self._most:
                raise too_large(self._most)
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._most:
                raise too_large(self._most)
            return message

        await self._app(scope, limited, send)
