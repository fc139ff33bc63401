"""A deployment that moves from version to version while clients ask: none is dropped, none is late."""

from __future__ import annotations

import http.client
import json
import threading
import time
from pathlib import Path

import pytest

from nenrin.serving.plane import app as plane_app
from tests.serving.fakes import EXAMPLE, ListedRoutes, deployment
from tests.serving.server_here import Server

SWAPS = 100
BODY = json.dumps(deployment("v0").request.example("delay", EXAMPLE)["body"])


def test_a_hundred_swaps_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane_app, "POLL_SECONDS", 0.005)
    routes = ListedRoutes(deployment("v0"))
    server = Server(tmp_path, routes)
    stop = threading.Event()
    begun = 0  # swaps so far
    told: list[tuple[int, int, int, float, str]] = []

    def ask() -> None:
        client = http.client.HTTPConnection(*server.address, timeout=120)
        while not stop.is_set():
            before = begun
            client.request("POST", "/v2/models/delay/infer", BODY)
            answer = client.getresponse()
            found = json.loads(answer.read())
            outputs = {each["name"]: each["data"][0] for each in found.get("outputs", [])}
            version = str(outputs.get("version"))
            told.append((before, begun, answer.status, outputs.get("probability", -1.0), version))
        client.close()

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        for begun in range(1, SWAPS + 1):
            version = f"v{begun}"
            routes.listed = [deployment(version)]
            while told[-1:] == [] or told[-1][4] != version:  # somebody is answered by it
                time.sleep(0.001)
    finally:
        stop.set()
        for client in clients:
            client.join()
        server.stop()
    assert {status for _, _, status, _, _ in told} == {200}
    assert all(f"v{answer:.0f}" == version for _, _, _, answer, version in told)
    # what was asked after a swap was seen is never answered by what it replaced
    assert all(before - 1 <= int(version[1:]) <= after for before, after, _, _, version in told)
    assert server.taken == len(told)
