"""A plane on real ports, in a thread of this process: for clients that bring their own HTTP or gRPC."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
import uvloop

from nenrin.serving.plane.doors import DOORS, Doors
from nenrin.serving.plane.front import protocol_for
from nenrin.serving.plane.grpc_service import InferenceService, serving_grpc
from nenrin.serving.plane.listening import listen
from tests.serving.kinds import KindsPlane


class PlaneHere:
    """Where it listens: ``http`` and ``grpc``, ``host:port`` each."""

    http: str
    grpc: str


@contextmanager
def listening(
    kinds: KindsPlane, token: str | None = None, doors: Doors = DOORS
) -> Iterator[PlaneHere]:
    """Serve both protocols as the plane's process does."""
    here = PlaneHere()
    listener = listen("127.0.0.1", 0)
    here.http = f"127.0.0.1:{listener.getsockname()[1]}"
    up = threading.Event()

    async def run() -> None:
        app = kinds.plane.app(token, doors)
        hot = kinds.plane.hot(token, doors)
        service = InferenceService(kinds.plane, kinds.table, token)
        config = uvicorn.Config(app, http=protocol_for(hot), lifespan="on", log_config=None)
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        async with serving_grpc(service, "127.0.0.1", 0) as port:
            here.grpc = f"127.0.0.1:{port}"
            serving = asyncio.create_task(server.serve([listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            up.set()
            await asyncio.to_thread(down.wait)
            server.should_exit = True
            await serving

    down = threading.Event()

    def on_uvloop() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=on_uvloop)
    thread.start()
    try:
        assert up.wait(120)
        yield here
    finally:
        down.set()
        thread.join()
