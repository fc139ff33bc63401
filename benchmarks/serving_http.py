"""What HTTP itself costs: front ends that echo a body, and what model A answers behind the same one.

    python -m benchmarks.serving_http --folder FOLDER [--repeats 5] [--seconds 2]

Each is asked the same: a row of model A over 64 connections of ``wrk``, once with one head, once with ten
thousand values of one header. One process a front end, repeats interleaved: the median, its range, CPU
milliseconds of the server's process a request, and the part of the echo's rate that is left (of its CPU, what
the echo takes of it), by neighbours in time. The *echo* is the plane's own front end, whose hot requests are
answered at once with their body; of the plain one, uvicorn with httptools, every head is parsed. The plane
answers with model A, compiled, and writes its prediction log. The folder has the model's project, or gets it.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httptools
import httpx2
import msgspec
import uvicorn
import uvloop

from benchmarks.serving import PATH
from benchmarks.serving_load import Found, load
from benchmarks.serving_models import make, numbers, one_tensor
from nenrin.api.planes import plain
from nenrin.core.settings import Settings
from nenrin.plane import plane_parts
from nenrin.serving.plane.front import Exchange, protocol_for
from nenrin.serving.plane.listening import listen
from nenrin.serving.plane.process import run_plane

_HEADS = {"one head": "", "ten thousand heads": "X-Request-Id"}


async def echo_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = (await receive())["body"]
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Bare(asyncio.Protocol):
    """The limit: a parser, a write and nothing else; it would not survive a real client."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.parser = transport, httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body = body

    def on_message_complete(self) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(self.body), self.body)
        )


class Echo:
    ending = False

    def takes(self, url: bytes, headers: Any) -> Any:
        return url

    def ready(self, target: Any) -> bool:
        return True

    def answer(self, exchange: Exchange) -> None:
        exchange.respond(exchange.body)


def _uvicorn(listener: socket.socket, **more: Any) -> None:
    given = {"http": "httptools", "loop": "uvloop", "lifespan": "off", "access_log": False, **more}
    config = uvicorn.Config(echo_app, log_level="warning", server_header=False, **given)
    uvicorn.Server(config).run(sockets=[listener])


def asgi(listener: socket.socket, _: Path) -> None:
    _uvicorn(listener)


def hot(listener: socket.socket, _: Path) -> None:
    _uvicorn(listener, http=protocol_for(Echo()))


def bare(listener: socket.socket, _: Path) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Bare, sock=listener)
        await server.serve_forever()

    uvloop.run(serve())


def plane(listener: socket.socket, folder: Path) -> None:
    given = plain(Settings.read(folder=folder.parent.parent))
    settings = msgspec.structs.replace(given, predictions=folder)
    run_plane(settings, plane_parts, [listener])


ECHO = "echo: uvicorn, hot requests before ASGI"
FRONTS = {
    "uvicorn, raw ASGI": asgi,
    ECHO: hot,
    "asyncio.Protocol and httptools": bare,
    "the plane, model A": plane,
}


@contextmanager
def fronts(folder: Path) -> Iterator[dict[str, tuple[int, str]]]:
    """A process a front end: which, and where it is asked."""
    processes, found = [], {}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        try:
            for number, (name, front) in enumerate(FRONTS.items()):
                listener = listen("127.0.0.1", 0)
                given = listener, Path(scratch) / str(number)
                process = multiprocessing.get_context("spawn").Process(target=front, args=given)
                process.start()
                processes.append(process)
                found[name] = (
                    process.pid or 0,
                    f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}",
                )
            body = one_tensor(numbers(1))
            for _, url in found.values():
                while not httpx2.post(url, content=body, timeout=300).is_success:
                    time.sleep(0.1)
            yield found
        finally:
            for process in processes:
                process.terminate()
                process.join()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    if not (given.folder / "project.py").exists():
        make(given.folder)
    found: dict[tuple[str, str], list[Found]] = {}
    with fronts(given.folder.resolve()) as served:
        for _ in range(given.repeats):
            for heads, sticky in _HEADS.items():
                for name, (process, url) in served.items():
                    with tempfile.TemporaryDirectory() as scratch:
                        run = load(
                            url,
                            one_tensor(numbers(1)),
                            Path(scratch),
                            seconds=given.seconds,
                            connections=64,
                            processes=[process],
                            sticky=sticky,
                        )
                    assert not run.errors, (name, run)
                    found.setdefault((heads, name), []).append(run)
    print("| heads | front end | requests a second | range | of the echo | by CPU | CPU ms |")
    print("|---|---|---|---|---|---|---|")
    for (heads, name), runs in found.items():
        pairs = list(zip(runs, found[heads, ECHO], strict=True))
        rates = [run.rate for run in runs]
        print(
            f"| {heads} | {name} | {statistics.median(rates):,.0f} "
            f"| {min(rates):,.0f}-{max(rates):,.0f} "
            f"| {statistics.median(run.rate / echo.rate for run, echo in pairs):.2f} "
            f"| {statistics.median(echo.cpu / run.cpu for run, echo in pairs):.2f} "
            f"| {statistics.median(run.cpu for run in runs):.4f} |"
        )


if __name__ == "__main__":
    main()
