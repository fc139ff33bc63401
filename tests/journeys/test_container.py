"""The container's entry point, run as a cluster would: its image read-only, its user without rights.

No image is pulled and no engine is there: an overlay of this machine's own root, in namespaces of its own,
stands for the base image, and what the Dockerfile installs is bound into it.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

import nenrin
from tests.journeys.shell import CHURN, Shell, customers, wait_for

TOKEN = "a-token-of-enough-letters"
SITE = Path(httpx2.__file__).parents[1]
SOURCES = Path(nenrin.__file__).parents[1]

ALONE = ("unshare", "--mount", "--pid", "--fork")
# $1 scratch, $2 user; a tmpfs holds what overlayfs needs, so that nothing of it is below its own lower layer
ENTER = """
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root" "$1/state"
mount -t overlay overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" "$1/root"
mkdir -p "$1/root/app" "$1/root/opt/site" "$1/root/opt/sources" "$1/root/opt/python"
mount --bind "$SITE" "$1/root/opt/site"
mount --bind "$SOURCES" "$1/root/opt/sources"
mount --bind "$BASE" "$1/root/opt/python"
mount --bind "$APP" "$1/root/app"
mount -t tmpfs -o mode=1777 tmpfs "$1/root/tmp"
mount -o bind,remount,ro "$1/root/app"
mount -t tmpfs -o mode=0700,uid="$2",gid="$2" tmpfs "$1/root/app/.nenrin"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -o bind,remount,ro "$1/root"
cd /
exec chroot --userspec="$2:$2" --groups="$2" "$1/root" \
    env -i -C /app PATH=/usr/bin:/bin LANG=C.UTF-8 PYTHONPATH=/opt/sources:/opt/site \
        LD_LIBRARY_PATH=/opt/python/lib $GIVEN \
    /opt/python/bin/python3 -m $STARTED
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The build context of a project, its archive unpacked as the Dockerfile's ADD does."""
    shell = Shell(tmp_path / "project", {"NENRIN_WORKERS": "0"})
    shell.folder.mkdir()
    customers(300).write_csv(shell.folder / "customers.csv")
    shell.project.write_text(CHURN)
    shell.here("export", "container", "--to", str(tmp_path / "context"))
    app = tmp_path / "app"
    with tarfile.open(tmp_path / "context/project.tar") as archive:
        archive.extractall(app)
    (app / "customers.csv").write_bytes((shell.folder / "customers.csv").read_bytes())
    (app / ".nenrin").mkdir()
    for path in (tmp_path, app, *app.rglob("*")):
        path.chmod(0o755)
    return tmp_path


@pytest.fixture
def url(image: Path) -> Iterator[str]:
    """The container, running; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    steps = [
        line.split(maxsplit=1) for line in (image / "context/Dockerfile").read_text().splitlines()
    ]
    told = [value for step, value in steps if step == "ENV"]
    (user,) = [value for step, value in steps if step == "USER"]
    (entry,) = [json.loads(value) for step, value in steps if step == "ENTRYPOINT"]
    (words,) = [json.loads(value) for step, value in steps if step == "CMD"]
    given = [*told, f"NENRIN_TOKEN={TOKEN}", f"NENRIN_PORT={port}", "NENRIN_WORKERS=0"]
    (image / "scratch").mkdir()
    entering = [*ALONE, "sh", "-c", ENTER, "sh", str(image / "scratch"), user.partition(":")[0]]
    variables = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "SITE": str(SITE),
        "SOURCES": str(SOURCES),
        "BASE": sys.base_prefix,
        "APP": str(image / "app"),
        "GIVEN": " ".join(map(shlex.quote, given)),
        "STARTED": " ".join([*entry, *words]),
    }
    said = image / "said.txt"
    with said.open("w") as out:
        process = subprocess.Popen(entering, env=variables, stdout=out, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: process.poll() is not None or _ready(address), 60)
        if process.poll() is not None:
            why = said.read_text()
            if "mount" in why or "unshare" in why:
                pytest.skip("mounting is not allowed here: run it as root")
            pytest.fail(why)
        yield address
    finally:
        # the first process of a namespace takes all others with it
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        process.kill()
        process.wait()


def _ready(url: str) -> bool:
    """Whether every plane is: there is one a core, and each connection meets another."""
    try:
        return all(httpx2.get(f"{url}/v2/health/ready", timeout=5).is_success for _ in range(16))
    except httpx2.TransportError:
        return False


def test_it_serves_from_a_read_only_image_without_rights(url: str) -> None:
    asking = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx2.get(f"{url}/v2/health/ready", timeout=30).status_code == 200
    assert httpx2.get(f"{url}/metrics", timeout=30).status_code == 401
    told = httpx2.get(f"{url}/api/health", headers=asking, timeout=30).json()
    assert (told["folder"], told["environment"]) == ("/app", "dev")
    asked = httpx2.post(f"{url}/api/run", headers=asking, json={}, timeout=30)
    assert asked.status_code == 202, asked.text
    row = {"age": 40, "plan": "pro", "calls": 2, "spend": 10.0}

    def answered() -> httpx2.Response:
        path = f"{url}/invocations?deployment=churned"
        return httpx2.post(path, headers=asking, json=[row], timeout=30)

    wait_for(lambda: all(answered().is_success for _ in range(16)), 50)
    assert 0 < answered().json()["predictions"][0] < 1
