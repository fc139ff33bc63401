"""Ray Serve: one replica, requests of two milliseconds in a batch."""

from __future__ import annotations

import signal
import sys
from typing import Any

from ray import serve
from starlette.requests import Request

from benchmarks.peers.scoring import batched, native

model, path, port = sys.argv[1], sys.argv[2], int(sys.argv[3])


@serve.deployment(num_replicas=1, max_ongoing_requests=256)
class Model:
    def __init__(self) -> None:
        self.scored = native(model, path)

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.002)
    async def predict(self, batch: list[list[list[Any]]]) -> list[list[float]]:
        return batched(self.scored, batch)

    async def __call__(self, request: Request) -> dict[str, Any]:
        return {"predictions": await self.predict((await request.json())["rows"])}


serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(Model.bind(), route_prefix="/predict")
signal.pause()
