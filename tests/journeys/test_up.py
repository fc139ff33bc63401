"""``nenrin up`` in the demo's folder: what it answers, who may ask, and what a crash costs."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nenrin.serving.segments import read_predictions
from nenrin.testing.waiting import wait_until
from tests.journeys.shell import Done, Shell, Up, plane_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights" / "project.py"
LIGHTER = [  # the demo's own project with a third of its trees, and untuned
    (', tune={"num_leaves": nr.integers(7, 63)}', ""),
    ("rows, num_leaves=31", "rows"),
    ("n_estimators=60, num_leaves=num_leaves", "n_estimators=20"),
]
TOKEN = "a token of 24 characters"
KEY = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flights")


@pytest.fixture(scope="module")
def demo(folder: Path) -> Done:
    """The last days of the year, so that the calendar that is adopted stands at the end of the data."""
    text = EXAMPLE.read_text()
    for old, new in LIGHTER:
        assert old in text
        text = text.replace(old, new)
    (folder / "project.py").write_text(text)
    days = ("--from", "2013-12-20", "--inject", "scrambled_fit:2013-12-24")
    return Shell(folder)("demo", ".", *days)


@pytest.fixture(scope="module")
def shell(folder: Path, demo: Done) -> Shell:
    return Shell(folder)


@pytest.fixture(scope="class")
def up(shell: Shell) -> Iterator[Up]:
    with shell.up() as up:
        yield up


def _records(up: Up) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = up.get("/api/deployments/delay/example").json()["records"]
    return found


def test_the_demo_says_what_it_does_and_adopts(demo: Done) -> None:
    typed = [line for line in demo.err.splitlines() if line.startswith("$ ")]
    assert [line.split()[1:3] for line in typed[-3:]] == [
        ["nenrin", "backtest"],
        ["nenrin", "backtest"],
        ["nenrin", "adopt"],
    ]
    assert "Does the loop pay?" in demo.out
    assert "The bad week (scrambled_fit:2013-12-24)" in demo.out
    assert "dev serves version-" in demo.out
    assert "its calendar stands at 2014-01-01 04:59Z" in demo.out


class TestUp:
    """What was adopted, served."""

    def test_its_words(self, up: Up) -> None:
        assert "2014-01-01 04:59Z, its calendar stands at the end of the data" in up.text
        [curl] = up.curls
        said = subprocess.run(curl, shell=True, capture_output=True, text=True, check=True).stdout
        assert 0 < json.loads(said)["predictions"][0] < 1

    def test_both_protocols_give_one_answer(self, up: Up) -> None:
        metadata = up.get("/v2/models/delay").json()
        names = [column["name"] for column in metadata["inputs"]]
        assert names == ["flight_id", "sched_dep", "carrier", "origin", "dest", "distance"]
        example = up.get("/api/deployments/delay/example").json()
        infer = up.post("/v2/models/delay/infer", example["body"]).json()
        outputs = {output["name"]: output["data"] for output in infer["outputs"]}
        records = example["records"]
        split = {"columns": list(records[0]), "data": [list(records[0].values())]}
        for body in (records, {"dataframe_records": records}, {"dataframe_split": split}):
            answer = up.post("/invocations", body).json()
            assert answer["predictions"] == outputs["probability"]
            assert answer["versions"] == outputs["version"] == metadata["versions"]

    def test_health_metrics_and_docs(self, up: Up) -> None:
        for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/delay/ready", "/ping"):
            assert up.get(path).status_code == 200, path
        assert 'nenrin_predictions_total{deployment="delay"' in up.get("/metrics").text
        assert "prediction_log_lost_total 0.0" in up.get("/metrics").text
        assert up.get("/docs").headers["content-type"].startswith("text/html")
        described = up.get("/openapi.json").json()["paths"]
        assert {"/v2/models/delay/infer", "/invocations", "/api/status"} <= described.keys()
        for path in ("/v2/models/delay/infer", "/invocations"):
            taken = described[path]["post"]["requestBody"]["content"]["application/json"]
            example = taken.get("example") or taken["examples"]["delay"]["value"]
            assert up.post(path, example).status_code == 200, path

    @pytest.mark.parametrize(
        ("path", "body", "status", "said"),
        [
            ("/nothing", None, 404, "there is no GET /nothing"),
            ("/api/deployments/none", None, 404, "there is no deployment 'none'"),
            ("/v2/models/none/infer", {}, 404, "there is no deployment 'none'"),
            ("/invocations", [{"carrier": "UA"}], 400, "lacks the column 'sched_dep'"),
            ("/invocations", "text", 400, ""),
        ],
    )
    def test_what_is_wrong_is_said_in_json(
        self, up: Up, path: str, body: Any, status: int, said: str
    ) -> None:
        answer = up.get(path) if body is None else up.post(path, body)
        assert answer.status_code == status
        assert said in answer.text
        assert "Traceback" not in answer.text
        shape = answer.json()
        shape = shape["error"] if isinstance(shape["error"], dict) else shape
        assert {"code", "message", "where", "hint"} <= shape.keys()

    @pytest.mark.parametrize(
        ("command", "said"),
        [
            ("status", "dev at 2014-01-01 04:59Z, its calendar stands at the end of the data"),
            ("rings", "the loop has not turned here yet"),
            ("deployments list", "delay"),
            ("deployments show delay", "sched_dep"),
            ("data list", "336,776"),
            ("data show weather", "26,115"),
            ("models list", "registered"),
            ("gates check delay", "would be admitted"),
            ("audit verify --env dev", "holds"),
            ("why delay", "deployment.adopted"),
        ],
    )
    def test_commands_work_meanwhile(self, shell: Shell, up: Up, command: str, said: str) -> None:
        assert said in shell.here(*command.split()).out
        assert shell.here(*command.split(), "--json").json is not None

    def test_a_version_tells_what_it_was_made_from(self, shell: Shell, up: Up) -> None:
        champion = up.get("/api/deployments/delay").json()["route"]["variants"][0]["version"]
        members = shell.here("why", champion, "--json").json["made from"]
        assert all(each.startswith("version-") for each in members)  # a mixture of fits
        made = shell.here("why", members[0], "--json").json["made from"]
        assert any(each.startswith("recipe:") for each in made)
        assert any(each.startswith("data:flights:") for each in made)
        assert champion in shell.here("models", "show", champion).out

    def test_promotion_and_roll_back_go_live(self, shell: Shell, up: Up) -> None:
        """The gate lets some archived versions back and refuses others; the plane follows."""
        before = up.get("/api/deployments/delay").json()["route"]["variants"][0]["version"]
        versions = [each["id"] for each in shell.here("models", "list", "--json").json]
        ended = {}
        for version in versions:
            if version != before:
                done = shell.here("deployments", "promote", "delay", version, code=None)
                ended[version] = done.code
                assert done.code in (0, 6), done.err
                if done.code == 0:
                    break
                assert f"{before} goes on serving" in done.err
        [promoted] = [version for version, code in ended.items() if code == 0]
        wait_until(lambda: _serves(up) == promoted)
        assert shell.here("deployments", "promote", "delay", promoted, code=5)
        assert before in shell.here("deployments", "rollback", "delay").out
        wait_until(lambda: _serves(up) == before)
        again = shell.here("deployments", "promote", "delay", promoted, code=6)
        assert "is marked bad" in again.err
        assert shell.here("audit", "verify").out.count("holds") >= 3


def _serves(up: Up) -> str:
    [version] = up.post("/invocations", _records(up)).json()["versions"]
    return str(version)


def test_other_machines_need_a_token(shell: Shell) -> None:
    refused = shell.here("up", "--host", "0.0.0.0", code=6)
    assert "0.0.0.0 can be reached from other machines, and no token is set" in refused.err
    assert "NENRIN_TOKEN" in refused.err


def test_a_kill_loses_nothing_acknowledged(shell: Shell) -> None:
    """kill -9 of the control process: the plane goes on, and the next start finds everything."""
    with shell.up() as up:
        records = _records(up)
        shell.here("deployments", "freeze", "delay")
        before = shell.here("status", "--json").json
        up.kill()
        assert all(up.post("/invocations", records).status_code == 200 for _ in range(20))
        assert up.get("/v2/health/ready").status_code == 200
        down = up.get("/api/status")
        assert down.status_code == 503
        assert down.headers["retry-after"]
        assert down.json()["error"]["code"] == "unavailable"
        port, left = up.url.rpartition(":")[2], plane_of(shell.folder)
        words = ("--host", "0.0.0.0", "--port", port)
        with shell.up(*words, NENRIN_TOKEN=TOKEN) as again:
            assert again.url.endswith(f":{port}")
            assert plane_of(shell.folder) not in (None, left)
            assert again.get("/v2/models/delay").status_code == 401
            assert again.get("/api/status").json()["error"]["code"] == "unauthorized"
            status = again.get("/api/status", headers=KEY).json()
            assert status["ledger"]["events"] >= before["ledger"]["events"]
            assert status["deployments"][0]["frozen"]
            assert status["predictions"]["issued"] == before["predictions"]["issued"] + 20
            assert status["predictions"]["lost"] == 0
            _kill_the_plane(shell, again, records)
    assert "holds" in shell.here("audit", "verify", "--env", "dev").out
    shell.here("deployments", "unfreeze", "delay")


def _kill_the_plane(shell: Shell, up: Up, records: list[dict[str, Any]]) -> None:
    """It comes back by itself; of the fifth of a second before, what is lost is counted."""
    log, plane = shell.folder / ".nenrin" / "predictions", plane_of(shell.folder)
    assert plane is not None
    for _ in range(30):
        assert up.post("/invocations", records, headers=KEY).status_code == 200
    os.kill(plane, signal.SIGKILL)
    wait_until(lambda: plane_of(shell.folder) not in (None, plane))
    assert up.get("/v2/health/live", headers=KEY).status_code == 200
    counts: dict[str, int] = {}

    def accounted() -> (
        bool
    ):  # its successor counts once it has the folder, which others do not wait for
        counts.update(up.get("/api/status", headers=KEY).json()["predictions"])
        return counts["issued"] == sum(1 for _ in read_predictions(log)) + counts["lost"]

    wait_until(accounted)
    assert 0 <= counts["lost"] <= 30
    assert f"log_lost_total {float(counts['lost'])}" in up.get("/metrics", headers=KEY).text
    assert up.post("/invocations", records, headers=KEY).status_code == 200


def test_a_request_under_way_is_answered_before_the_end(shell: Shell) -> None:
    """Half of it had come when the signal did."""
    with shell.up() as up:
        body = json.dumps(_records(up) * 100).encode()
        line = http.client.HTTPConnection(up.url.removeprefix("http://"), timeout=120)
        line.putrequest("POST", "/invocations")
        line.putheader("Content-Type", "application/json")
        line.putheader("Content-Length", str(len(body)))
        line.endheaders(body[:1000])
        time.sleep(0.5)
        up.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        line.send(body[1000:])
        answer = line.getresponse()
        assert answer.status == 200
        assert len(json.loads(answer.read())["predictions"]) == 100
        line.close()
        assert up.process.wait(120) == 0
        assert "stopped" in up.text
    assert plane_of(shell.folder) is None
