"""The sockets of the public port: opened once, and given on to whoever relieves a plane.

Whoever starts planes owns the sockets and passes them on: a plane that is replaced drops no connection,
for those that come meanwhile wait in the socket's queue. Where that process was killed, its planes hold the
sockets alone, and give them to the next one at their *door*, a Unix socket (``SCM_RIGHTS``, unix(7)).
So the port is never closed meanwhile, and that of another program is never joined.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from nenrin.core.errors import ConflictError

_PATIENCE = 5.0  # seconds that a plane may take at its door: it has requests to answer, too
_MOST = 64  # sockets that a plane may have


class PortInUseError(ConflictError):
    """Somebody listens there. Attributes: ``port``."""

    port: int = 0


class Given(NamedTuple):
    """What a plane gives at its door: its sockets, and the port of its gRPC server (0: it has none)."""

    listeners: list[socket.socket]
    grpc_port: int


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """A socket that listens on ``host`` and ``port`` (0: any free one), the value of ``option``.

    Raises:
        PortInUseError: the port is in use.
        ConflictError: the address is not this machine's.
    """
    listener = _bound(host, port, option)
    listener.listen(2048)
    return listener


def listen_for(
    planes: int, host: str, port: int, given: Sequence[socket.socket] = ()
) -> list[list[socket.socket]]:
    """The sockets of one port, some for each plane.

    The kernel shares connections out among several sockets. Among several processes on one socket the
    first to wake takes what is there (measured: all of 16).

    Args:
        planes: how many there are.
        host, port: where they listen.
        given: sockets that listen there already; those that are missing are made, and listen once their plane
            does: what comes before is for those that listen.

    Raises:
        ConflictError: as :func:`listen`.
    """
    if given:
        listeners = list(given)
        for each in listeners if planes > len(listeners) else ():
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        more = range(len(listeners), planes)
        listeners += [_bound(host, port, "--port", shared=True) for _ in more]
    elif planes == 1:
        listeners = [listen(host, port)]
    else:
        with listen(host, port) as alone:  # else others that share would be joined
            port = alone.getsockname()[1]
        listeners = [_bound(host, port, "--port", shared=True) for _ in range(planes)]
        for each in listeners:
            each.listen(2048)
    return [listeners[plane::planes] for plane in range(planes)]


def is_at(listener: socket.socket, host: str, port: int) -> bool:
    """Whether it listens on ``host`` and ``port``."""
    try:
        found = socket.getaddrinfo(host, port, listener.family, socket.SOCK_STREAM)
    except OSError:
        return False
    return listener.getsockname()[:2] in [address[:2] for *_, address in found]


@contextmanager
def giving(door: Path, listeners: Sequence[socket.socket], grpc_port: int) -> Iterator[None]:
    """Give the sockets to whoever of this user asks at ``door``, from the running event loop.

    The file is there as long as that is done.
    """
    door.unlink(missing_ok=True)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.bind(str(door))
        door.chmod(0o600)  # before listen: until then nobody can connect
        asked.listen(8)
        asked.setblocking(False)

        def give() -> None:
            with suppress(OSError):  # who asked has gone again
                to, _ = asked.accept()
                with to:
                    files = [each.fileno() for each in listeners]
                    socket.send_fds(to, [str(grpc_port).encode()], files)

        loop.add_reader(asked, give)
        try:
            yield
        finally:
            loop.remove_reader(asked)
            door.unlink(missing_ok=True)


def taken(door: Path) -> Given:
    """What the plane behind ``door`` gives; no sockets if there is none, or it does not answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(_PATIENCE)
        try:
            asking.connect(str(door))
            said, files, _, _ = socket.recv_fds(asking, 16, _MOST)
        except OSError:
            return Given([], 0)
    listeners = [socket.socket(fileno=file) for file in files]
    for each in listeners:
        each.set_inheritable(False)
    return Given(listeners, int(said or b"0"))


def _bound(host: str, port: int, option: str, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            in_use = PortInUseError(
                f"port {port} of {host} is in use",
                hint=f"nenrin up {option} {port + 1}",
                where=f"{host}:{port}",
            )
            in_use.port = port
            raise in_use from None
        raise ConflictError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint="choose an address of this machine and a port above 1023",
            where=f"{host}:{port}",
        ) from None
    return listener
