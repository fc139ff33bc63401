"""kserve's clients, REST and gRPC; a script: address of HTTP, address of gRPC."""

import asyncio
import sys

import numpy as np
from httpx import HTTPStatusError

_, HTTP, GRPC, *_ = [*sys.argv, "", ""]
sys.argv = sys.argv[:1]  # kserve reads it when it is imported

from kserve import (  # noqa: E402
    InferenceGRPCClient,
    InferenceRESTClient,
    InferInput,
    InferRequest,
    RESTConfig,
)

VALUES = {
    "a": ("FP64", np.array([1.5, 2.0])),
    "n": ("INT64", np.array([3, -4])),
    "b": ("BOOL", np.array([True, False])),
    "s": ("BYTES", np.array([b"x", b"y"], object)),
    "d": ("BYTES", np.array([b"2024-02-29"] * 2, object)),
}


def request(binary: bool) -> InferRequest:
    made = []
    for name, (datatype, values) in VALUES.items():
        tensor = InferInput(name, [len(values)], datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        made.append(tensor)
    return InferRequest("kinds", made, request_id="mine")


def checked(answer, how: str) -> None:
    output = {each.name: each for each in answer.outputs}["prediction"]
    assert output.as_numpy().tolist() == [3.0, 4.0], (how, output.data)
    assert answer.id == "mine", how
    print("kserve infer", how, "ok")


async def rest() -> None:
    url = f"http://{HTTP}"
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(url) is True
        assert await client.is_server_ready(url) is True
        assert await client.is_model_ready(url, "kinds") is True
        assert await client.is_model_ready(url, "none") is False
        for binary in (False, True):
            answer = await client.infer(url, request(binary), model_name="kinds")
            checked(answer, f"REST, binary {binary}")
        wrong = request(binary=False)
        wrong.inputs = wrong.inputs[1:]
        said = ""
        try:
            await client.infer(url, wrong, model_name="kinds")
        except HTTPStatusError as error:
            said = str(error)
        assert "lacks the column" in said


async def grpc() -> None:
    async with InferenceGRPCClient(GRPC) as client:
        assert await client.is_server_live() is True
        assert await client.is_server_ready() is True
        assert await client.is_model_ready("kinds") is True
        for binary in (False, True):
            checked(await client.infer(request(binary)), f"gRPC, raw {binary}")


asyncio.run(rest())
asyncio.run(grpc())
