"""A project's image: built without an engine, run as a cluster would: read-only, by a user without rights."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nenrin.testing.waiting import wait_until
from tests.journeys.images import base_image, small_environment, storage
from tests.journeys.shell import CHURN, Shell, customers, environment

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="an image's root is mounted by root alone"),
    pytest.mark.skipif(shutil.which("buildah") is None, reason="apt-get install buildah"),
    pytest.mark.skipif(find_spec("pip") is None, reason="python -m ensurepip"),
]

TOKEN = "a-token-of-enough-letters"
ASKING = {"Authorization": f"Bearer {TOKEN}"}
INVOCATIONS = "/invocations?deployment=churned"
ROWS = [
    {"age": age, "plan": plan, "calls": age % 5, "spend": 1.5 * age}
    for age in range(20, 80)
    for plan in ("basic", "plus", "pro")
]

ALONE = ("unshare", "--mount", "--pid", "--fork")
# as the manifests of export kubernetes have it: a read-only root, and tmpfs where the image writes
ENTER = """
set -e
mount --bind "$ROOT" "$ROOT"
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"
mount -t tmpfs -o mode=0700,uid="${USER%:*}",gid="${USER#*:}" tmpfs "$ROOT/app/.nenrin"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount -o bind,remount,ro "$ROOT"
exec chroot --userspec="$USER" --groups="${USER#*:}" "$ROOT" env -i -C "$FOLDER" "$@"
"""


@dataclass(frozen=True)
class Built:
    """A project's folder, the archive of its image, and what the command said of it."""

    shell: Shell
    archive: Path
    said: dict[str, Any]

    def read(self, digest: str) -> dict[str, Any]:
        """A JSON document of the archive."""
        with tarfile.open(self.archive) as opened:
            document = opened.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert document is not None
            return dict(json.load(document))


