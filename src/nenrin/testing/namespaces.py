"""Network namespaces of Linux as hosts, and the wire between them: a thread that carries their packets.

Kernels have better wires, but few can lose packets on them, or hold them. A namespace here has no name and no
way out: it is gone with its last process, and nothing but the wire leads to it.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import selectors
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from nenrin.core.timer import SystemTimer
from nenrin.testing.relay import Address, Relay

_TUN = Path("/dev/net/tun")
_OURS = Path("/proc/thread-self/ns/net")
_CLONE_NEWNET = 0x40000000  # <sched.h>; in Python's os from 3.12 on
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # <linux/if_tun.h>

_NETWORK = "10.213.0"
_IPV4 = 4
_FROM, _TO = slice(12, 16), slice(16, 20)  # of a packet (RFC 791, section 3.1)
_LARGEST = 2**16
_LOOK = 0.1  # seconds between two looks whether the wire is to end


def allowed() -> bool:
    """Whether this machine lets us make them: to root, with ``ip`` and ``/dev/net/tun``."""
    if not (_TUN.exists() and os.geteuid() == 0 and shutil.which("ip")):
        return False
    try:
        with Wire() as wire:
            wire.host()
    except (OSError, subprocess.CalledProcessError):  # a container that may not
        return False
    return True


class Wire:
    """Joins hosts, as long as its block lasts."""

    def __init__(self) -> None:
        self._timer = SystemTimer()
        self._home = os.open(_OURS, os.O_RDONLY)
        self._hosts: dict[bytes, Namespace] = {}
        self._relays: dict[Address, Relay] = {}
        self._devices = selectors.DefaultSelector()
        self._held: list[tuple[float, int, Namespace, bytes]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="wire", daemon=True)

    def host(self) -> Namespace:
        """One more host.

        Raises:
            OSError: the machine does not allow it.
        """
        made = Namespace(f"{_NETWORK}.{len(self._hosts) + 1}", self._reach)
        self._hosts[socket.inet_aton(made.address)] = made
        self._devices.register(made.device, selectors.EVENT_READ, made)
        return made

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for relay in self._relays.values():
            relay.stop()
        self._ended.set()
        self._thread.join()
        self._devices.close()
        for host in self._hosts.values():
            host.close()
        os.close(self._home)

    def _reach(self, server: Address) -> Address:
        """The server's own address; that of a relay on the first host for a server of the machine."""
        if socket.inet_aton(server[0]) in self._hosts:
            return server
        if server not in self._relays:
            first = next(iter(self._hosts.values()))
            with first.inside():
                relay = self._relays[server] = Relay(first.address, server)
            with _within(self._home):  # whoever asks
                relay.start()
        return self._relays[server].address

    def _carry(self) -> None:
        number = 0
        while not self._ended.is_set():
            soon = self._held[0][0] - self._timer.wall() if self._held else _LOOK
            for key, _ in self._devices.select(max(0.0, min(soon, _LOOK))):
                number += 1
                self._take(key.data, number)
            while self._held and self._held[0][0] <= self._timer.wall():
                _, _, to, packet = heapq.heappop(self._held)
                if not to.cut:
                    with suppress(OSError):  # its queue is full, as a wire may be
                        os.write(to.device, packet)

    def _take(self, host: Namespace, number: int) -> None:
        packet = os.read(host.device, _LARGEST)
        to = self._hosts.get(packet[_TO]) if packet[0] >> 4 == _IPV4 else None
        if to is not None and not host.cut:
            due = self._timer.wall() + host.delay + to.delay
            heapq.heappush(self._held, (due, number, to, packet))


class Namespace:
    """A ``Host`` of a wire."""

    def __init__(self, address: str, reach: Callable[[Address], Address]) -> None:
        self.address = address
        self.reach = reach
        self.cut = False
        self.delay = 0.0
        with _coming_back():
            _call("unshare", _CLONE_NEWNET)
            self._place = os.open(_OURS, os.O_RDONLY)
            self.device = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
            wanted = struct.pack("16sH22x", b"eth0", _IFF_TUN | _IFF_NO_PI)
            fcntl.ioctl(self.device, _TUNSETIFF, wanted)
            orders = f"address add {address}/24 dev eth0\nlink set lo up\nlink set eth0 up\n"
            subprocess.run(["ip", "-batch", "-"], input=orders, text=True, check=True)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """A block of this thread whose new sockets, threads and processes are on this host."""
        with _within(self._place):
            yield

    def close(self) -> None:
        """Let go of it."""
        os.close(self.device)
        os.close(self._place)


@contextmanager
def _within(place: int) -> Iterator[None]:
    """A block of this thread in the namespace of an open file."""
    with _coming_back():
        _call("setns", place, _CLONE_NEWNET)
        yield


@contextmanager
def _coming_back() -> Iterator[None]:
    """A block after which this thread is where it was."""
    place = os.open(_OURS, os.O_RDONLY)
    try:
        yield
    finally:
        try:
            _call("setns", place, _CLONE_NEWNET)
        finally:
            os.close(place)


def _call(name: str, *given: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*given):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
