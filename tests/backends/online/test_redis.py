"""The online store in a real Valkey server: the contract, a server that goes away and comes back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nenrin.backends.online.redis import RedisOnlineStore
from nenrin.core.errors import MissingExtraError, RequestError, UnavailableError
from nenrin.testing.online import OnlineStoreContract, ValkeyServer, valkey_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as running:
        yield running


@pytest.fixture
def store(server: ValkeyServer) -> Iterator[RedisOnlineStore]:
    opened = RedisOnlineStore(server.url)
    opened._client.flushdb()
    yield opened
    opened.close()


class TestRedisOnlineStore(OnlineStoreContract):
    """The contract of online stores."""


def test_a_space_is_one_hash(store: RedisOnlineStore) -> None:
    store.put_newer("dev/sky", [(b"JFK", 1, b"warm"), (b"LGA", 1, b"cold")])
    assert store._client.keys() == [b"nenrin:dev/sky"]
    assert store._client.hlen("nenrin:dev/sky") == 2


def test_a_server_that_is_away_is_said_and_found_again(tmp_path: Path) -> None:
    with valkey_server(tmp_path) as server:
        store = RedisOnlineStore(server.url)
        store.put_newer("space", [(b"key", 1, b"")])
        server.stop()
        for ask in (
            lambda: store.get_many("space", [b"key"]),
            lambda: store.put_newer("space", [(b"key", 2, b"")]),
            lambda: list(store.scan("space")),
            lambda: store.drop("space"),
        ):
            with pytest.raises(UnavailableError, match="does not answer"):
                ask()
        server.start()
        assert store.get_many("space", [b"key"]) == [None]
        store.close()


def test_no_error_tells_the_password() -> None:
    store = RedisOnlineStore("redis://ana:secret@127.0.0.1:1/3")
    with pytest.raises(UnavailableError) as caught:
        store.get_many("space", [b"key"])
    assert caught.value.where == "redis://127.0.0.1:1/3"
    assert "secret" not in str(caught.value.as_dict())
    store.close()


def test_refuses_an_address_that_is_none() -> None:
    with pytest.raises(RequestError, match="no address"):
        RedisOnlineStore("http://127.0.0.1")


def test_says_how_to_install_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtraError) as caught:
        RedisOnlineStore("redis://127.0.0.1")
    assert caught.value.hint == 'pip install "nenrin[redis]"'
