"""Everything that a DataService needs, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nenrin.core.digest import digest_bytes
from nenrin.core.errors import NotFoundError
from nenrin.data.service import DataService
from nenrin.data.versions import DatasetVersion


@dataclass
class MemoryUnit:
    environment: str
    at: int = 0
    recorded: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def record(self, kind: str, subject: str, body: dict[str, Any]) -> None:
        self.recorded.append((kind, subject, body))


class MemoryUnits:
    """Units without roll-back, which these tests do not need."""

    def __init__(self) -> None:
        self.recorded: list[tuple[str, str, dict[str, Any]]] = []

    @contextmanager
    def write(self, environment: str, at: int) -> Iterator[MemoryUnit]:
        unit = MemoryUnit(environment, at)
        yield unit
        self.recorded += unit.recorded

    @contextmanager
    def read(self, environment: str) -> Iterator[MemoryUnit]:
        yield MemoryUnit(environment)


class MemoryRecords:
    def __init__(self) -> None:
        self.kept: list[DatasetVersion] = []

    def add(self, unit: MemoryUnit, record: DatasetVersion) -> None:
        self.kept.append(record)

    def latest(self, unit: MemoryUnit, name: str) -> DatasetVersion | None:
        return max(self.all(unit, name), key=lambda version: version.number, default=None)

    def get(self, unit: MemoryUnit, version_id: str) -> DatasetVersion | None:
        return next((version for version in self.all(unit) if version.id == version_id), None)

    def all(self, unit: MemoryUnit, name: str | None = None) -> list[DatasetVersion]:
        here = [v for v in self.kept if v.environment == unit.environment]
        return sorted(
            (v for v in here if name in (None, v.dataset)), key=lambda v: (v.dataset, v.number)
        )


class FolderStore:
    """A content store in a folder, without the promise to survive power loss."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: list[str] = []

    def put(self, data: bytes) -> str:
        digest = digest_bytes(data)
        (self.folder / digest).write_bytes(data)
        return digest

    def get(self, digest: str) -> bytes:
        return self.file(digest).read_bytes()

    def has(self, digest: str) -> bool:
        return (self.folder / digest).exists()

    def verify(self, digest: str) -> None:
        assert digest_bytes(self.get(digest)) == digest

    def digests(self) -> Iterator[str]:
        return iter(sorted(path.name for path in self.folder.iterdir()))

    def file(self, digest: str) -> Path:
        if not self.has(digest):
            raise NotFoundError(f"nothing is kept under {digest}")
        self.read.append(digest)
        return self.folder / digest


class Room:
    """A data service with its stores within reach."""

    def __init__(self, folder: Path) -> None:
        self.units = MemoryUnits()
        self.store = FolderStore(folder)
        self.records = MemoryRecords()
        self.service = DataService(self.units, self.store, self.records)  # type: ignore[arg-type]
