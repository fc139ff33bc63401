"""What HTTP itself costs: four front ends that echo a body, and how many a second they answer.

    python benchmarks/serving_http.py [--repeats 5] [--seconds 2]

A body of 690 bytes over 64 connections of ``wrk``, one process a front end, repeats interleaved: the
median, its range, and CPU milliseconds of the server's process a request. The last line is the plane as
it stands, with a model that answers a constant and its prediction log.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httptools
import uvicorn
import uvloop

from benchmarks.serving_load import load
from nenrin.serving.plane.front import Exchange, protocol_for
from nenrin.serving.plane.listening import listen
from nenrin.serving.plane.process import PlaneSettings, run_plane
from tests.serving.fakes import EXAMPLE, SIGNATURE, FileRoutes, deployment, parts_of

_BODY = json.dumps({"inputs": [{"name": "x", "shape": [1, 30], "datatype": "FP64"}]}).encode()
_ECHO = _BODY + b" " * (690 - len(_BODY))


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
    settings = PlaneSettings(
        folder=folder,
        environment="dev",
        predictions=folder / "predictions",
        control=folder / "control.sock",
    )
    FileRoutes(folder / "routes.json").write(deployment("v0.25"))
    run_plane(settings, parts_of, [listener])


FRONTS = {
    "uvicorn, raw ASGI": asgi,
    "uvicorn, hot requests before ASGI": hot,
    "asyncio.Protocol and httptools": bare,
    "the plane": plane,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    given = parser.parse_args()
    example = SIGNATURE.example("delay", EXAMPLE)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in FRONTS}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        servers = {}
        for number, (name, front) in enumerate(FRONTS.items()):
            folder = root / str(number)
            folder.mkdir()
            listener = listen("127.0.0.1", 0)
            process = multiprocessing.get_context("spawn").Process(
                target=front, args=(listener, folder)
            )
            process.start()
            servers[name] = process, f"http://127.0.0.1:{listener.getsockname()[1]}", folder
        time.sleep(4)
        for _ in range(given.repeats):
            for name, (process, url, folder) in servers.items():
                path, body = "/v2/models/m/infer", _ECHO
                if name == "the plane":
                    path, body = example["path"], json.dumps(example["body"]).encode()
                run = load(
                    url + path,
                    body,
                    folder,
                    seconds=given.seconds,
                    connections=64,
                    processes=[process.pid or 0],
                )
                assert not run.errors, (name, run)
                found[name].append((run.rate, run.cpu))
        for process, _, _ in servers.values():
            process.terminate()
            process.join()
    print("| front end | requests a second | range | CPU ms a request |\n|---|---|---|---|")
    for name, runs in found.items():
        rates, costs = zip(*runs, strict=True)
        print(
            f"| {name} | {statistics.median(rates):,.0f} | {min(rates):,.0f}-{max(rates):,.0f} "
            f"| {statistics.median(costs):.4f} |"
        )


if __name__ == "__main__":
    main()
