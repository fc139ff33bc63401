"""FastAPI, orjson and onnxruntime, tuned by hand: the model in float32, one thread, no pydantic."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

from benchmarks.peers.models import NUMBERS, columns

model, path, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])


def converted() -> bytes:
    fitted = joblib.load(path)
    if model == "a":
        from onnxmltools import convert_lightgbm
        from onnxmltools.convert.common.data_types import FloatTensorType

        types = [("rows", FloatTensorType([None, len(columns("a"))]))]
        return convert_lightgbm(fitted, initial_types=types, zipmap=False).SerializeToString()
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    names = columns("b")
    types = [
        (name, (FloatTensorType if place < NUMBERS else StringTensorType)([None, 1]))
        for place, name in enumerate(names)
    ]
    return to_onnx(fitted, initial_types=types, options={"zipmap": False}).SerializeToString()


stored = path.with_suffix(".onnx")
if not stored.exists():
    stored.write_bytes(converted())
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(stored, options, providers=["CPUExecutionProvider"])
app = FastAPI()


def feed(rows: list[list[Any]]) -> dict[str, np.ndarray]:
    if model == "a":
        return {"rows": np.asarray(rows, dtype=np.float32)}
    return {
        name: np.asarray(
            [[np.nan if value is None else value] for value in values],
            dtype=np.float32,
        )
        if place < NUMBERS
        else np.asarray([["" if value is None else value] for value in values], dtype=object)
        for place, (name, values) in enumerate(
            zip(columns("b"), zip(*rows, strict=True), strict=True)
        )
    }


@app.post("/predict")
async def predict(request: Request) -> Response:
    rows = orjson.loads(await request.body())["rows"]
    answers = session.run(None, feed(rows))[1][:, 1]
    body = orjson.dumps({"predictions": answers.tolist()})
    return Response(body, media_type="application/json")


uvicorn.run(app, port=port, loop="uvloop", http="httptools", log_level="warning", access_log=False)
