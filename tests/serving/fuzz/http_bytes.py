"""Bytes thrown at the HTTP front end: ``python -m tests.serving.fuzz.http_bytes --messages 100000 --seed 1``.

Whatever comes, the plane lives, no answer is a 500 or has a traceback, every 4xx is JSON with an
``error``, and a good request is answered afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import gzip
import json
import logging
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httptools
import numpy as np
import polars as pl

from nenrin.serving.plane.tensors import packed
from nenrin.serving.signature import RequestSignature
from tests.serving.fakes import deployment
from tests.serving.fuzz.mutations import Draw, mutated, pieces
from tests.serving.kinds import INFER, ROW, KindsPlane, inputs
from tests.serving.plane_here import listening

INVOKE = "/invocations?deployment=kinds"
NUMBERS = "/v2/models/numbers/infer"
AT_A_TIME = 64
SECONDS = 0.5  # to wait for more of an answer


def message(
    method: str, path: str, body: bytes = b"", *headers: str, chunked: bool = False
) -> bytes:
    """A good request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if chunked:
        parts = [body[at : at + 50] for at in range(0, len(body), 50)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        lines.append("Transfer-Encoding: chunked")
    elif body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def seeds() -> list[bytes]:
    """Good requests of every kind."""
    infer = json.dumps({"id": "a", "inputs": inputs()}).encode()
    records = json.dumps({"dataframe_records": [ROW, ROW]}).encode()
    raw = packed("FP64", [1.0])
    tensors = [each for each in inputs() if each["name"] != "a"]
    tensors.append({"name": "a", "datatype": "FP64", "shape": [1]})
    tensors[-1]["parameters"] = {"binary_data_size": 8}
    asked = {"inputs": tensors, "parameters": {"binary_data_output": True}}
    head = json.dumps(asked).encode()
    length = f"Inference-Header-Content-Length: {len(head)}"
    number = {"datatype": "FP64", "shape": [2], "data": [1.5, -2e-3]}
    columns = json.dumps({"inputs": [{"name": name, **number} for name in "ab"]}).encode()
    whole = {"name": "rows", **number, "shape": [1, 2]}
    matrix = json.dumps({"id": "é", "inputs": [whole]}).encode()
    csv = b'a,n,b,s,d\n1.5,3,True,"x,y",2024-02-29\n'
    return [
        message("POST", INFER, infer, "Content-Type: application/json"),
        message("POST", INFER, infer, chunked=True),
        message("POST", INFER, head + raw, length, "Content-Type: application/octet-stream"),
        message("POST", INFER, gzip.compress(infer), "Content-Encoding: gzip"),
        message("POST", INVOKE, records, "Content-Type: application/json"),
        message("POST", INVOKE, records, "Expect: 100-continue"),
        message("POST", INVOKE, csv, "Content-Type: text/csv"),
        message("POST", NUMBERS, matrix, "Content-Type: application/json"),
        message("POST", NUMBERS, columns, "Content-Type: application/json"),
        message("GET", "/v2/models/kinds") + message("GET", "/v2/health/ready"),
        message("POST", "/v2/repository/index", b'{"ready": true}'),
        message("GET", "/v2/models/kinds/versions/version-1/stats", b"", "Connection: close"),
    ]


def broken(draw: Draw, good: Sequence[bytes]) -> bytes:
    """A message with something broken in it; every other time only in its body, of a true length."""
    if draw.integers(2):
        return mutated(draw, good)
    chosen = good[int(draw.integers(len(good)))]
    head, _, body = chosen.partition(b"\r\n\r\n")
    if not body or b"chunked" in head:
        return mutated(draw, [chosen])
    body = mutated(draw, [body])
    head = re.sub(rb"(?m)^Content-Length: \d+", b"Content-Length: %d" % len(body), head)
    return head + b"\r\n\r\n" + body


class Answers:
    """Reads a connection's answers."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str, bytes]] = []
        self._parser = httptools.HttpResponseParser(self)
        self._body, self._media = b"", ""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._media = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.told.append((self._parser.get_status_code(), self._media, self._body))
        self._body, self._media = b"", ""

    def feed(self, received: bytes) -> None:
        self._parser.feed_data(received)


async def ask(host: str, port: int, parts: Sequence[bytes], seconds: float = SECONDS) -> bytes:
    """What comes back on one connection, until nothing more does for ``seconds``."""
    reader, writer = await asyncio.open_connection(host, port)
    received = b""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        while more := await asyncio.wait_for(reader.read(65536), seconds):
            received += more
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return received


def wrong(sent: bytes, received: bytes) -> tuple[str, list[int]]:
    """What is wrong with the answers, if anything, and their statuses."""
    if b"Traceback" in received:
        return "a traceback", []
    if b"HEAD" in sent:  # its answers have no bodies, which a parser cannot know
        return "", []
    answers = Answers()
    try:
        answers.feed(received)
    except httptools.HttpParserError as error:
        return f"no HTTP: {error}", []
    for status, media, body in answers.told:
        if 400 <= status < 600:
            if status not in (*range(400, 500), 503):
                return f"a {status}", []
            if not (media == "application/json" and json.loads(body).get("error")):
                return f"a {status} without error", []
        elif status == 200 and media == "application/json":
            json.loads(body)
    return "", [status for status, *_ in answers.told]


class Exceptions(logging.Handler):
    """Keeps what is logged with a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            self.told.append(logging.Formatter().format(record))


def _plane(folder: Path) -> KindsPlane:
    """One with a deployment of numbers alone, too, whose requests are read in a shorter way."""
    kinds = KindsPlane(folder)
    types = {"a": pl.Float64(), "b": pl.Float64()}
    request = RequestSignature.of(types, known=types)
    example = {"a": 1.0, "b": 2.0}
    kinds.routes.listed.append(
        deployment("version-1", name="numbers", request=request, example=example)
    )
    kinds.table.refresh()
    return kinds


def fuzz(folder: Path, messages: int, seed: int) -> tuple[list[tuple[str, bytes]], dict[int, int]]:
    """What went wrong with which message, and how many answers had each status."""
    draw = np.random.default_rng(seed)
    good = seeds()
    logged = Exceptions()
    logging.getLogger().addHandler(logged)
    failures: list[tuple[str, bytes]] = []
    statuses: collections.Counter[int] = collections.Counter()

    async def run(host: str, port: int) -> None:
        for start in range(0, messages, AT_A_TIME):
            sent = [broken(draw, good) for _ in range(min(AT_A_TIME, messages - start))]
            received = await asyncio.gather(*(ask(host, port, pieces(draw, m)) for m in sent))
            for each, answer in zip(sent, received, strict=True):
                problem, seen = wrong(each, answer)
                statuses.update(seen)
                if problem:
                    failures.append((problem, each))
            if logged.told:
                failures.append((logged.told.pop(), b"one of the last messages"))
        for each in good:
            problem, seen = wrong(each, await ask(host, port, [each]))
            if problem or not seen or set(seen) - {100} != {200}:
                failures.append((problem or f"a good request got {seen}", each))

    try:
        with listening(_plane(folder)) as here:
            host, _, port = here.http.partition(":")
            asyncio.run(run(host, int(port)))
    finally:
        logging.getLogger().removeHandler(logged)
    return failures, dict(sorted(statuses.items()))


def main(arguments: list[str] | None = None) -> Any:
    """Run it by hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        failures, statuses = fuzz(Path(folder), asked.messages, asked.seed)
    for problem, sent in failures:
        print(problem, sent)
    print(f"{asked.messages} messages, seed {asked.seed}: {len(failures)} failures; {statuses}")
    return bool(failures)


if __name__ == "__main__":
    raise SystemExit(main())
