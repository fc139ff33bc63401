"""A real Ray cluster for tests, whose nodes are processes of this machine with folders of their own.

It listens on this machine's own address and on free ports, reports nothing, and is killed process by process
in the end. A node is about 300 MB of processes of Ray's, and takes ten seconds or more to start.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from nenrin.backends.compute import footprint
from nenrin.backends.compute.node import FOLDER
from nenrin.core.digest import digest
from nenrin.core.timer import SystemTimer

INSTALL = 'pip install "nenrin[ray]"'
NODE = "NODE_OF_TESTS"  # variable that tells a function which node it runs on

_READY = 120.0  # seconds in which a node has to be there
_MEMORY = "100000000"  # bytes of a node's object store: next to nothing goes through it
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
_PATIENT = {"RAY_raylet_start_wait_time_s": str(int(_READY))}  # on a machine that is busy


class RayNodes:
    """A cluster under test.

    Attributes:
        address: of its head, ``HOST:PORT``.

    Args:
        folder: where nodes have theirs.
        python_path: where nodes find modules beside those that are installed.
    """

    def __init__(self, folder: Path, python_path: str) -> None:
        self.address = ""
        self._folder = folder
        self._path = python_path
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *, cpus: int = 1) -> None:
        """Start a node, the first one as the head, and wait until it takes work."""
        port = _free_port()
        given = ["--head", f"--port={port}", "--include-dashboard=false"]
        if self.address:
            given = [f"--address={self.address}"]
        folder = self.folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "ray.log"
        with log.open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                    *(*given, f"--num-cpus={cpus}", f"--object-store-memory={_MEMORY}"),
                    *("--disable-usage-stats", f"--temp-dir={_short(folder)}"),
                ],
                env={**self._variables(name), **_QUIET, **_PATIENT},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
            )
        _wait(log, self._processes[name])
        if not self.address:
            self.address = f"127.0.0.1:{port}"

    def folder(self, name: str) -> Path:
        """What is a node's own."""
        return self._folder / name

    def kill(self, name: str) -> None:
        """End a node as a power cut does."""
        process = self._processes.pop(name)
        for pid in list(footprint.tree(process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(_short(self.folder(name)), ignore_errors=True)

    def close(self) -> None:
        """End what runs, the head last."""
        for name in reversed(list(self._processes)):
            self.kill(name)

    def _variables(self, name: str) -> Mapping[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("NENRIN_")}
        own = {NODE: name, FOLDER: str(self.folder(name) / "nenrin"), "PYTHONPATH": self._path}
        return {**kept, **own}


@contextmanager
def ray_nodes(folder: Path, *names: str) -> Iterator[RayNodes]:
    """A cluster of nodes of these names, one core each, that import what this process can.

    Skips the test where Ray is not installed.
    """
    if find_spec("ray") is None:
        pytest.skip(f"needs Ray: {INSTALL}")
    nodes = RayNodes(folder, os.pathsep.join(path for path in sys.path if path))
    try:
        for name in names:
            nodes.start(name)
        yield nodes
    finally:
        nodes.close()


def _short(folder: Path) -> Path:
    """A folder for Ray's sockets, whose paths may not have more than 107 bytes; each node has its own."""
    return Path("/tmp", f"ray-{digest(str(folder))[:12]}")


def _wait(log: Path, process: subprocess.Popen[bytes]) -> None:
    timer = SystemTimer()
    until = timer.wall() + _READY
    while b"Ray runtime started" not in log.read_bytes():
        if process.poll() is not None or timer.wall() > until:
            pytest.fail(f"the Ray node did not start:\n{log.read_text(errors='replace')}")
        timer.sleep(0.1)


def _free_port() -> int:
    """A free port that Ray does not give to its workers (those are above 10000).

    Processes begin to look at places of their own: two that start a head at once do not meet.
    """
    first = 6380 + os.getpid() % 2000
    for port in range(first, first + 500):
        with socket.socket() as found, suppress(OSError):
            found.bind(("", port))
            return port
    raise AssertionError
