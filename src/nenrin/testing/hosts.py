"""Hosts to test with, on one machine: for what only a network shows, above all one that is silent.

Each host is a network namespace with a loopback and an address of its own, and a wire joins them
(:mod:`nenrin.testing.namespaces`). A host that is cut off is told of nothing: what it sends goes nowhere, and
nothing comes, as behind a switch that has failed::

    with hosts("one", "two") as found:
        with found["one"].inside():
            subprocess.run(...)  # speaks from this host
        found["one"].cut = True

Where the machine allows no namespaces, the hosts are this machine, with relays of their own before every
server: one that is cut off is refused at once, and none is slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from nenrin.testing.namespaces import Wire, allowed
from nenrin.testing.relay import Address, Relay

SERVERS = "servers"
"""The host of the servers that the others share."""


class Host(Protocol):
    """One of several hosts.

    Attributes:
        address: its own; whatever listens there is out of reach for all but the other hosts.
        cut: whether its packets are lost, those that go out and those that come in.
        delay: seconds that each of them is held.
    """

    address: str
    cut: bool
    delay: float

    def inside(self) -> AbstractContextManager[None]:
        """A block of this thread whose new sockets, threads and processes are on this host."""
        ...

    def reach(self, server: Address) -> Address:
        """Where this host finds a server of the host of servers, or of the machine itself."""
        ...

    def close(self) -> None:
        """Let go of what it has."""
        ...


@contextmanager
def hosts(*names: str) -> Iterator[dict[str, Host]]:
    """Hosts of these names, and that of servers, for the block."""
    if allowed():
        with Wire() as wire:
            found: dict[str, Host] = {name: wire.host() for name in (SERVERS, *names)}
            yield found
        return
    found = {name: _Here() for name in (SERVERS, *names)}
    try:
        yield found
    finally:
        for host in found.values():
            host.close()


class _Here:
    """This machine under another name: all that is its own are its relays."""

    address = "127.0.0.1"
    delay = 0.0

    def __init__(self) -> None:
        self._relays: dict[Address, Relay] = {}
        self._cut = False

    @property
    def cut(self) -> bool:
        return self._cut

    @cut.setter
    def cut(self, cut: bool) -> None:
        self._cut = cut
        for relay in self._relays.values():
            relay.refuse(cut)

    def inside(self) -> AbstractContextManager[None]:
        return nullcontext()

    def reach(self, server: Address) -> Address:
        if server not in self._relays:
            self._relays[server] = Relay(self.address, server)
            self._relays[server].start()
        return self._relays[server].address

    def close(self) -> None:
        for relay in self._relays.values():
            relay.stop()
