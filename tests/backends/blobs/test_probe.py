"""A store that lies is refused, whatever its lie; an honest one is not, and nothing is left in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nenrin.backends.blobs.bucket import Bucket
from nenrin.backends.blobs.opening import examine_store, open_store, probe_store
from nenrin.backends.blobs.probe import probe
from nenrin.core.errors import NenrinError, RefusedError, RequestError
from nenrin.core.timer import SystemTimer
from tests.backends.blobs.small_s3 import small_s3

PLACE = "s3://bucket/prefix"

LIES = {
    "creates twice": "took a second create",
    "updates what is stale": "knew an older version only",
    "refuses and writes": "wrote it all the same",
    "refuses updates": "refused an update that knew the newest",
    "forgets": "took a second create|lost an object",
    "does not list": "does not list",
    "keeps what is deleted": "told to delete",
    "has another clock": "clock and ours differ by 3[56].. seconds",
}


@pytest.fixture(autouse=True)
def _ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "anybody")


def test_the_small_server_is_honest_where_it_is_not_told_to_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_s3() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        probe(Bucket(PLACE, patience=1.0), SystemTimer())
        assert list(Bucket(PLACE).objects()) == []
        store = open_store(PLACE, tmp_path)
        assert store.get(store.put(b"a ring")) == b"a ring"


@pytest.mark.parametrize("lie", LIES)
def test_a_store_that_lies_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    with small_s3(lie) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        for ask in (lambda: open_store(PLACE, tmp_path), lambda: probe_store(PLACE)):
            with pytest.raises(RefusedError, match=LIES[lie]) as caught:
                ask()
            assert caught.value.where == PLACE
            assert caught.value.hint
        (finding,) = examine_store(PLACE)
        assert (finding.name, finding.health) == ("content", "fail")
    assert not list(tmp_path.iterdir())


def test_a_store_without_conditions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with small_s3("knows no conditions") as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(RequestError, match="NotImplemented"):
            probe(Bucket(PLACE, patience=0.3), SystemTimer())


def test_says_that_the_bucket_is_in_another_region(monkeypatch: pytest.MonkeyPatch) -> None:
    with small_s3("is in another region") as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(RequestError, match="PermanentRedirect") as caught:
            probe(Bucket(PLACE, patience=0.3), SystemTimer())
        assert "AWS_REGION" in caught.value.hint


def test_says_that_there_are_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")  # of no cloud
    with small_s3() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(RequestError, match="no credentials") as caught:
            probe(Bucket(PLACE, patience=0.3), SystemTimer())
        assert "AWS_ACCESS_KEY_ID" in caught.value.hint


def test_a_real_server_keeps_its_promises(url: str, tmp_path: Path) -> None:
    probe_store(url)
    assert list(Bucket(url).objects()) == []
    (finding,) = examine_store(url)
    assert (finding.health, "keeps its promises" in finding.found) == ("ok", True)
    open_store(url, tmp_path / ".nenrin")


def test_it_is_probed_when_a_folder_first_uses_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed: list[str] = []
    monkeypatch.setattr(
        "nenrin.backends.blobs.opening.probe", lambda bucket, timer: probed.append(bucket.address)
    )
    for _ in range(3):
        open_store(url, tmp_path)
    assert len(probed) == 1
    open_store(f"{url}/other", tmp_path)
    open_store(url, tmp_path / "another folder")
    assert len(probed) == 3
    with small_s3() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        open_store(url, tmp_path)
    assert probed[-1] == f"{url} at {address}"


def test_a_folder_needs_no_probe(tmp_path: Path) -> None:
    probe_store(str(tmp_path))
    open_store(str(tmp_path / "store"), tmp_path / ".nenrin")
    assert list(examine_store(str(tmp_path))) == []
    assert not (tmp_path / ".nenrin").exists()


@pytest.mark.parametrize("place", ["gs://bucket/x", "s3://"])
def test_another_kind_of_place_is_refused_at_once(tmp_path: Path, place: str) -> None:
    with pytest.raises(NenrinError) as caught:
        open_store(place, tmp_path)
    assert caught.value.where == "NENRIN_STORE_URL"
    (finding,) = examine_store(place)
    assert finding.do == caught.value.hint