@dataclass(frozen=True)
class Running:
    """A container, its first process as this machine numbers it, and its address."""

    outer: subprocess.Popen[bytes]
    process: int
    address: str

    def ask(self, path: str, body: Any = None) -> httpx2.Response:
        url = f"http://{self.address}{path}"
        return httpx2.request("GET" if body is None else "POST", url, headers=ASKING, json=body)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The image of a project whose environment has what nenrin needs, and nothing else."""
    folder = tmp_path_factory.mktemp("container")
    shell = Shell(folder / "project", {"NENRIN_WORKERS": "0"})
    shell.folder.mkdir()
    customers(300).write_csv(shell.folder / "customers.csv")
    shell.project.write_text(CHURN)
    with storage(folder / "storage"):
        base, python = base_image(folder / "base"), small_environment(folder / "env")
        words = ["export", "container", "--to", "context", "--wheels", "--oci", "images/churn.tar"]
        ran = subprocess.run(
            [python, "-m", "nenrin", *words, "--base", base, "--json"],
            cwd=shell.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        yield Built(shell, shell.folder / "images/churn.tar", json.loads(ran.stdout))
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def running(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The image's entry point, in its root and with its variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    name, root = _unpacked(built.archive)
    shutil.copy(built.shell.folder / "customers.csv", root / "app")
    config = built.read(built.read(built.said["digest"])["config"]["digest"])["config"]
    given = [f"NENRIN_TOKEN={TOKEN}", f"NENRIN_PORT={port}", "NENRIN_WORKERS=0"]
    started = [*config["Env"], *given, *config["Entrypoint"], *config["Cmd"]]
    said = tmp_path_factory.mktemp("said") / "said.txt"
    with said.open("w") as out:
        outer = subprocess.Popen(
            [*ALONE, "sh", "-c", ENTER, "sh", *started],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "ROOT": str(root),
                "USER": config["User"],
                "FOLDER": config["WorkingDir"],
            },
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    children: list[int] = []
    try:
        wait_until(lambda: outer.poll() is not None or _ready(address))
        if outer.poll() is not None:
            why = said.read_text()
            if "mount" in why or "unshare" in why:
                pytest.skip("mounting is not allowed here")
            pytest.fail(why)
        told = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text()
        children += map(int, told.split())
        yield Running(outer, children[0], address)
    finally:
        if outer.poll() is None:
            for child in children:  # the first process of a namespace takes all others with it
                os.kill(child, signal.SIGKILL)
            outer.kill()
        outer.wait()
        subprocess.run(["buildah", "rm", name], check=True, capture_output=True)


def _unpacked(archive: Path) -> tuple[str, Path]:
    """A container of an image, and where its root is mounted."""

    def buildah(*words: str) -> str:
        return subprocess.run(
            ["buildah", *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    name = buildah("from", f"oci-archive:{archive}")
    return name, Path(buildah("mount", name))


def _ready(address: str) -> bool:
    """Whether every plane is: there is one a core, and each connection meets another."""
    try:
        return all(
            httpx2.get(f"http://{address}/v2/health/ready", timeout=120).is_success
            for _ in range(16)
        )
    except httpx2.TransportError:
        return False


def test_an_archive_and_its_digest(built: Built) -> None:
    with tarfile.open(built.archive) as opened:
        index = opened.extractfile("index.json")
        assert index is not None
        (manifest,) = json.load(index)["manifests"]
    assert manifest["digest"] == built.said["digest"]
    assert built.said["image"] == "images/churn.tar"
    assert built.said["notes"] == []
    assert list(built.archive.parent.iterdir()) == [built.archive]
    layers = built.read(manifest["digest"])["layers"]
    assert all(layer["mediaType"].endswith("+gzip") for layer in layers)
    left = subprocess.run(
        ["buildah", "images", "--all", "--quiet"], check=True, capture_output=True
    )
    assert left.stdout == b""


def test_it_serves_from_a_read_only_image_without_rights(built: Built, running: Running) -> None:
    """And answers as a plane of this machine does, to the bit."""
    status = Path(f"/proc/{running.process}/status").read_text()
    assert "\nUid:\t10001\t10001\t10001\t10001\n" in status
    assert "\nCapEff:\t0000000000000000\n" in status
    root = Path(f"/proc/{running.process}/mountinfo").read_text().splitlines()[0].split()
    assert (root[4], root[5].split(",")[0]) == ("/", "ro")
    assert running.ask("/ping").status_code == 200
    assert httpx2.get(f"http://{running.address}/metrics").status_code == 401
    told = running.ask("/api/health").json()
    assert (told["folder"], told["environment"]) == ("/app", "dev")
    asked = running.ask("/api/run", {})
    assert asked.status_code == 202, asked.text
    wait_until(lambda: all(running.ask(INVOCATIONS, ROWS).is_success for _ in range(16)))

    built.shell.here("run")
    with built.shell.up() as up:
        here = up.post(INVOCATIONS, ROWS).json()["predictions"]
    assert running.ask(INVOCATIONS, ROWS).json()["predictions"] == here
    assert len(set(here)) == len(ROWS)


def test_a_request_under_way_is_answered_before_the_end(running: Running) -> None:
    """The last test: nothing runs after it."""
    body = json.dumps(ROWS).encode()
    line = http.client.HTTPConnection(running.address, timeout=120)
    line.putrequest("POST", INVOCATIONS)
    for name, value in {**ASKING, "Content-Length": str(len(body))}.items():
        line.putheader(name, value)
    line.putheader("Content-Type", "application/json")
    line.endheaders(body[:1000])
    time.sleep(0.5)
    os.kill(running.process, signal.SIGTERM)
    time.sleep(0.5)
    line.send(body[1000:])
    answer = line.getresponse()
    assert answer.status == 200
    assert len(json.loads(answer.read())["predictions"]) == len(ROWS)
    line.close()
    assert running.outer.wait(120) == 0
