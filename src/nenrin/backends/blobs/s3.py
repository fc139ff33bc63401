"""Content in a bucket of an object store that speaks S3.

A blob is the object ``ab/ab12…`` below the prefix, as it is a file in a folder (:mod:`.local`). What is read
is compared with its name and kept as a copy on this machine, so that it is fetched once; the copies can be
deleted at any time while nothing runs. Writers and a sweeper agree by :mod:`.sweeping`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from blake3 import blake3

from nenrin.backends.blobs.bucket import Bucket
from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.blobs.sweeping import Sweeps
from nenrin.core.digest import digest_bytes
from nenrin.core.errors import IntegrityError, NotFoundError, UnavailableError
from nenrin.core.pruning import GRACE
from nenrin.core.store import Blob
from nenrin.core.timer import SystemTimer, Timer

COPIES_KEPT = 7 * 86_400.0  # seconds after which a sweep lets go of a copy as well

_KEY = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_REFRESH = GRACE / 4  # what was put longer ago is written again: a sweep sees that it is wanted
_SMALL = 2**16  # bytes that are sent without a look whether they are there
_BATCH = 100
_PAUSE = 0.1  # seconds between two looks whether a sweep is over
_NOTE = "sweep.seen"  # in the folder of copies
_RESTORE = "restore it from a backup; what can be made again is made by: nenrin run"


class S3Store:
    """A ``ContentStore`` in a bucket. Can be sent to worker processes; connects when first asked.

    Args:
        url: ``s3://BUCKET/PREFIX``.
        copies: folder of this machine's copies.
        timer: process time.
        bucket: speaks to the store; the one of ``url`` if left out.
    """

    def __init__(
        self,
        url: str,
        copies: Path,
        *,
        timer: Timer | None = None,
        bucket: Bucket | None = None,
    ) -> None:
        self._url = url
        self._folder = copies
        self._copies = LocalStore(copies, durable=False)
        self._timer = timer or SystemTimer()
        if bucket is not None:
            self._bucket = bucket

    def __reduce__(self) -> tuple[type[S3Store], tuple[str, Path]]:
        return S3Store, (self._url, self._folder)

    def prepare(self) -> None:
        """Make the client, which takes longer than a request; it connects with the first one.

        Raises:
            RequestError: the place is wrong.
        """
        self._sweeps  # noqa: B018 - made when it is first looked at, with the bucket

    def put(self, data: bytes) -> str:
        """Keep ``data`` and give its digest.

        Raises:
            UnavailableError: the store is away.
        """
        digest = digest_bytes(data)
        while True:
            before = self._sweeps.seen()
            self._write(_key(digest), data)
            now = self._sweeps.look()
            if now.takes(digest, self._timer.epoch()):
                self._timer.sleep(_PAUSE)  # it may go until the sweep is over: then we put it again
            elif now.number == before or self._bucket.look(_key(digest)) is not None:
                return digest

    def get(self, digest: str) -> bytes:
        """The bytes of ``digest``, compared with it.

        Raises:
            NotFoundError: nothing is kept under that digest.
            IntegrityError: the bytes are not those that were kept.
            UnavailableError: the store is away, and there is no copy.
        """
        try:
            return self._copies.get(digest)
        except (NotFoundError, IntegrityError):
            self.file(digest)
        return self._copies.get(digest)

    def has(self, digest: str) -> bool:
        """Whether ``digest`` is kept."""
        return bool(_DIGEST.fullmatch(digest)) and self._bucket.look(_key(digest)) is not None

    def verify(self, digest: str) -> None:
        """Read ``digest`` from the store, whatever copies there are, and compare.

        Raises:
            IntegrityError: the bytes are not those that were kept.
            NotFoundError: nothing is kept under that digest.
            UnavailableError: the store is away.
        """
        try:
            deque(self.chunks(digest), maxlen=0)
        except IntegrityError:  # perhaps it was the way, and not the store: look once more
            deque(self.chunks(digest), maxlen=0)

    def size(self, digest: str) -> int:
        """How many bytes ``digest`` has."""
        found = self._bucket.look(_key(digest)) if _DIGEST.fullmatch(digest) else None
        if found is None:
            raise self._missing(digest)
        return found.size

    def blobs(self) -> Iterator[Blob]:
        """What is kept, and when it was put last, sorted by digest."""
        found = (
            Blob(key[1], each.size, each.written)
            for each in self._bucket.objects()
            if (key := _KEY.fullmatch(each.key))
        )
        yield from sorted(found)

    def digests(self) -> Iterator[str]:
        """Every digest kept, sorted."""
        return (blob.digest for blob in self.blobs())

    def remove(self, digest: str) -> None:
        """Let go of ``digest``."""
        self._bucket.remove([_key(digest)])
        self._copies.remove(digest)

    def sweep(self, digests: Iterable[str], before: float) -> list[str]:
        """Let go of those that were put last before ``before``, and of copies of long ago.

        Raises:
            ConflictError: somebody else is pruning this store.
            UnavailableError: the store is away, or too slow.
        """
        names, gone = list(digests), list[str]()
        for start in range(0, len(names), _BATCH):
            gone += self._sweep(names[start : start + _BATCH], before)
        for digest in gone:
            self._copies.remove(digest)
        self._copies.sweep(list(self._copies.digests()), self._timer.epoch() - COPIES_KEPT)
        return gone

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of ``digest`` piece by piece, from the store; compared in the end."""
        if not _DIGEST.fullmatch(digest):
            raise self._missing(digest)
        hasher = blake3()
        try:
            for chunk in self._bucket.chunks(_key(digest)):
                hasher.update(chunk)
                yield chunk
        except FileNotFoundError:
            raise self._missing(digest) from None
        if hasher.hexdigest() != digest:
            raise IntegrityError(
                f"the content kept as {digest} has changed",
                hint=f"the object store gives other bytes than it was given: {_RESTORE}",
                where=f"{self._url}/{_key(digest)}",
            )

    def file(self, digest: str) -> Path:
        """This machine's copy of these bytes, to be read only; fetched where there is none.

        Raises:
            IntegrityError: the bytes are not those that were kept.
            NotFoundError: nothing is kept under that digest.
            UnavailableError: the store is away, or the copy cannot be written.
        """
        try:
            return self._copies.file(digest)
        except NotFoundError:
            pass
        except IntegrityError:
            self._copies.remove(digest)
        try:
            self._copies.keep(digest, self.chunks(digest))
        except IntegrityError:  # perhaps it was the way, and not the store: look once more
            self._copies.keep(digest, self.chunks(digest))
        return self._copies.file(digest)

    @cached_property
    def _bucket(self) -> Bucket:
        return Bucket(self._url)

    @cached_property
    def _sweeps(self) -> Sweeps:
        return Sweeps(self._bucket, self._timer.epoch, self._folder / _NOTE)

    def _write(self, key: str, data: bytes) -> None:
        """Have ``data`` there, and so that a sweep sees that it was put lately."""
        if len(data) <= _SMALL and self._bucket.create(key, data):
            return
        found = self._bucket.look(key)
        young = self._timer.epoch() - _REFRESH
        if found is None or found.size != len(data) or found.written < young:
            self._bucket.write(key, data)

    def _sweep(self, names: list[str], before: float) -> list[str]:
        begun = self._sweeps.begin(names)
        try:
            seen = [self._bucket.look(_key(name)) for name in names]
            old = [each.key for each in seen if each is not None and each.written < before]
            if self._timer.epoch() > begun.until:
                raise UnavailableError(
                    "the object store is too slow to be pruned",
                    hint="do it again later; nothing is lost",
                    where=self._url,
                )
            self._bucket.remove(old)
        finally:
            self._sweeps.end(begun)
        return [key.rpartition("/")[2] for key in old]

    def _missing(self, digest: str) -> NotFoundError:
        return NotFoundError(
            f"no content is kept as {digest}",
            hint=f"was it removed? {_RESTORE}",
            where=self._url,
        )


def _key(digest: str) -> str:
    return f"{digest[:2]}/{digest}"
