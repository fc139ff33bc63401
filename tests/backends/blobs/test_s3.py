"""Content in a bucket of a real S3 server: the contract, copies, damage, and what is said of mistakes."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import pytest

from nenrin.backends.blobs.bucket import PART, Bucket
from nenrin.backends.blobs.s3 import S3Store
from nenrin.core.digest import digest_bytes
from nenrin.core.errors import IntegrityError, NotFoundError, RequestError
from nenrin.testing.object_store import ObjectStoreServer
from nenrin.testing.stores import ContentStoreContract


class TestS3Store(ContentStoreContract):
    """The contract of content stores."""


def _key(digest: str) -> str:
    return f"{digest[:2]}/{digest}"


def test_objects_have_the_names_of_files(store: S3Store, url: str) -> None:
    digest = store.put(b"a ring")
    assert Bucket(url).read(_key(digest))[0] == b"a ring"


@pytest.mark.parametrize("size", [PART, PART + 1, 3 * PART + 5])
def test_large_content_goes_in_parts(store: S3Store, url: str, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    digest = store.put(data[:size])
    assert store.put(data[:size]) == digest
    found = Bucket(url).look(_key(digest))
    assert found is not None
    assert found.size == size
    assert ("-" in found.tag) == (size > PART)  # the tag of an object in parts counts them
    store.verify(digest)
    assert store.get(digest) == data[:size]


def _copies(folder: Path) -> list[Path]:
    """What the store keeps of content; beside it is a note of the sweep that it saw last."""
    found = [path for path in (folder / "copies").rglob("*") if path.is_file()]
    return [path for path in found if path.name != "sweep.seen"]


def test_what_was_read_is_kept_on_this_machine(store: S3Store, url: str, tmp_path: Path) -> None:
    digest = store.put(b"a ring")
    assert _copies(tmp_path) == []
    assert store.get(digest) == b"a ring"
    Bucket(url).remove([_key(digest)])
    assert store.get(digest) == b"a ring"
    assert not store.has(digest)
    with pytest.raises(NotFoundError):
        store.verify(digest)


def test_a_damaged_copy_is_fetched_again(store: S3Store, tmp_path: Path) -> None:
    path = store.file(store.put(b"a ring"))
    path.chmod(0o644)
    path.write_bytes(b"a rinG")
    opened_again = pickle.loads(pickle.dumps(store))
    assert opened_again.get(path.name) == b"a ring"
    assert path.stat().st_mode & 0o222 == 0


def test_finds_bytes_that_changed(store: S3Store, url: str, tmp_path: Path) -> None:
    digest = store.put(b"a ring")
    Bucket(url).write(_key(digest), b"a rinG")
    for ask in (store.verify, store.get, store.file):
        with pytest.raises(IntegrityError) as caught:
            ask(digest)
        assert caught.value.where == f"{url}/{_key(digest)}"
        assert "backup" in caught.value.hint
    assert _copies(tmp_path) == []
    store.remove(digest)
    assert store.get(store.put(b"a ring")) == b"a ring"


def test_what_is_cut_short_is_put_again(store: S3Store, url: str) -> None:
    digest = digest_bytes(b"a ring")
    Bucket(url).write(_key(digest), b"a r")
    assert store.put(b"a ring") == digest
    store.verify(digest)


def test_prefixes_keep_apart(store: S3Store, url: str, tmp_path: Path) -> None:
    digest = store.put(b"a ring")
    longer = S3Store(f"{url}-2", tmp_path / "other")
    assert not longer.has(digest)
    assert list(longer.digests()) == []
    S3Store(f"{url}/ab", tmp_path / "below").put(b"below")
    assert list(store.digests()) == [digest]


def test_a_bucket_without_a_prefix_will_do(object_store: ObjectStoreServer, url: str) -> None:
    whole = Bucket(f"s3://{object_store.bucket}")
    assert whole.create(f"{url.rpartition('/')[2]}/x", b"x")


def _put_all(store: S3Store) -> list[str]:
    return [store.put(str(number).encode() * 1000) for number in range(20)]


def test_processes_may_put_the_same(store: S3Store) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.map(_put_all, [store, store])
    assert first == second
    for digest in store.digests():
        store.verify(digest)
    assert list(store.digests()) == sorted(first)


@pytest.mark.parametrize(
    "wrong", ["s3://", "gs://bucket/x", "s3://bucket/x?region=eu", "http://127.0.0.1/bucket"]
)
def test_says_what_is_no_bucket(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        S3Store(wrong, tmp_path).has("0" * 64)
    assert "s3://our-models/nenrin" in caught.value.hint


def test_says_that_there_is_no_such_bucket(url: str, tmp_path: Path) -> None:
    other = S3Store("s3://no-such-bucket/x", tmp_path)
    for ask in (lambda: other.put(b"x"), lambda: other.get("0" * 64), lambda: [*other.digests()]):
        with pytest.raises(RequestError, match="no bucket no-such-bucket"):
            ask()


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_says_that_we_are_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "wrong")
    store = S3Store(url, tmp_path)
    for ask in (
        lambda: store.put(b"x"),
        lambda: store.get("0" * 64),
        lambda: store.has("0" * 64),
        lambda: [*store.digests()],
        lambda: store.remove("0" * 64),
    ):
        with pytest.raises(RequestError) as caught:
            ask()
        assert "refuses us" in caught.value.message
        assert variable in caught.value.hint
        assert "wrong" not in str(caught.value.as_dict())
