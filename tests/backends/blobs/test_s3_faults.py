"""A bad network between us and a real S3 server: what is acknowledged is there, what is read is right."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nenrin.backends.blobs.bucket import Bucket
from nenrin.backends.blobs.s3 import S3Store
from nenrin.core.digest import digest_bytes
from nenrin.core.errors import IntegrityError, NotFoundError, UnavailableError
from nenrin.testing.faulty_proxy import FaultyProxy, faulty_proxy
from nenrin.testing.object_store import ObjectStoreServer

LARGE = bytes(range(251)) * 100_000  # 25 MB: four parts


@pytest.fixture
def proxy(
    object_store: ObjectStoreServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyProxy]:
    with faulty_proxy(object_store.endpoint) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.address)
        yield running


@pytest.fixture
def store(url: str, proxy: FaultyProxy, tmp_path: Path) -> S3Store:
    return S3Store(url, tmp_path / "copies", bucket=Bucket(url, patience=10.0))


@pytest.fixture
def direct(
    url: str, object_store: ObjectStoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> S3Store:
    """The same bucket, without the proxy."""
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", object_store.endpoint)
        return S3Store(url, tmp_path / "direct", bucket=Bucket(url))


@pytest.mark.parametrize("fault", ["503", "reset", "lost answer"])
@pytest.mark.parametrize("data", [b"a ring", LARGE], ids=["small", "large"])
def test_puts_are_tried_again(
    store: S3Store, direct: S3Store, proxy: FaultyProxy, fault: str, data: bytes
) -> None:
    proxy.fail(fault, 3)  # type: ignore[arg-type]
    digest = store.put(data)
    assert proxy.left() == 0
    direct.verify(digest)
    assert list(direct.digests()) == [digest]


@pytest.mark.parametrize("fault", ["503", "reset", "lost answer", "cut"])
@pytest.mark.parametrize("data", [b"a ring", LARGE], ids=["small", "large"])
def test_reads_are_tried_again(
    store: S3Store, direct: S3Store, proxy: FaultyProxy, fault: str, data: bytes
) -> None:
    digest = direct.put(data)
    for ask in (store.get, lambda digest: b"".join(store.chunks(digest))):
        proxy.fail(fault, 2, method="GET")  # type: ignore[arg-type]
        assert ask(digest) == data
        assert proxy.left() == 0


def test_an_answer_of_404_that_is_cut_short_is_asked_for_again(
    store: S3Store, proxy: FaultyProxy
) -> None:
    proxy.fail("cut", method="GET")
    digest = store.put(b"a ring")  # which asks for a sweep; there was none yet
    assert proxy.left() == 0
    assert store.has(digest)


def test_bytes_that_changed_on_the_way_are_fetched_again(
    store: S3Store, direct: S3Store, proxy: FaultyProxy, tmp_path: Path
) -> None:
    digest = direct.put(b"a ring")
    for ask in (store.verify, store.get):
        proxy.fail("garbled", method="GET")
        ask(digest)
        assert proxy.left() == 0
    other = direct.put(b"another")
    proxy.fail("garbled", 2, method="GET")
    with pytest.raises(IntegrityError):
        store.get(other)
    assert store.get(other) == b"another"


def test_a_slow_store_is_only_slow(store: S3Store, proxy: FaultyProxy) -> None:
    proxy.delay = 0.3
    digest = store.put(b"a ring")
    assert store.has(digest)
    assert store.get(digest) == b"a ring"


def test_a_store_that_is_away_is_said(url: str, proxy: FaultyProxy, tmp_path: Path) -> None:
    store = S3Store(url, tmp_path, bucket=Bucket(url, patience=0.3))
    kept = store.put(b"a ring")
    store.get(kept)
    proxy.stop()
    asks: list[Callable[[], object]] = [
        lambda: store.put(b"another"),
        lambda: store.get("0" * 64),
        lambda: store.has(kept),
        lambda: store.verify(kept),
        lambda: store.remove(kept),
        lambda: list(store.digests()),
        lambda: list(store.chunks(kept)),
    ]
    for ask in asks:
        with pytest.raises(UnavailableError) as caught:
            ask()
        assert "Connection refused" in caught.value.message
        assert "AWS_ENDPOINT_URL" in caught.value.hint
    assert store.get(kept) == b"a ring"  # there is a copy


def test_answers_of_503_are_said_in_the_end(url: str, proxy: FaultyProxy, tmp_path: Path) -> None:
    store = S3Store(url, tmp_path, bucket=Bucket(url, patience=0.3))
    proxy.fail("503", 1000)
    with pytest.raises(UnavailableError, match="SlowDown"):
        store.put(b"a ring")


def test_a_store_that_comes_back_is_waited_for(
    object_store: ObjectStoreServer, url: str, proxy: FaultyProxy, tmp_path: Path
) -> None:
    """Connections are refused in mid-run; then the same address answers again."""
    store = S3Store(url, tmp_path, bucket=Bucket(url, patience=30.0))
    first = store.put(b"first")
    port = proxy.server_port
    proxy.stop()
    put: list[str] = []
    thread = threading.Thread(target=lambda: put.append(store.put(b"second")))
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    with faulty_proxy(object_store.endpoint, port):
        thread.join(120)
        assert store.get(put[0]) == b"second"
        assert store.get(first) == b"first"


def test_a_put_that_failed_leaves_nothing_half(
    url: str, direct: S3Store, proxy: FaultyProxy, tmp_path: Path
) -> None:
    store = S3Store(url, tmp_path, bucket=Bucket(url, patience=0.3))
    proxy.fail("503", 1000, method="PUT")
    with pytest.raises(UnavailableError):
        store.put(LARGE)
    assert list(direct.digests()) == []
    with pytest.raises(NotFoundError):
        direct.get(digest_bytes(LARGE))
