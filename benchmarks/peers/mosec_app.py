"""mosec: its server in Rust, one worker, requests of two milliseconds in a batch."""

from __future__ import annotations

import os
import sys
from typing import Any

from mosec import Server, Worker

from benchmarks.peers.scoring import batched, native

model, path = os.environ["PEER_MODEL"], os.environ["PEER_PATH"]


class Model(Worker):
    def __init__(self) -> None:
        super().__init__()
        self.predict = native(model, path)

    def forward(self, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        answers = batched(self.predict, [each["rows"] for each in data])
        return [{"predictions": each} for each in answers]


if __name__ == "__main__":
    # mosec reads the command line itself
    sys.argv = [sys.argv[0], "--port", sys.argv[3], "--log-level", "warning", "--timeout", "60000"]
    server = Server()
    server.append_worker(Model, num=1, max_batch_size=64, max_wait_time=2)
    server.run()
