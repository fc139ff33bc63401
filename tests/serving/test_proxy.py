"""What is not the plane's goes to the control process, over its Unix socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from nenrin.core.errors import UnavailableError
from nenrin.serving.plane.errors import ErrorsAsJson
from nenrin.serving.plane.proxy import ControlProxy

_METHODS = ["GET", "POST", "DELETE"]


class Control:
    """A control process of the test's own, in a thread."""

    def __init__(self, socket: Path) -> None:
        self.streams_ended = threading.Event()
        routes = [
            Route("/echo/{rest:path}", self._echo, methods=_METHODS),
            Route("/events", self._events),
            Route("/cookies", self._cookies),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), uds=str(socket), log_config=None, ws="none"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> Control:
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    async def _echo(self, request: Request) -> Response:
        return JSONResponse(
            {
                "method": request.method,
                "path": request.scope["raw_path"].decode(),
                "query": request.url.query,
                "body": (await request.body()).decode(),
                "headers": dict(request.headers),
            },
            status_code=201,
            headers={"x-answer": "yes"},
        )

    async def _events(self, request: Request) -> Response:
        async def events() -> AsyncIterator[bytes]:
            try:
                for number in range(1_000):
                    yield f"data: {number}\n\n".encode()
                    await asyncio.sleep(0.02)
            finally:
                self.streams_ended.set()

        return StreamingResponse(events(), media_type="text/event-stream")

    async def _cookies(self, request: Request) -> Response:
        response = Response()
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response


class Front:
    """The proxy behind a real port, in a thread."""

    def __init__(self, socket: Path) -> None:
        config = uvicorn.Config(
            ErrorsAsJson(ControlProxy(socket)), port=0, log_config=None, lifespan="off", ws="none"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> str:
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture
def front(tmp_path: Path) -> Iterator[str]:
    with Front(tmp_path / "control.sock") as url:
        yield url


def test_passes_everything_on(tmp_path: Path, front: str) -> None:
    with Control(tmp_path / "control.sock"):
        answer = httpx2.post(
            f"{front}/echo/a%2Fb/c?x=1&x=2",
            content=b"hello",
            headers={"x-mine": "kept", "connection": "x-secret", "x-secret": "not passed on"},
        )
        assert (answer.status_code, answer.headers["x-answer"]) == (201, "yes")
        seen = answer.json()
        assert (seen["method"], seen["body"]) == ("POST", "hello")
        assert (seen["path"], seen["query"]) == ("/echo/a%2Fb/c", "x=1&x=2")
        assert seen["headers"]["x-mine"] == "kept"
        assert "x-secret" not in seen["headers"]
        assert seen["headers"]["x-forwarded-for"] == "127.0.0.1"
        assert seen["headers"]["host"] == front.removeprefix("http://")
        bare = httpx2.delete(f"{front}/echo/").json()
        assert (bare["method"], bare["body"]) == ("DELETE", "")
        assert "transfer-encoding" not in bare["headers"]
        cookies = httpx2.get(f"{front}/cookies").headers.get_list("set-cookie")
        assert len(cookies) == 2


def test_streams_both_ways(tmp_path: Path, front: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one "
        yield b"two"

    with Control(tmp_path / "control.sock") as control:
        assert httpx2.post(f"{front}/echo/", content=chunks()).json()["body"] == "one two"
        with httpx2.stream("GET", f"{front}/events") as answer:
            assert next(answer.iter_lines()) == "data: 0"
        # the client has gone: the control process is not left streaming to nobody
        assert control.streams_ended.wait(120)


def test_a_control_process_that_comes_back_is_found(tmp_path: Path, front: str) -> None:
    socket = tmp_path / "control.sock"
    for _ in range(2):
        with Control(socket):
            assert httpx2.get(f"{front}/echo/").status_code == 201
        socket.unlink(missing_ok=True)
        down = httpx2.get(f"{front}/echo/")
        assert (down.status_code, down.headers["retry-after"]) == (503, "1")
        assert down.json()["code"] == UnavailableError.code
