"""Hot requests are answered as the app answers them: the same bytes through both ways, over sockets."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import uvicorn

from nenrin.serving.plane import answering
from nenrin.serving.plane import app as plane_app
from nenrin.serving.plane import badhttp as plane_badhttp
from nenrin.serving.plane import front as plane_front
from nenrin.serving.plane import heads as plane_heads
from nenrin.serving.plane import hot as plane_hot
from nenrin.serving.plane.front import protocol_for as front_of
from nenrin.serving.signature import RequestSignature
from tests.serving.fakes import EXAMPLE, ListedRoutes, deployment
from tests.serving.server_here import Server

NUMBERS = RequestSignature.of(
    {"a": pl.Float64(), "b": pl.Float64()},
    known={"id": pl.Int64(), "a": pl.Float64(), "b": pl.Float64()},
    key=("id",),
    output="probability",
)
BODY_LIMIT = 3_000
ROUTES = ListedRoutes(
    deployment("v0.25", features="s1"),
    deployment("slow0.5", name="slow"),
    deployment("v0.75", name="numbers", request=NUMBERS, example={"a": 1.0, "b": 2.0}),
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    patch = pytest.MonkeyPatch()
    patch.setattr(plane_app, "BODY_BYTES", BODY_LIMIT)
    patch.setattr(plane_hot, "BODY_BYTES", BODY_LIMIT)
    servers = [Server(tmp_path_factory.mktemp("front"), ROUTES, hot=hot) for hot in (True, False)]
    yield servers[0], servers[1]
    for server in servers:
        server.stop()
    patch.undo()


def post(
    path: str, body: bytes, *headers: str, version: str = "1.1", method: str = "POST"
) -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: 127.0.0.1", *headers]
    if not any(line.lower().startswith(("content-length", "transfer")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def same(answer: bytes) -> bytes:
    """An answer without what differs between two that are the same."""
    answer = re.sub(rb"date: [^\r]*", b"date: D", answer)
    answer = re.sub(rb"within \d+ ms", b"within N ms", answer)  # what was left of them
    return re.sub(rb"prediction-[0-9a-f]{24}", b"prediction-P", answer)


ROWS = json.dumps([EXAMPLE]).encode()
INFER = "/v2/models/delay/infer"
MATRIX = "/v2/models/numbers/infer"
V2 = json.dumps(SIGNED := deployment("v0.25").request.example("delay", EXAMPLE)["body"]).encode()


def tensors(*inputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": inputs, **more}).encode()


def column(name: str, data: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": [len(data)], "datatype": "FP64", "data": data, **more}


A, B = column("a", [1, 2.5]), column("b", [None, 1e300])
PLAIN = [
    post("/invocations?deployment=delay", ROWS),
    post("/invocations", ROWS),
    post("/invocations?deployment=none", ROWS),
    post("/invocations?deployment=delay", b"["),
    post("/invocations?deployment=delay", b""),
    post("/invocations?deployment=delay", json.dumps({**EXAMPLE, "origin": "broken"}).encode()),
    post(INFER, V2),
    post(INFER, json.dumps({**SIGNED, "id": "é"}).encode()),
    post(INFER, b"{}"),
    post("/v2/models/none/infer", V2),
    post("/v2/models/delay/versions/v0.25/infer", V2),
    post("/v2/models/delay/versions/v9/infer", V2),
    post(INFER, V2, "Connection: close"),
    post(INFER, V2, "X-Request-Timeout-Ms: 5000"),
    post(INFER, V2, "X-Request-Timeout-Ms: soon"),
    post("/invocations?deployment=slow", ROWS, "X-Request-Timeout-Ms: 5"),
    post(MATRIX, tensors(A, B)),
    post(MATRIX, tensors(B, A, id="mine")),
    post(MATRIX, tensors(A)),
    post(MATRIX, tensors(A, A)),
    post(MATRIX, tensors(A, column("b", [1]))),
    post(MATRIX, tensors(A, column("b", ["x", 1]))),
    post(MATRIX, tensors(A, B, outputs=[{"name": "probability"}])),
    post(MATRIX, tensors(A, B, outputs=[{"name": "p"}])),
    post(MATRIX, tensors()),
    post(MATRIX, tensors({**A, "parameters": {"binary_data_size": 16}}, B)),
]
ODD = [
    post("/invocations?deployment=d%65lay", ROWS),
    post("/v2/models/delay/infer/", V2),
    post(INFER, V2, version="1.0"),
    post(INFER, V2, "Connection: keep-alive", version="1.0"),
    post(INFER, b"", method="HEAD"),
    post(INFER, V2, method="PUT"),
    post("/v2/health/live", b"", method="GET"),
    post(INFER, b"%x\r\n%b\r\n0\r\n\r\n" % (len(V2), V2), "Transfer-Encoding: chunked"),
    post(INFER, V2, "Expect: 100-continue"),
    post(INFER, b" " * (BODY_LIMIT + 1)),
    post(INFER, V2, "Content-Length: x"),
    post(INFER, V2, f"Content-Length: {len(V2)}", "Content-Length: 3"),
    post(INFER, V2).replace(b"Host: 127.0.0.1", b"Host: evil.example"),
    post(INFER, V2, "Upgrade: websocket", "Connection: Upgrade"),
    post(INFER, V2, "X-Nenrin-Version: v0.25", "X-Nenrin-Version: v0.25"),
    post(INFER, V2, "X-Request-Timeout-Ms: 5000", "x-request-timeout-ms: 5000"),
    post(INFER, V2, "Accept: text/html", "Accept: */*"),
    b"no http\r\n\r\n",
    post("/invocations?deployment=delay&x=" + "x" * 1000, ROWS),
    post(INFER, V2).replace(b"Host: 127.0.0.1", b"Host: " + b"a" * 300 + b".localhost"),
]


@pytest.mark.parametrize("request_", PLAIN)
def test_hot_answers_are_those_of_the_app(both: tuple[Server, Server], request_: bytes) -> None:
    before = both[0].taken
    hot, cold = (same(server.ask(request_)) for server in both)
    assert hot == cold
    assert hot.startswith(b"HTTP/1.1 ")
    assert both[0].taken == before + 1
    assert both[1].taken == 0


@pytest.mark.parametrize("request_", ODD)
def test_what_is_odd_goes_through_the_app(both: tuple[Server, Server], request_: bytes) -> None:
    before = both[0].taken
    hot, cold = (same(server.ask(request_)) for server in both)
    assert hot == cold
    assert both[0].taken == before


def test_a_header_that_comes_twice_is_one_of_both_values(both: tuple[Server, Server]) -> None:
    twice = "X-Nenrin-Version: v0.25", "X-Nenrin-Version: v9"
    for server in both:
        assert b"does not serve version 'v0.25, v9'" in server.ask(post(INFER, V2, *twice))
        harmless = server.ask(post(INFER, V2, "Accept: text/html", "Accept: */*"))
        assert harmless.startswith(b"HTTP/1.1 200")
        hosts = server.ask(post(INFER, V2, "Host: localhost"))
        assert hosts.startswith(b"HTTP/1.1 400")
        assert b"the host '127.0.0.1, localhost' is not this machine" in hosts


@pytest.mark.parametrize(
    "pieces",
    [
        [post(INFER, V2) * 3],
        [post(INFER, V2), post(INFER, b"{}"), post("/v2/health/live", b"", method="GET")],
        # the second waits for the first, which waits for its thread
        [post("/invocations?deployment=slow", ROWS) + post(INFER, V2)],
        [post("/v2/health/live", b"", method="GET") + post(INFER, V2)],
        [post(INFER, V2)[:40], post(INFER, V2)[40:-9], post(INFER, V2)[-9:]],
        [post(INFER, V2) + post(INFER, V2)[:50], post(INFER, V2)[50:]],
        [post(INFER, V2, "Connection: close") + post(INFER, V2)],
    ],
)
def test_one_connection_many_requests(both: tuple[Server, Server], pieces: list[bytes]) -> None:
    hot, cold = (same(server.ask(*pieces)) for server in both)
    assert hot == cold
    assert hot.count(b"HTTP/1.1 ") >= 1


KNOWN = post(INFER, V2, "X-Test: known")
OTHER = KNOWN.replace(b'"EWR"', b'"JFK"')
LONGER = post(INFER, V2 + b" ", "X-Test: known")
SLOW = post("/invocations?deployment=slow", ROWS, "X-Test: known")


@pytest.mark.parametrize(
    "pieces",
    [
        [KNOWN],
        [OTHER],
        [LONGER],
        [KNOWN[:-1], KNOWN[-1:]],
        [KNOWN[:30], KNOWN[30:]],
        [KNOWN + OTHER, KNOWN],
        [KNOWN + KNOWN[:50], KNOWN[50:]],
        [SLOW, KNOWN],
        [SLOW + SLOW],
        [SLOW, b"\r\n" + KNOWN],
        [KNOWN.replace(b"known", b"other")],
        [KNOWN.replace(b"{", b"[")],
        [post(INFER, V2, "X-Test: known", "Connection: close"), KNOWN],
    ],
)
def test_a_head_that_is_known_means_the_same(
    both: tuple[Server, Server], pieces: list[bytes]
) -> None:
    for each in (KNOWN, SLOW):
        both[0].ask(each)
        both[0].ask(each)
        assert each[: each.index(b"\r\n\r\n") + 4] in both[0].heads
    before = both[0].taken
    hot, cold = (same(server.ask(*pieces)) for server in both)
    assert hot == cold
    assert both[0].taken > before
    assert not any(b"close" in head for head in both[0].heads)


def test_heads_are_forgotten_in_time(
    both: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane_heads, "_HEADS", 2)
    for place in range(4):
        head = post(INFER, V2, f"X-Test: {place}")
        before = len(both[0].heads)
        both[0].ask(head)
        assert len(both[0].heads) == before, "it may carry an id, and never come again"
        both[0].ask(head)
        assert len(both[0].heads) <= 2 or place == 0
    monkeypatch.setattr(plane_front, "_LONGEST_HEAD", 100)
    both[0].heads.clear()
    long = post(INFER, V2, "X-Test: " + "x" * 100)
    for _ in range(2):
        assert both[0].ask(long).startswith(b"HTTP/1.1 200")
    assert not both[0].heads


LIMIT = plane_badhttp.HEAD_BYTES
LIVE = post("/v2/health/live", b"", method="GET")


def padded(size: int, *, each: int) -> bytes:
    """A request whose head has so many bytes, in headers of ``each`` at most."""
    room = size - len(post(INFER, V2)) + len(V2)
    sizes = [each] * (room // each - 1)
    sizes.append(room - sum(sizes))
    headers = [f"X-{n:06}: {'x' * (wide - len('X-000000: ') - 2)}" for n, wide in enumerate(sizes)]
    return post(INFER, V2, *headers)


@pytest.mark.parametrize("each", [20_000, 40])
def test_a_head_has_a_limit(both: tuple[Server, Server], each: int) -> None:
    for size, status in ((LIMIT - 20, 200), (LIMIT + 100, 431)):
        head = padded(size, each=each)
        for pieces in ([head], [head[:300], head[300:]]):
            hot, cold = (same(server.ask(*pieces)) for server in both)
            assert hot == cold
            assert b"HTTP/1.1 %d " % status in hot
            assert hot.endswith(b"<open>") == (status == 200)
            if status == 431:
                told = json.loads(hot.rpartition(b"\r\n\r\n")[2])
                assert told["error"] == "the request's head is larger than 65536 bytes"
    for server in both:  # what came whole before it is answered, and the connection closed
        answer = server.ask(LIVE + padded(LIMIT + 100, each=each))
        assert answer.startswith(b"HTTP/1.1 200")
        assert not answer.endswith(b"<open>")


class Wire(asyncio.Transport):
    """What a connection writes."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.said += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class NeverHot:
    ending = False

    def takes(self, *_: Any) -> None:
        return None


