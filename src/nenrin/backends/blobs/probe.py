"""Whether an object store keeps its promises, tried with one small object before anything depends on them.

Some servers that speak S3 take a condition and ignore it: two writers are both told that they were first, and
what one of them wrote is lost. Nothing that such a store says can be trusted, so it is refused.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from nenrin.backends.blobs.bucket import Bucket
from nenrin.core.digest import derived_id
from nenrin.core.errors import NenrinError, RefusedError
from nenrin.core.timer import Timer

SKEW = 60.0  # seconds by which the store's clock may differ from ours: pruning compares them

_HINT = (
    "use a store that honours If-None-Match and If-Match, such as Amazon S3, Ceph, MinIO or SeaweedFS, "
    "or keep content in a folder: unset NENRIN_STORE_URL"
)


def probe(bucket: Bucket, timer: Timer) -> None:
    """Write, write again under conditions, list and delete one object of a name that nobody else has.

    Raises:
        RefusedError: the store lies; says how.
        RequestError: the bucket or the credentials are wrong.
        UnavailableError: it is away.
    """
    began = timer.epoch()
    key = f"probe/{derived_id('probe', platform.node(), os.getpid(), began)}"
    try:
        with _lost(bucket):
            _conditions(bucket, key)
            _skew(bucket, key, began, timer)
            _listed(bucket, key)
    except RefusedError:
        with suppress(NenrinError):  # what went wrong before is what matters
            bucket.remove([key])
        raise
    bucket.remove([key])
    if bucket.look(key) is not None:
        raise _lies(bucket, "it still has an object that it was told to delete")


def _conditions(bucket: Bucket, key: str) -> None:
    if not bucket.create(key, b"first"):
        raise _lies(bucket, "it says that a new object is there already")
    if bucket.create(key, b"second"):
        raise _lies(bucket, "it took a second create of the same object")
    data, first = bucket.read(key)
    if data != b"first":
        raise _lies(bucket, "it refused a second create, and wrote it all the same")
    if not first or not bucket.replace(key, b"third", first):
        raise _lies(bucket, "it refused an update that knew the newest version")
    if bucket.replace(key, b"fourth", first):
        raise _lies(bucket, "it took an update that knew an older version only")
    if bucket.read(key)[0] != b"third":
        raise _lies(bucket, "it gives other bytes than were written last")


def _skew(bucket: Bucket, key: str, began: float, timer: Timer) -> None:
    found = bucket.look(key)
    if found is None:
        raise _lies(bucket, "it has lost an object that it had acknowledged")
    early, late = began - SKEW - found.written, found.written - timer.epoch() - SKEW
    if max(early, late) > 0:
        raise RefusedError(
            f"the object store's clock and ours differ by {SKEW + max(early, late):.0f} seconds",
            hint="set both clocks by a time server (NTP): pruning tells old from new by them",
            where=bucket.where,
        )


def _listed(bucket: Bucket, key: str) -> None:
    if key not in {each.key for each in bucket.objects("probe")}:
        raise _lies(bucket, "it does not list an object that it had acknowledged")


@contextmanager
def _lost(bucket: Bucket) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise _lies(bucket, "it has lost an object that it had acknowledged") from None


def _lies(bucket: Bucket, how: str) -> RefusedError:
    return RefusedError(
        f"the object store does not keep its promises: {how}", hint=_HINT, where=bucket.where
    )
