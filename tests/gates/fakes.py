"""The stores that the gates' service needs, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nenrin.core.errors import NotFoundError
from nenrin.gates.verdict import Verdict


class FakeUnit:
    def __init__(
        self, environment: str, at: int, events: list[tuple[str, str, dict[str, Any]]]
    ) -> None:
        self.environment = environment
        self.at = at
        self.events = events

    def record(self, kind: str, subject: str, body: dict[str, Any]) -> None:
        self.events.append((kind, subject, body))


class FakeUnits:
    def __init__(self) -> None:
        self.recorded: list[tuple[str, str, dict[str, Any]]] = []

    @contextmanager
    def write(self, environment: str, at: int) -> Iterator[FakeUnit]:
        yield FakeUnit(environment, at, self.recorded)

    @contextmanager
    def read(self, environment: str) -> Iterator[FakeUnit]:
        yield FakeUnit(environment, 0, [])


class FakeVerdicts:
    def __init__(self) -> None:
        self.kept: dict[str, Verdict] = {}

    def add(self, unit: FakeUnit, record: Verdict) -> None:
        self.kept.setdefault(record.id, record)

    def get(self, unit: FakeUnit, verdict_id: str) -> Verdict:
        if verdict_id not in self.kept:
            raise NotFoundError("no such verdict")
        return self.kept[verdict_id]

    def all(self, unit: FakeUnit, deployment: str | None = None) -> list[Verdict]:
        return [v for v in self.kept.values() if deployment in (None, v.deployment)]


class FakeMarks:
    def __init__(self) -> None:
        self.marked: set[str] = set()

    def bad(self, unit: FakeUnit, version_id: str) -> bool:
        return version_id in self.marked
