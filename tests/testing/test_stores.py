"""The fakes pass the contracts that they ship with."""

from __future__ import annotations

import pytest

from nenrin.core.errors import IntegrityError
from nenrin.testing.stores import (
    ContentStoreContract,
    MemoryStore,
    MemoryUnits,
    UnitsContract,
)


class TestMemoryStore(ContentStoreContract):
    """The contract of content stores."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestMemoryUnits(UnitsContract):
    """The contract of units of work."""

    @pytest.fixture
    def units(self) -> MemoryUnits:
        return MemoryUnits()


def test_a_damaged_memory_is_found() -> None:
    store = MemoryStore()
    digest = store.put(b"a ring")
    store.damage(digest, b"a rinG")
    for ask in (store.verify, store.get, store.file):
        with pytest.raises(IntegrityError):
            ask(digest)
