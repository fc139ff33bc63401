"""Short rounds of what runs long by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nenrin.serving.plane.messages import messages
from nenrin.serving.plane.tensors import packed
from tests.serving.fuzz.http_bytes import fuzz, wrong
from tests.serving.fuzz.mutations import mutated
from tests.serving.kinds import KindsPlane
from tests.serving.plane_here import listening
from tests.serving.test_grpc import TYPED, tensor


def test_no_bytes_make_the_front_end_fail(tmp_path: Path) -> None:
    failures, statuses = fuzz(tmp_path, 640, seed=7)
    assert failures == []
    assert {200, 400} < set(statuses)


@pytest.mark.parametrize(
    ("received", "problem"),
    [
        (b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}", "a 500"),
        (b"HTTP/1.1 400 X\r\ncontent-length: 3\r\n\r\nbad", "a 400 without error"),
        (b"HTTP/1.1 400 X\r\ncontent-length: 0\r\n\r\nTraceback", "a traceback"),
        (b"garbage", "no HTTP"),
        (b"", ""),
    ],
)
def test_the_judge_can_say_no(received: bytes, problem: str) -> None:
    assert wrong(b"GET / HTTP/1.1\r\n\r\n", received)[0].startswith(problem)


def test_no_bytes_make_grpc_fail(tmp_path: Path) -> None:
    grpc = pytest.importorskip("grpc")
    request = messages().ModelInferRequest
    raw = [tensor("a", "FP64"), tensor("s", "BYTES")]
    contents = [packed("FP64", [1.0]), packed("BYTES", ["x"])]
    good = [
        request(model_name="kinds", inputs=TYPED).SerializeToString(),
        request(
            model_name="kinds",
            inputs=raw,
            raw_input_contents=contents,
            outputs=[{"name": "version"}],
        ).SerializeToString(),
    ]
    draw = np.random.default_rng(7)
    codes = set()
    with listening(KindsPlane(tmp_path)) as here, grpc.insecure_channel(here.grpc) as channel:
        for number in range(600):
            name = ("ModelInfer", "ModelInfer", "ModelStatistics", "RepositoryIndex")[number % 4]
            call = channel.unary_unary(f"/inference.GRPCInferenceService/{name}")
            try:
                call(mutated(draw, good), timeout=20)
                codes.add("OK")
            except grpc.RpcError as error:
                codes.add(error.code().name)
    assert codes <= {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND"} <= codes
