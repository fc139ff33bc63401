"""Hosts to test with: they reach each other and the servers, nobody else does, and a cut is silent."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from nenrin.testing import hosts as module
from nenrin.testing.hosts import SERVERS, Host, hosts
from nenrin.testing.namespaces import allowed
from nenrin.testing.relay import Address

REAL = allowed()


@pytest.fixture(
    params=[True, False] if REAL else [False], ids=lambda real: "real" if real else "here"
)
def found(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Host]]:
    monkeypatch.setattr(module, "allowed", lambda: request.param)
    with hosts("one", "two") as made:
        yield made


@pytest.fixture
def listener(found: dict[str, Host]) -> Iterator[socket.socket]:
    with found[SERVERS].inside():
        made = socket.create_server((found[SERVERS].address, 0))
    with made:
        yield made


def address(listener: socket.socket) -> Address:
    host, port = listener.getsockname()
    return host, port


def joined(host: Host, listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    with host.inside():
        here = socket.create_connection(host.reach(address(listener)), timeout=5)
    there, _ = listener.accept()
    return here, there


def told(host: Host, listener: socket.socket) -> None:
    """Hear from the listener within a moment."""
    with socket.create_connection(host.reach(address(listener)), timeout=0.3) as here:
        if not here.recv(1):
            raise EOFError


def crosses(here: socket.socket, there: socket.socket) -> bool:
    here.sendall(b"?")
    return there.recv(1) == b"?"


def test_each_reaches_the_servers(found: dict[str, Host], listener: socket.socket) -> None:
    for name in ("one", "two"):
        here, there = joined(found[name], listener)
        with here, there:
            assert crosses(here, there)
            assert crosses(there, here)


def test_one_that_is_cut_off_reaches_nothing_until_it_is_healed(
    found: dict[str, Host], listener: socket.socket
) -> None:
    one, two = found["one"], found["two"]
    here, there = joined(two, listener)
    with here, there:
        one.reach(address(listener))
        one.cut = True
        with pytest.raises((OSError, EOFError)), one.inside():
            told(one, listener)
        assert crosses(here, there)
        one.cut = False
    here, there = joined(one, listener)
    with here, there:
        assert crosses(here, there)


def test_processes_are_where_they_are_started(
    found: dict[str, Host], listener: socket.socket
) -> None:
    one = found["one"]
    says = (
        "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2]))).send(b'!')"
    )
    host, port = one.reach(address(listener))
    with one.inside():
        process = subprocess.Popen([sys.executable, "-c", says, host, str(port)])
    there, _ = listener.accept()
    with there:
        assert there.recv(1) == b"!"
    assert process.wait(120) == 0


def test_a_server_of_the_machine_is_reached_too(found: dict[str, Host]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as outside:
        here, there = joined(found["one"], outside)
        with here, there:
            assert crosses(here, there)
            assert crosses(there, here)


@pytest.mark.skipif(not REAL, reason="needs root, ip and /dev/net/tun")
class TestReal:
    @pytest.fixture
    def found(self) -> Iterator[dict[str, Host]]:
        with hosts("one", "two") as made:
            yield made

    def test_nobody_else_reaches_them(self, listener: socket.socket) -> None:
        with pytest.raises(OSError):  # noqa: PT011 - silence or no way
            socket.create_connection(address(listener), timeout=0.3)

    def test_a_cut_is_silent(self, found: dict[str, Host], listener: socket.socket) -> None:
        here, there = joined(found["one"], listener)
        with here, there:
            found["one"].cut = True
            here.sendall(b"?")
            here.settimeout(0.3)
            with pytest.raises(TimeoutError):
                here.recv(1)
            found["one"].cut = False
            assert there.recv(1) == b"?"  # sent again by the kernel: to both it was a slow moment

    def test_a_slow_host_answers_late(
        self, found: dict[str, Host], listener: socket.socket
    ) -> None:
        here, there = joined(found["one"], listener)
        found["one"].delay = 0.1
        with here, there:
            started = time.monotonic()
            assert crosses(here, there)
            assert crosses(there, here)
            assert time.monotonic() - started >= 0.2
