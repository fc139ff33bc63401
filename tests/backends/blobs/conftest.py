"""A prefix of its own for each test on one real S3 server."""

from __future__ import annotations

from pathlib import Path

import pytest

from nenrin.backends.blobs.s3 import S3Store
from nenrin.core.digest import derived_id
from nenrin.testing.object_store import ObjectStoreServer


@pytest.fixture
def url(
    object_store: ObjectStoreServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> str:
    for name, value in object_store.variables().items():
        monkeypatch.setenv(name, value)
    return f"s3://{object_store.bucket}/tests/{derived_id('test', request.node.nodeid)}"


@pytest.fixture
def store(url: str, tmp_path: Path) -> S3Store:
    return S3Store(url, tmp_path / "copies")
