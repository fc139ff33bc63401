"""Sockets of one port: how they are opened, given at a door, and dealt to planes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from nenrin.core.errors import ConflictError
from nenrin.serving.plane.listening import giving, is_at, listen, listen_for, taken

HERE = "127.0.0.1"


def _given(door: Path, listeners: Sequence[socket.socket], port: int = 0) -> list[socket.socket]:
    async def give() -> list[socket.socket]:
        with giving(door, listeners, port):
            assert door.stat().st_mode & 0o077 == 0
            given = await asyncio.to_thread(taken, door)
        assert given.grpc_port == port
        return given.listeners

    return asyncio.run(give())


def test_who_is_given_a_socket_keeps_it_open(tmp_path: Path) -> None:
    door = tmp_path / "plane.sock"
    with listen(HERE, 0) as listener:
        address = listener.getsockname()
        [mine] = _given(door, [listener], 5001)
    assert not door.exists()
    assert taken(door).listeners == []
    with mine, socket.create_connection(address), mine.accept()[0]:
        assert not mine.get_inheritable()
        with pytest.raises(ConflictError, match="is in use"):
            listen(*address)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


@pytest.mark.parametrize(("before", "after"), [(1, 1), (1, 3), (3, 1), (3, 2)])
def test_every_socket_that_is_given_has_a_plane_and_every_plane_a_socket(
    before: int, after: int
) -> None:
    """Connections that came to one of them before are never lost; those to come are shared out."""
    first = [each for [each] in listen_for(before, HERE, 0)]
    host, port = first[0].getsockname()
    waiting = [socket.create_connection((host, port)) for _ in range(12)]
    dealt = listen_for(after, host, port, first)
    assert len(dealt) == after
    assert all(dealt)
    every = [each for theirs in dealt for each in theirs]
    assert set(map(id, first)) <= set(map(id, every))
    assert len(every) == max(before, after)
    waiting += [
        socket.create_connection((host, port)) for _ in range(12)
    ]  # new ones wait for planes
    assert _accepted(first) == 24
    for each in every[len(first) :]:
        each.listen(8)
    for each in waiting:
        each.close()
    for each in every:
        each.close()


def _accepted(listeners: Sequence[socket.socket]) -> int:
    count = 0
    for each in listeners:
        each.setblocking(False)
        while True:
            try:
                each.accept()[0].close()
            except BlockingIOError:
                break
            count += 1
    return count


def test_another_programs_port_is_not_joined() -> None:
    """Not even one that lets others share it."""
    with socket.socket() as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        theirs.bind((HERE, 0))
        theirs.listen()
        for planes in (1, 2):
            with pytest.raises(ConflictError, match="is in use"):
                listen_for(planes, *theirs.getsockname())


def test_where_a_socket_listens() -> None:
    with listen(HERE, 0) as listener:
        port = listener.getsockname()[1]
        assert is_at(listener, HERE, port)
        assert is_at(listener, "localhost", port)
        assert not is_at(listener, "0.0.0.0", port)
        assert not is_at(listener, HERE, port - 1)
        assert not is_at(listener, "no such host.invalid", port)
