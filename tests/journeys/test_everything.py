"""Some weeks of flights on PostgreSQL, S3, Valkey and Ray, by settings alone: decisions as in a folder.

Then a node is killed, the database crashes and the object store is slow: still the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nenrin.backends.blobs.bucket import Bucket
from nenrin.backends.online.redis import RedisOnlineStore
from nenrin.testing.faulty_proxy import faulty_proxy
from nenrin.testing.object_store import ObjectStoreServer
from nenrin.testing.online import ValkeyServer, valkey_server
from nenrin.testing.postgres import PostgresServer, postgres_server
from nenrin.testing.ray_nodes import RayNodes, ray_nodes
from tests.journeys.shell import Shell
from tests.journeys.test_online import EXAMPLE, LIGHTER, UNTIL

pytestmark = pytest.mark.timeout(600)

MEETING = """
import os
import time
from pathlib import Path

def meet(own, other):
    \"\"\"Two that are under way at once, each of which has a node to itself.\"\"\"
    place = Path(os.environ["MEETING"])
    Path(place, own).write_text(os.environ["NODE_OF_TESTS"])
    for _ in range(600):
        if Path(place, other).exists():
            return own
        time.sleep(0.1)
    raise TimeoutError(f"{own} never met {other}")

@nr.step(env=["MEETING"], resources=nr.resources(cpus=1))
def left():
    return meet("left", "right")

@nr.step(env=["MEETING"], resources=nr.resources(cpus=1))
def right():
    return meet("right", "left")

def mark():
    \"\"\"Nodes note what they ran in a folder of their own.\"\"\"
    node = os.environ.get("NENRIN_NODE_FOLDER")
    if node:
        Path(node, "marks").mkdir(exist_ok=True)
        Path(node, "marks", str(os.getpid())).touch()
"""
ONE, TWO = "recipes=[nr.history()]", 'recipes=[nr.history(), nr.trailing("90d")]'
ASKED = ("backtest", "--json", "--from", "2013-02-04")


@dataclass(frozen=True)
class Parts:
    """A team's parts, and the settings by which a folder uses them."""

    database: PostgresServer
    objects: ObjectStoreServer
    online: ValkeyServer
    nodes: RayNodes
    settings: dict[str, str]


@pytest.fixture(scope="module")
def parts(
    object_store: ObjectStoreServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Parts]:
    folder = tmp_path_factory.mktemp("parts")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in object_store.variables().items():
            patched.setenv(name, value)  # nodes have them from where they are started
        with (
            postgres_server() as database,
            valkey_server(tmp_path_factory.mktemp("valkey")) as online,
            ray_nodes(folder / "ray", "a", "b") as nodes,
        ):
            settings = {
                **object_store.variables(),
                "NENRIN_ONLINE": online.url,
                "NENRIN_EXECUTOR": f"ray://{nodes.address}",
            }
            yield Parts(database, object_store, online, nodes, settings)


def project(folder: Path) -> Path:
    """Flights until 20 February, with a light model of two recipes."""
    text = EXAMPLE.read_text()
    for old, new in LIGHTER:
        text = text.replace(old, TWO if new == ONE else new)
    text = text.replace("    return LGBM", "    mark()\n    return LGBM")
    folder.mkdir()
    (folder / "project.py").write_text(text + UNTIL + MEETING)
    (folder / "until.txt").write_text("2013-02-21")
    return folder


def decided(shell: Shell, *, tries: int = 1) -> tuple[str, int, dict[str, float]]:
    """The head of a replay's ledger, its events, its losses; asked again where a part was away."""
    done = shell(*ASKED, code=None if tries > 1 else 0)
    if done.code:
        return decided(shell, tries=tries - 1)
    report = done.json
    losses = {name: row["log_loss"] for name, row in report["total"].items()}
    return report["ledger_head"], report["ledger_events"], losses


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int, dict[str, float]]:
    """What the folder alone decides."""
    folder = project(tmp_path_factory.mktemp("here") / "project")
    return decided(Shell(folder, {"NENRIN_WORKERS": "2"}))


def on(parts: Parts, folder: Path, name: str, **more: str) -> Shell:
    return Shell(
        project(folder / name),
        {
            **parts.settings,
            "NENRIN_DATABASE_URL": parts.database.fresh(),
            "NENRIN_STORE_URL": f"s3://{parts.objects.bucket}/everything/{name}",
            **more,
        },
    )


def test_a_teams_parts_decide_as_a_folder_does(
    parts: Parts,
    here: tuple[str, int, dict[str, float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    shell = on(parts, tmp_path, "calm", MEETING=str(meeting))
    assert decided(shell) == here
    # no silent way back: every part did its work
    fitted = [parts.nodes.folder(node) / "nenrin" / "marks" for node in ("a", "b")]
    assert any(folder.exists() for folder in fitted)  # which of the two, Ray decides
    shell("run")
    assert {path.read_text() for path in meeting.iterdir()} == {"a", "b"}
    for name, value in parts.objects.variables().items():
        monkeypatch.setenv(name, value)
    assert sum(1 for _ in Bucket(shell.variables["NENRIN_STORE_URL"]).objects()) > 50
    client = RedisOnlineStore(parts.online.url)
    assert client._client.dbsize() > 0
    client.close()
    kept = {path.name for path in (shell.folder / ".nenrin").iterdir()}
    assert not kept & {"store", "state.db", "facts.db"}


def test_what_breaks_on_the_way_changes_nothing(
    parts: Parts,
    here: tuple[str, int, dict[str, float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in parts.objects.variables().items():
        monkeypatch.setenv(name, value)
    with faulty_proxy(parts.objects.endpoint) as proxy:
        shell = on(parts, tmp_path, "storm", AWS_ENDPOINT_URL=proxy.address)
        parts.nodes.start("c")

        def strike() -> None:
            proxy.delay = 0.01
            parts.nodes.kill("b")
            parts.database.crash()

        storm = threading.Timer(12.0, strike)
        storm.start()
        try:
            assert decided(shell, tries=3) == here
        finally:
            storm.join()
    assert shell("audit", "verify", "--json").json["holds"]
