"""BentoML: one service, batches where the model is a matrix of numbers; a list of rows else."""

from __future__ import annotations

import os
from typing import Any

import bentoml
import numpy as np

from benchmarks.peers.scoring import native

model, path = os.environ["PEER_MODEL"], os.environ["PEER_PATH"]


@bentoml.service(workers=1, traffic={"timeout": 60})
class Served:
    def __init__(self) -> None:
        self.scored = native(model, path)

    if model == "a":

        @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=60_000)
        def predict(self, rows: np.ndarray) -> np.ndarray:
            return self.scored(rows)  # type: ignore[arg-type]

    else:

        @bentoml.api
        def predict(self, rows: list[list[Any]]) -> list[float]:
            return self.scored(rows).tolist()
