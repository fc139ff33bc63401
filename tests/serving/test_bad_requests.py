"""What nobody should send, over a real connection: each is refused in JSON, or answered as it is meant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from nenrin.serving.plane import app as plane_app
from nenrin.serving.plane import hot as plane_hot
from tests.serving.fuzz.http_bytes import Answers, ask, message
from tests.serving.kinds import INFER, ROW, KindsPlane, inputs
from tests.serving.plane_here import PlaneHere, listening

GOOD = json.dumps({"inputs": inputs()}).encode()
RECORD = json.dumps(ROW).encode()
INVOKE = "/invocations"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlaneHere]:
    with listening(KindsPlane(tmp_path_factory.mktemp("kinds"))) as here:
        yield here


def told(here: PlaneHere, *parts: bytes) -> list[tuple[int, Any]]:
    """The statuses and JSON bodies of the answers on one connection, which the last part closes."""
    host, _, port = here.http.partition(":")
    head, found, last = parts[-1].rpartition(b"Host:")
    parts = (*parts[:-1], head + b"Connection: close\r\n" + found + last) if found else parts
    answers = Answers()
    answers.feed(asyncio.run(ask(host, int(port), parts, seconds=120)))
    return [(status, json.loads(body)) for status, _, body in answers.told if status >= 200]


def infer(**other: Any) -> bytes:
    return message("POST", INFER, json.dumps({"inputs": inputs(**other)}).encode())


REFUSED: list[tuple[str, bytes, int]] = [
    ("malformed JSON", message("POST", INFER, b"{"), 400),
    ("two values", message("POST", INFER, GOOD + GOOD), 400),
    ("no UTF-8", message("POST", INVOKE, b'{"a": "\xff"}'), 400),
    ("half a surrogate pair", message("POST", INVOKE, b'{"a": NaN, "s": "\\ud83d"}'), 400),
    ("half a surrogate pair alone", message("POST", INVOKE, b'{"s": "\\ud83d"}'), 400),
    ("no body", message("POST", INFER), 400),
    ("no body", message("POST", INVOKE), 400),
    ("an empty body", message("POST", INFER, b"", "Content-Length: 0"), 400),
    ("no inputs", message("POST", INFER, b"{}"), 400),
    ("a wrong name", infer(a={"name": "aa"}), 400),
    ("a wrong shape", infer(a={"shape": [3]}), 400),
    ("a wrong rank", infer(a={"shape": [1, 1, 2]}), 400),
    ("a wrong type", infer(a={"data": ["1"]}), 400),
    ("a wrong width", infer(a={"datatype": "INT8", "data": [300]}), 400),
    ("a wrong datatype", infer(a={"datatype": "FLOAT"}), 400),
    ("a datatype of another kind", infer(a={"datatype": "BOOL", "data": [True]}), 400),
    ("a missing column", message("POST", INVOKE, b'{"a": 1}'), 400),
    ("a number as text", message("POST", INVOKE, RECORD.replace(b"1.5", b'"1.5"')), 400),
    ("too long a number", message("POST", INVOKE, RECORD.replace(b"1.5", b"9" * 400)), 400),
    ("deep nesting", message("POST", INVOKE, b"[" * 100_000), 400),
    ("a media type", message("POST", INVOKE, b"<a/>", "Content-Type: text/xml"), 415),
    ("an encoding", message("POST", INFER, GOOD, "Content-Encoding: br"), 415),
    ("another method", message("PUT", INFER, GOOD), 405),
    ("another path", message("POST", "/v2/models/kinds/predict", GOOD), 404),
    ("another model", message("POST", "/v2/models/none/infer", GOOD), 404),
    ("another version", message("POST", "/v2/models/kinds/versions/v9/infer", GOOD), 404),
    ("another host", message("GET", "/v2").replace(b"127.0.0.1", b"evil.example"), 400),
    ("no HTTP", b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
    ("a path that is none", message("GET", "*"), 400),
    ("a length that is none", message("POST", INFER, b"", "Content-Length: -1"), 400),
    (
        "a length and chunks",
        message("POST", INFER, b"", "Content-Length: 5", "Transfer-Encoding: chunked"),
        400,
    ),
    (
        "chunks that are none",
        message("POST", INFER, b"", "Transfer-Encoding: chunked") + b"xyz\r\n",
        400,
    ),
]


@pytest.mark.parametrize(
    ("sent", "status"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED]
)
def test_refused_in_json(here: PlaneHere, sent: bytes, status: int) -> None:
    ((seen, body),) = told(here, sent)
    assert seen == status
    assert isinstance(body["error"], str)
    assert body["error"]
    assert body["hint"]


def test_a_huge_body_is_refused(here: PlaneHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane_app, "BODY_BYTES", 1000)
    monkeypatch.setattr(plane_hot, "BODY_BYTES", 1000)
    padded = GOOD + b" " * 2000
    for sent in (message("POST", INFER, padded), message("POST", INFER, padded, chunked=True)):
        assert told(here, sent)[0][0] == 413


def test_chunked_requests(here: PlaneHere) -> None:
    sent = message("POST", INFER, GOOD, "Connection: close", chunked=True)
    parts = [sent[at : at + 40] for at in range(0, len(sent), 40)]
    ((status, body),) = told(here, *parts)
    assert (status, body["outputs"][0]["data"]) == (200, [3.0])


def test_pipelined_requests_are_answered_in_their_order(here: PlaneHere) -> None:
    asked = [{**ROW, "a": float(number)} for number in range(5)]
    sent = [message("POST", INVOKE, json.dumps(row).encode()) for row in asked]
    sent.insert(2, message("POST", INVOKE, b"{"))
    sent.append(message("GET", "/v2/health/live"))
    answers = told(here, b"".join(sent))
    assert [status for status, _ in answers] == [200, 200, 400, 200, 200, 200, 200]
    assert [body["predictions"] for _, body in answers if "predictions" in body] == [
        [2.0 * number] for number in range(5)
    ]
    assert answers[-1][1] == {"live": True}


def test_a_path_with_two_slashes_is_only_a_path(here: PlaneHere) -> None:
    ((status, body),) = told(here, message("GET", "//elsewhere"))
    assert (status, body["code"]) == (
        503,
        "unavailable",
    )  # of the control process, which is not there


def test_a_good_request_is_answered_though_no_http_comes_behind_it(here: PlaneHere) -> None:
    good = message("POST", INVOKE, RECORD)
    host, _, port = here.http.partition(":")
    for times in (1, 3):
        answers = Answers()
        sent = good * times + b"\x16\x03\x01\r\n\r\n"
        answers.feed(asyncio.run(ask(host, int(port), [sent], seconds=120)))
        assert [status for status, *_ in answers.told] == [200] * times


@pytest.mark.parametrize("value", [b"\x7f", b"\xff\xe9", b"\t", b"a\tb", b"", b"\x01"])
def test_odd_attributes_of_sagemaker(here: PlaneHere, value: bytes) -> None:
    name = b"X-Amzn-SageMaker-Custom-Attributes: "
    sent = message("POST", INVOKE, RECORD).replace(b"Host:", name + value + b"\r\nHost:")
    ((status, _),) = told(here, sent)
    assert status in (200, 400)
