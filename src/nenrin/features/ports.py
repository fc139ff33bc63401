"""What features ask of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

Entry = tuple[bytes, int, bytes]
"""A key, the version of what it holds, and that: the greater version is the newer."""


class OnlineStore(Protocol):
    """Keeps the newest value of each key, in spaces. Adapters: ``nenrin.backends.online``.

    Everything raises ``UnavailableError`` when the store cannot be reached.
    """

    def put_newer(self, space: str, entries: Iterable[Entry]) -> int:
        """Write each entry whose key the space lacks, or holds in a lower version; how many were written.

        Entries that come late, twice or in another order leave the same. Versions lie in [0, 2**63).
        An error may leave some of the entries written: putting all again is safe.
        """
        ...

    def get_many(self, space: str, keys: Sequence[bytes]) -> list[tuple[int, bytes] | None]:
        """Version and value of every key, in the order of ``keys``, as they were at one instant."""
        ...

    def scan(self, space: str) -> Iterator[Entry]:
        """Every entry of a space once, in any order; what is written meanwhile may be among them."""
        ...

    def drop(self, space: str) -> None:
        """Take a space away, all of it at once."""
        ...
