"""How much memory a plane's models take, and which deployments are let go when it is more than they may.

What a version takes is measured: by how much the process grew while it was opened, at least the bytes of
its files. Of what imported a library meanwhile only the files count, for the library stays. A process grows
by what it does beside, too, and by what the allocator keeps (measured of one model, in one process: 2.0 to
5.0 MB), so the least of all measurements counts, and one alone refuses nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from nenrin.core.errors import NoRoomError, UnavailableError
from nenrin.serving.ports import Loader
from nenrin.serving.router import Variant

SETTING = "NENRIN_MODELS_MEMORY"

MORE = f"set {SETTING} to more, or unset it for no limit"

_PAGE = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")


class Grown(msgspec.Struct):
    """By how many bytes the process grew in a block."""

    bytes: int = 0


@contextmanager
def growth() -> Iterator[Grown]:
    """Measures the block; 0 where it imported something, or the system does not tell."""
    grown, before, modules = Grown(), _resident(), len(sys.modules)
    yield grown
    if len(sys.modules) == modules:
        grown.bytes = max(_resident() - before, 0)


def _resident() -> int:
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE
    except OSError:
        return 0


class Sizes:
    """What versions take, each with its feature state.

    Args:
        loader: knows the bytes of their files.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._least: dict[tuple[str, str], int] = {}
        self._alone: dict[tuple[str, str], int] = {}

    def note(self, variant: Variant, grown: int, *, alone: bool) -> int:
        """The process grew by so many bytes when a variant was opened; what it takes, as far as is known.

        Args:
            variant: which one.
            grown: bytes.
            alone: no other deployment was open, that could have been asked meanwhile.
        """
        key, size = _key(variant), max(grown, self._loader.size(variant))
        if alone and key in self._least:
            self._alone[key] = min(size, self._alone.get(key, size))
        self._least[key] = min(size, self._least.get(key, size))
        return self._least[key]

    def of(self, variants: Iterable[Variant]) -> int:
        """Bytes that variants are expected to take: the least that was measured, or of their files."""
        return sum(self._least.get(_key(each)) or self._loader.size(each) for each in variants)

    def surely(self, variants: Iterable[Variant]) -> int:
        """Bytes that variants take in any case: of their files, or what was measured again alone."""
        return sum(self._alone.get(_key(each)) or self._loader.size(each) for each in variants)

    def keep(self, variants: Iterable[Variant]) -> None:
        """Forget all others."""
        kept = {_key(each) for each in variants}
        self._least = {key: size for key, size in self._least.items() if key in kept}
        self._alone = {key: size for key, size in self._alone.items() if key in kept}


def _key(variant: Variant) -> tuple[str, str]:
    return variant.version, variant.features


class Room:
    """The memory that models may take. Deployments are let go whole, the least recently asked first.

    Args:
        limit: bytes; 0: there is no limit.

    Attributes:
        pinned: deployments that are not let go; replaced as a whole, for several threads read it.
        opened, let_go: how many deployments were, so far.
    """

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self.pinned: frozenset[str] = frozenset()
        self.opened = self.let_go = 0
        self._taken: dict[str, int] = {}
        self._asked: dict[str, tuple[int, int]] = {}  # requests so far, and when there were more
        self._now = 0  # counts looks and openings

    @property
    def taken(self) -> int:
        """Bytes of what is open."""
        return sum(self._taken.values())

    def of(self, name: str) -> int:
        """Bytes of one deployment; 0 where it is not open."""
        return self._taken.get(name, 0)

    def look(self, asked: Mapping[str, int]) -> None:
        """Note who was asked since the last look: of each deployment that is open, its requests so far.

        Looks are twice a second, and before something is let go: the hot path notes nothing.
        """
        self._now += 1
        for name, requests in asked.items():
            if self._asked.get(name, (-1, 0))[0] != requests:
                self._asked[name] = (requests, self._now)

    def take(self, name: str, size: int) -> None:
        """A deployment is open, and takes so many bytes."""
        self._now += 1
        self._taken[name] = size
        self._asked.setdefault(name, (0, self._now))

    def leave(self, names: Collection[str]) -> None:
        """Deployments are not open any more."""
        for name in names:
            self._taken.pop(name, None)
            self._asked.pop(name, None)

    def has(self, size: int) -> bool:
        """Whether so many bytes fit beside what is open."""
        return not self.limit or self.taken + size <= self.limit

    def is_left_to(self, name: str) -> bool:
        """Whether no other deployment is open."""
        return not self._taken.keys() - {name}

    def refuse(self, size: int) -> None:
        """Refuse what does not fit at all.

        Raises:
            NoRoomError: it is larger than the limit.
        """
        if self.limit and size > self.limit:
            raise NoRoomError(
                f"its models take {_told(size)}, and {SETTING} allows {_told(self.limit)} for all",
                hint=MORE,
                where=SETTING,
            )

    def make(self, size: int, keep: str) -> list[str]:
        """Whom to let go so that ``keep`` fits with so many bytes, in place of what it takes now.

        Raises:
            UnavailableError: what stays is pinned and leaves too little.
        """
        over = self.taken - self.of(keep) + size - self.limit
        going: list[str] = []
        free = [name for name in self._taken if name != keep and name not in self.pinned]
        for name in sorted(free, key=lambda each: self._asked[each][1]):
            if not self.limit or over <= 0:
                break
            over -= self._taken[name]
            going.append(name)
        if self.limit and over > 0 and self.pinned - {keep}:
            raise UnavailableError(
                f"{_told(size)} do not fit into {SETTING} ({_told(self.limit)}) beside what is pinned",
                hint=f"unload one of {', '.join(sorted(self.pinned))}, or set {SETTING} to more",
                where=SETTING,
            )
        return going


def _told(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
