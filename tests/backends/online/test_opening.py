"""Which online store a setting names."""

from __future__ import annotations

from pathlib import Path

import pytest

from nenrin.backends.online.opening import open_online
from nenrin.backends.online.redis import RedisOnlineStore
from nenrin.backends.online.sqlite import SqliteOnlineStore
from nenrin.core.errors import RequestError


def test_nothing_a_file_or_a_server(tmp_path: Path) -> None:
    assert open_online("", tmp_path) is None
    file = open_online("sqlite", tmp_path)
    assert isinstance(file, SqliteOnlineStore)
    file.put_newer("space", [(b"key", 1, b"")])
    file.close()
    assert (tmp_path / "facts.db").exists()
    server = open_online("redis://127.0.0.1:1/2", tmp_path)
    assert isinstance(server, RedisOnlineStore)
    server.close()


@pytest.mark.parametrize("named", ["redis", "sqlite:///x.db", "http://127.0.0.1", "memcached://a"])
def test_refuses_what_it_does_not_know(named: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="names no store") as caught:
        open_online(named, tmp_path)
    assert "redis://HOST" in caught.value.hint
