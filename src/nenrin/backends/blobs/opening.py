"""Content stores by where they are: a folder of this machine, or a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nenrin.backends.blobs.bucket import Bucket
from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.blobs.probe import probe
from nenrin.backends.blobs.s3 import S3Store
from nenrin.core.errors import NenrinError, UnavailableError
from nenrin.core.health import Finding
from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer

COPIES = "copies"
PROBED = "store.probed"

_PATIENCE = 5.0  # seconds that a probe waits for a store: somebody waits for it


def is_remote(place: str) -> bool:
    """Whether content is kept elsewhere than in a folder."""
    return "://" in place


def store_at(place: str, state_folder: Path) -> ContentStore:
    """The content store at a path or URL, which was opened before.

    Args:
        place: a folder, or ``s3://BUCKET/PREFIX``.
        state_folder: ``.nenrin``, where copies of what is elsewhere are kept.
    """
    return S3Store(place, state_folder / COPIES) if is_remote(place) else LocalStore(place)


def open_store(place: str, state_folder: Path) -> ContentStore:
    """The content store at a path or URL; one that this folder has not used before is probed first.

    Raises:
        RefusedError: the store does not keep its promises.
        RequestError: the place, the bucket or the credentials are wrong.
        UnavailableError: the store is away.
    """
    if is_remote(place):
        bucket, known = Bucket(place, patience=_PATIENCE), state_folder / PROBED
        if not known.exists() or known.read_text() != bucket.address:
            probe(bucket, SystemTimer())
            _remember(known, bucket.address)
    return store_at(place, state_folder)


def probe_store(place: str) -> None:
    """Try whether the store keeps its promises; a folder does.

    Raises:
        NenrinError: see :func:`open_store`.
    """
    if is_remote(place):
        probe(Bucket(place, patience=_PATIENCE), SystemTimer())


def examine_store(place: str) -> Iterator[Finding]:
    """What is wrong with a store that is elsewhere: one small object is written and deleted again."""
    if not is_remote(place):
        return
    try:
        bucket = Bucket(place, patience=_PATIENCE)
        probe(bucket, SystemTimer())
    except NenrinError as error:
        yield Finding(name="content", health="fail", found=error.message, do=error.hint)
    else:
        yield Finding(name="content", found=f"{bucket.address} answers, and keeps its promises")


def _remember(known: Path, address: str) -> None:
    try:
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(address)
    except OSError as error:
        raise UnavailableError(
            f"{known} cannot be written: {error.strerror or error}",
            hint=f"let this user write to {known.parent}",
            where=str(known),
        ) from error
