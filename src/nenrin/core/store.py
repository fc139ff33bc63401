"""The content store: everything that is kept is named by the digest of its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from nenrin.core.errors import IntegrityError, NotFoundError


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

    def written(self, digest: str) -> float:
        """When ``digest`` was put last, seconds since 1970.

        Raises:
            NotFoundError: nothing is kept under that digest.
        """
        ...

    def remove(self, digest: str) -> None:
        """Let go of ``digest``; only :mod:`nenrin.core.pruning` knows when nothing names it."""
        ...

    def digests(self) -> Iterator[str]:
        """Every digest kept, sorted."""
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
