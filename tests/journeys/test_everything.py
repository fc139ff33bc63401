"""The demo's month with the bad week on PostgreSQL, S3, Valkey and Ray, by settings alone: as in a folder.

On the way a node is killed at work, the database crashes and the object store is slow: still the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nenrin.backends.blobs.bucket import Bucket
from nenrin.backends.online.redis import RedisOnlineStore
from nenrin.core.settings import Settings
from nenrin.platform import Platform
from nenrin.testing.faulty_proxy import FaultyProxy, faulty_proxy
from nenrin.testing.object_store import BUCKET, ObjectStoreServer
from nenrin.testing.online import ValkeyServer, valkey_server
from nenrin.testing.postgres import PostgresServer, postgres_server
from nenrin.testing.ray_nodes import RayNodes, ray_nodes
from nenrin.testing.waiting import wait_until
from tests.journeys.shell import Done, Shell

pytestmark = pytest.mark.timeout(1800)

MONTH = ("--from", "2013-07-08", "--until", "2013-08-08")
FAULT = ("--inject", "scrambled_fit:2013-07-29")
# of a report: what it cost, its name (one asked again has another), what compares it with other replays
OWN = frozenset({"cost", "id", "next", "sentences"})
PREFIX = "everything"
SLOW = 0.02  # seconds that the object store lets each request wait
PATIENCE = 1700.0


@dataclass(frozen=True)
class Parts:
    """A team's parts, the object store behind a proxy, and the settings by which a folder uses them."""

    database: PostgresServer
    proxy: FaultyProxy
    online: ValkeyServer
    nodes: RayNodes
    settings: dict[str, str]

    def kept_by(self, node: str, what: str) -> list[Path]:
        """What a node has of its own: only what works there can have put it there."""
        return list((self.nodes.folder(node) / "nenrin").glob(what))

    def read(self) -> set[str]:
        """The digests of what was read from the object store."""
        begin = f"GET /{BUCKET}/{PREFIX}/"
        return {asked[-64:] for asked in self.proxy.requests if asked.startswith(begin)}


@pytest.fixture(scope="module")
def parts(
    object_store: ObjectStoreServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Parts]:
    folder = tmp_path_factory.mktemp("parts")
    with (
        faulty_proxy(object_store.endpoint) as proxy,
        postgres_server() as database,
        valkey_server(tmp_path_factory.mktemp("valkey")) as online,
        pytest.MonkeyPatch.context() as patched,
    ):
        store = {**object_store.variables(), "AWS_ENDPOINT_URL": proxy.address}
        for name, value in store.items():
            patched.setenv(name, value)  # nodes have them from where they are started
        with ray_nodes(folder / "ray", "a", "b") as nodes:
            settings = {
                **store,
                "NENRIN_ONLINE": online.url,
                "NENRIN_EXECUTOR": f"ray://{nodes.address}",
            }
            yield Parts(database, proxy, online, nodes, settings)


@dataclass(frozen=True)
class Decided:
    """What a replay decided, and all that it made: events, figures and digests."""

    report: dict[str, Any]
    versions: list[tuple[str, str]]
    datasets: dict[str, str]

    @property
    def looks(self) -> int:
        looks: int = self.report["counts"]["looks"]
        return looks


def decided(shell: Shell, report: dict[str, Any]) -> Decided:
    """What a replay came to: its report without what it cost, its versions, the datasets' contents."""
    environment = f"backtest/{report['id']}"
    versions = shell.here("models", "list", "--env", environment, "--json").json
    datasets = shell.here("data", "list", "--json").json
    told = {key: found for key, found in report.items() if key not in OWN}
    told["faults"] = report["faults"].get("signs")
    return Decided(
        told,
        [(each["id"], each["content"]) for each in versions],
        {each["dataset"]: each["manifest"] for each in datasets},
    )


def demo(shell: Shell, code: int | None = 0) -> Done:
    """The month as it was, then the month with the bad week."""
    return shell("demo", ".", "--json", *MONTH, *FAULT, code=code)


