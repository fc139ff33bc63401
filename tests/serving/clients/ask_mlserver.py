"""MLServer's clients: its batch command, its codecs and types over REST, its gRPC stub."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import grpc
import pandas as pd
from mlserver.codecs import NumpyCodec, PandasCodec
from mlserver.grpc import converters, dataplane_pb2_grpc
from mlserver.types import InferenceRequest, InferenceResponse

_, HTTP, GRPC = sys.argv
FRAME = pd.DataFrame(
    {"a": [1.5, 2.0], "n": [3, -4], "b": [True, False], "s": ["x", "y"], "d": ["2024-02-29"] * 2}
).astype({"s": object, "d": object})  # of pandas 3's own type of texts it knows nothing


def request() -> InferenceRequest:
    return PandasCodec.encode_request(FRAME)


def checked(answer: InferenceResponse, how: str) -> None:
    output = {each.name: each for each in answer.outputs}["prediction"]
    assert NumpyCodec.decode_output(output).ravel().tolist() == [3.0, 4.0], how
    print("MLServer", how, "ok")


def rest() -> None:
    body = request().model_dump_json(exclude_none=True).encode()
    asked = urllib.request.Request(
        f"http://{HTTP}/v2/models/kinds/infer", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked) as answer:
        checked(InferenceResponse.model_validate_json(answer.read()), "types and codecs, REST")


def by_grpc() -> None:
    with grpc.insecure_channel(GRPC) as channel:
        stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)
        for raw in (False, True):
            message = converters.ModelInferRequestConverter.from_types(
                request(), model_name="kinds", model_version=None, use_raw=raw
            )
            answer = converters.ModelInferResponseConverter.to_types(stub.ModelInfer(message))
            checked(answer, f"gRPC, raw {raw}")


def batch(*options: str) -> None:
    lines = [request().model_dump_json(exclude_none=True) for _ in range(20)]
    Path("asked.jsonl").write_text("\n".join(lines) + "\n")
    command = [str(Path(sys.executable).with_name("mlserver")), "infer", "--url", HTTP, *options]
    command += ["--model-name", "kinds", "--input-data-path", "asked.jsonl", "--workers", "4"]
    command += ["--output-data-path", "told.jsonl"]
    subprocess.run(command, check=True, capture_output=True)
    told = [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]
    assert len(told) == 20
    for each in told:
        assert {o["name"]: o["data"] for o in each["outputs"]}["prediction"] == [3.0, 4.0]
    print("MLServer batch command, 20 requests by 4 workers,", *options, "ok")


rest()
by_grpc()
batch()
batch("--binary-data")