async def _waits(_scope: Any, receive: Any, _send: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


CHUNKED = post(INFER, b"3\r\nabc\r\n", "Transfer-Encoding: chunked")
BODY = post(INFER, b"", f"Content-Length: {10 * LIMIT}")


@pytest.mark.parametrize(
    ("begun", "more", "ends_at"),
    [
        (b"POST /", b"x" * 1_000, 66),
        (post(INFER, b"")[:-2] + b"X-Long: ", b"x" * 1_000, 66),
        (post(INFER, b"")[:-2] + b"X" * 50, b"x" * 1_000, 66),
        (post(INFER, b"")[:-2], b"X-Short: x\r\n" * 100, 55),
        (CHUNKED + b"0\r\nX-Long: ", b"x" * 1_000, 66),
        (CHUNKED + b"0\r\n", b"X-Short: x\r\n" * 100, 55),
        (CHUNKED + b"3;name=", b"x" * 1_000, None),  # nothing is kept of it
        (CHUNKED, b"3\r\nabc\r\n" * 100, None),
        (CHUNKED + b"fffff\r\n", b"x" * 1_000, None),
        (BODY, b"x" * 1_000, None),
        (BODY + b"x" * 10 * LIMIT, b"", None),
    ],
)
def test_a_head_without_an_end_is_not_kept(begun: bytes, more: bytes, ends_at: int | None) -> None:
    async def told() -> tuple[int | None, bytes]:
        config = uvicorn.Config(_waits, log_config=None, ws="none")
        config.load()
        state = uvicorn.server.ServerState()
        hot: Any = NeverHot()
        connection = front_of(hot)(config=config, server_state=state, app_state={})
        wire = Wire()
        connection.connection_made(wire)
        connection.data_received(begun)
        pieces = 0
        while pieces < 200 and not wire.closed:
            pieces += 1
            await asyncio.sleep(0)
            connection.data_received(more)
        ended = wire.closed
        connection.connection_lost(None)
        await asyncio.gather(*state.tasks)
        return (pieces if ended else None), wire.said

    pieces, said = asyncio.run(told())
    assert pieces == ends_at
    assert said.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n") == bool(ends_at)


def test_a_silent_connection_is_closed(tmp_path: Path) -> None:
    """The time runs from the last answer, whatever came before, and no slow answer is cut short."""
    server = Server(tmp_path, ROUTES, keep_alive=1)
    try:
        with socket.create_connection(server.address) as client:
            client.settimeout(60)
            for _ in range(3):
                client.sendall(KNOWN)
                assert client.recv(65536).startswith(b"HTTP/1.1 200")
                time.sleep(0.6)
            assert client.recv(1) == b""
    finally:
        server.stop()


@pytest.mark.parametrize("deployment_", ["delay", "slow"])
def test_a_client_that_has_said_all_is_let_go(
    both: tuple[Server, Server], deployment_: str
) -> None:
    request = post(f"/invocations?deployment={deployment_}", ROWS)
    for server in both:  # what is quick is answered, if the end of what is said is not heard first
        assert not server.ask(request, half_closed=True).endswith(b"<open>")
        assert server.ask(post(INFER, V2)).startswith(b"HTTP/1.1 200")


def test_a_client_that_leaves_holds_up_nobody(both: tuple[Server, Server]) -> None:
    hot = both[0]
    slow = post("/invocations?deployment=slow", ROWS)
    leaving = [socket.create_connection(hot.address) for _ in range(5)]
    for client in leaving:
        client.sendall(slow)
    for client in leaving:
        client.close()
    assert hot.ask(slow).startswith(b"HTTP/1.1 200")


def test_an_answer_that_cannot_be_given_is_an_error_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> list[str]:
        raise ValueError("no id")

    monkeypatch.setattr(answering, "prediction_ids", broken)
    metrics = post("/metrics", b"", method="GET")
    for place, hot in enumerate((True, False)):
        server = Server(tmp_path / str(place), ROUTES, hot=hot)
        try:
            for request in (post(INFER, V2), post("/invocations?deployment=slow", ROWS)):
                assert server.ask(request).startswith(b"HTTP/1.1 500")
            assert server.ask(metrics).count(b'status="500"} 1.0') == 2
        finally:
            server.stop()


def test_the_token_is_asked_of_hot_requests(tmp_path: Path) -> None:
    server = Server(tmp_path, ROUTES, token="sixteen or more.")
    try:
        assert server.ask(post(INFER, V2)).startswith(b"HTTP/1.1 401")
        wrong = post(INFER, V2, "Authorization: Bearer sixteen or less.")
        assert server.ask(wrong).startswith(b"HTTP/1.1 401")
        assert server.taken == 0
        right = post(INFER, V2, "Authorization: Bearer sixteen or more.")
        assert server.ask(right).startswith(b"HTTP/1.1 200")
        assert server.taken == 1
    finally:
        server.stop()


def test_a_draining_plane_closes_after_its_answer(tmp_path: Path) -> None:
    server = Server(tmp_path, ROUTES)
    try:
        server.drain.begun = True
        answer = server.ask(post(INFER, V2) * 2)
        assert answer.count(b"HTTP/1.1 200") == 1
        assert b"\r\nconnection: close\r\n" in answer
        assert not answer.endswith(b"<open>")
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("rows", "more", "status"),
    [
        (2, {}, 200),
        (2, {"datatype": "FP32"}, 400),
        (2, {"datatype": "BYTES"}, 400),
        (2, {"shape": [3, 2]}, 400),
        (2, {"parameters": {"binary_data_size": 31}}, 400),
        (2, {"data": [1, 2, 3, 4]}, 400),
        (0, {}, 400),
    ],
)
def test_numbers_in_one_tensor_of_bytes(
    both: tuple[Server, Server], rows: int, more: dict[str, Any], status: int
) -> None:
    raw = np.arange(2.0 * rows).tobytes()
    tensor = {"name": "rows", "shape": [rows, 2], "datatype": "FP64"}
    tensor |= {"parameters": {"binary_data_size": len(raw)}, **more}
    wanted = {"name": "probability", "parameters": {"binary_data": True}}
    head = tensors(tensor, outputs=[wanted])
    request = post(MATRIX, head + raw, f"Inference-Header-Content-Length: {len(head)}")
    hot, cold = (same(server.ask(request)) for server in both)
    assert hot == cold
    assert hot.startswith(b"HTTP/1.1 %d" % status)
    assert (np.full(2, 0.75).tobytes() in hot) == (status == 200)


@pytest.mark.parametrize(
    ("data", "more", "status"),
    [
        ([1, 2.5, None, 1e300], {}, 200),
        ([[1, 2], [3, 4]], {}, 200),
        ([1, 2, 3, 4], {"datatype": "INT64"}, 200),
        ([1, 2, 3], {}, 400),
        ([1, 2, 3, "4"], {}, 400),
        ([1, 2, 3, True], {}, 400),
        ([[1, 2], 3, 4], {}, 400),
        ([1, 2, 3, 4], {"shape": [4, 1]}, 400),
        ([1, 2, 3, 4], {"shape": [1, 2, 2]}, 400),
        ([], {"shape": [0, 2]}, 400),
    ],
)
def test_numbers_in_one_tensor(
    both: tuple[Server, Server], data: list[Any], more: dict[str, Any], status: int
) -> None:
    tensor = {"name": "rows", "shape": [2, 2], "datatype": "FP64", "data": data, **more}
    hot, cold = (same(server.ask(post(MATRIX, tensors(tensor)))) for server in both)
    assert hot == cold
    assert hot.startswith(b"HTTP/1.1 %d" % status)
    assert (b'"data":[0.75,0.75]' in hot) == (status == 200)