def made(shell: Shell, done: Any) -> tuple[Decided, Decided, Any]:
    """What came of both, and what was adopted."""
    return decided(shell, done["clean"]), decided(shell, done["bad_week"]), done["adopted"]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> tuple[Decided, Decided, Any]:
    """What the folder alone decides."""
    folder = tmp_path_factory.mktemp("here")
    shell = Shell(folder, {"NENRIN_WORKERS": "2"}, patience=PATIENCE)
    return made(shell, demo(shell).json)


@pytest.fixture(scope="module")
def shell(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder that uses the parts, with a database and a prefix of its own."""
    place = {
        "NENRIN_DATABASE_URL": parts.database.fresh(),
        "NENRIN_STORE_URL": f"s3://{BUCKET}/{PREFIX}",
    }
    folder = tmp_path_factory.mktemp("there")
    return Shell(folder, {**parts.settings, **place}, patience=PATIENCE)


def test_a_teams_parts_decide_as_a_folder_does(
    parts: Parts, here: tuple[Decided, Decided, Any], shell: Shell
) -> None:
    """Each blow falls on work in flight, at what the ledger and the nodes show."""
    clean, bad_week, _ = here
    # a month in which something happens
    counts = bad_week.report["counts"]
    assert min(counts[each] for each in ("looks", "promotions", "refusals", "rollbacks")) > 0
    with ThreadPoolExecutor(1) as beside:
        storm = beside.submit(strike, parts, shell, clean.looks)
        done = demo(shell, code=None)
        if done.code:  # the command that the crash met says so, and its user asks again
            assert done.json["error"]["code"] == "unavailable"
            done = demo(shell)
        storm.result()
    assert made(shell, done.json) == here
    assert shell.here("audit", "verify", "--json").json["holds"]
    assert happened(parts, shell, "healed.rerun") == 1  # what the killed node had in hand, no more


def test_every_part_did_its_work(
    parts: Parts,
    here: tuple[Decided, Decided, Any],
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is no silent way back to the folder."""
    clean, bad_week, _ = here
    for node in ("a", "b"):
        assert parts.kept_by(node, "revisions/*/project.py")
        assert parts.kept_by(node, "copies/*/*")
    for name, value in shell.variables.items():
        monkeypatch.setenv(name, value)
    kept = {each.key[-64:] for each in Bucket(shell.variables["NENRIN_STORE_URL"]).objects()}
    assert kept >= {content for _, content in clean.versions + bad_week.versions}
    assert kept >= set(clean.datasets.values())
    assert parts.read() >= set(clean.datasets.values())  # by nodes, which had nothing
    with Platform.open(Settings.read(folder=shell.folder)) as platform:
        written = platform.materialise("dev")  # as `nenrin up` does first
    client = RedisOnlineStore(parts.online.url)
    rows = sum(client._client.hlen(space) for space in client._client.scan_iter())
    assert rows > written > 0  # keys, and what is noted of each space
    client.close()
    own = {path.name for path in (shell.folder / ".nenrin").iterdir()}
    assert not own & {"store", "state.db", "facts.db"}


def strike(parts: Parts, shell: Shell, looks: int) -> None:
    """A node is killed while it fits for the third look, from then on the object store is slow.

    The database crashes during the last fits but one of the month as it was, for those of the bad week were
    made by then but for a few.
    """

    def at_work(node: str, after: int) -> bool:
        working = parts.kept_by(node, "scratch/*")
        return bool(working) and happened(parts, shell, "look.taken") >= after

    wait_until(lambda: at_work("b", 2))
    parts.nodes.kill("b")
    parts.proxy.delay = SLOW
    wait_until(lambda: at_work("a", looks - 2))
    assert len(parts.kept_by("a", "scratch/*")) < 3  # what tasks had for themselves went with them
    parts.database.crash()


def happened(parts: Parts, shell: Shell, kind: str) -> int:
    """How many events of that kind the folder's database has."""
    schema = shell.variables["NENRIN_DATABASE_URL"].rpartition("%3D")[2]
    asked = f"SELECT count(*) FROM {schema}.events WHERE kind = '{kind}'"
    try:
        ((count,),) = parts.database.execute(asked)
    except psycopg.errors.UndefinedTable:  # the command has not begun yet
        return 0
    found: int = count
    return found
