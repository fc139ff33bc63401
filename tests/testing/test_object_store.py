"""The S3 server of the tests: what it listens on, and what is left of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nenrin.testing.object_store import INSTALL, ObjectStoreServer, object_store_server
from nenrin.testing.waiting import wait_until


def test_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(os, "defpath", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=INSTALL), object_store_server(tmp_path):
        raise AssertionError("nothing should have been started")


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs /proc")
def test_listens_on_this_machine_only(object_store: ObjectStoreServer) -> None:
    handles = Path(f"/proc/{object_store.pid}/fd").iterdir()
    sockets = {str(each.readlink()) for each in handles if each.is_symlink()}
    listening = [
        fields[1].partition(":")[0]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
        if (fields := line.split())[3] == "0A" and f"socket:[{fields[9]}]" in sockets
    ]
    assert listening
    assert set(listening) == {"0100007F"}


ORPHAN = """
import sys, time
from pathlib import Path
from nenrin.testing.object_store import object_store_server

with object_store_server(Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends it")
def test_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHAN, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        server = int(process.stdout.readline())
        os.kill(server, 0)
        process.kill()
    wait_until(lambda: not _runs(server))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_is_found_by_variables(object_store: ObjectStoreServer) -> None:
    variables = object_store.variables()
    assert variables["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert os.getpgid(object_store.pid) == object_store.pid != os.getpgid(0)
