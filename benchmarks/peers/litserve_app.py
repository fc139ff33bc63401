"""LitServe: one worker, requests of two milliseconds in a batch."""

import sys
from typing import Any

import litserve

from benchmarks.peers.scoring import batched, native

model, path, port = sys.argv[1], sys.argv[2], int(sys.argv[3])


class Model(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.scored = native(model, path)

    def decode_request(self, request: dict[str, Any]) -> list[list[Any]]:
        return request["rows"]

    def batch(self, inputs: list[list[list[Any]]]) -> list[list[list[Any]]]:
        return inputs

    def predict(self, batch: list[list[list[Any]]]) -> list[list[float]]:
        return batched(self.scored, batch)

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        return output

    def encode_response(self, output: list[float]) -> dict[str, Any]:
        return {"predictions": output}


if __name__ == "__main__":
    api = Model(max_batch_size=64, batch_timeout=0.002)
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=1)
    server.run(host="127.0.0.1", port=port, log_level="warning", generate_client_file=False)
