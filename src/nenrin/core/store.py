"""The content store: everything that is kept is named by the digest of its bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from nenrin.core.errors import IntegrityError, NotFoundError


class Blob(NamedTuple):
    """One thing that a store keeps: its digest, bytes, and when it was put last (seconds since 1970)."""

    digest: str
    size: int
    written: float


@runtime_checkable
class Preparing(Protocol):
    """A store that has something to do before its first request, and can do it for forked children."""

    def prepare(self) -> None:
        """Import and make what requests need; start no thread, and connect to nothing."""
        ...


class ContentStore(Protocol):
    """Bytes by digest. Written once and never changed; safe to use from several processes.

    An acknowledged ``put`` survives power loss. Adapters: ``nenrin.backends.blobs``.
    """

    def put(self, data: bytes) -> str:
        """Keep ``data`` and give its BLAKE3 digest; a second put of the same bytes costs a look."""
        ...

    def get(self, digest: str) -> bytes:
        """The bytes of ``digest``, compared with it.

        Raises:
            NotFoundError: nothing is kept under that digest.
            IntegrityError: the bytes are not those that were kept.
        """
        ...

    def has(self, digest: str) -> bool:
        """Whether ``digest`` is kept."""
        ...

    def verify(self, digest: str) -> None:
        """Read ``digest`` and compare.

        Raises:
            IntegrityError: the bytes are not those that were kept.
        """
        ...

    def size(self, digest: str) -> int:
        """How many bytes ``digest`` has.

        Raises:
            NotFoundError: nothing is kept under that digest.
        """
        ...

    def blobs(self) -> Iterator[Blob]:
        """What is kept, and when it was put last, sorted by digest."""
        ...

    def digests(self) -> Iterator[str]:
        """Every digest kept, sorted."""
        ...

    def remove(self, digest: str) -> None:
        """Let go of ``digest``, which is damaged."""
        ...

    def sweep(self, digests: Iterable[str], before: float) -> list[str]:
        """Let go of those that were put last before ``before``, seconds since 1970; which they were.

        Safe while others put: what somebody puts while it is swept is there once ``put`` returns.
        Only :mod:`nenrin.core.pruning` knows what nothing names.
        """
        ...

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of ``digest`` piece by piece; compared when the last one has been given.

        Raises:
            NotFoundError: nothing is kept under that digest.
            IntegrityError: the bytes are not those that were kept.
        """
        ...

    def file(self, digest: str) -> Path:
        """A local file with these bytes, to be read only (a remote store keeps a copy here).

        Raises:
            NotFoundError: nothing is kept under that digest.
            IntegrityError: the bytes are not those that were kept; looked at when first asked for.
        """
        ...


def whole(store: ContentStore, digest: str) -> bool:
    """Whether what can be made again under ``digest`` can be read; what is damaged goes, to be made again."""
    try:
        store.verify(digest)
    except NotFoundError:
        return False
    except IntegrityError:
        store.remove(digest)
        return False
    return True
