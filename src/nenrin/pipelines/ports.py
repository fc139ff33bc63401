"""What the engine needs to remember: outputs by step key."""

from __future__ import annotations

from typing import Protocol

import msgspec

from nenrin.core.unit import Unit


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """A step's output, remembered under its key.

    Attributes:
        key: digest of everything that decides the output.
        step: the step's name.
        output: digest of the output.
        parts: digest of each part of the key, so that a miss can be explained.
        cpu: CPU seconds it took when it ran, an observation.
        at: business instant at which it was remembered.
        told: digest of what was kept of its code, so that a miss can be explained to the line.
        why: why it was computed, in words for people.
    """

    key: str
    step: str
    output: str
    parts: dict[str, str]
    cpu: float
    at: int = 0
    told: str = ""
    why: str = ""


class Results(Protocol):
    """The step cache. Adapter: ``nenrin.backends.sql.pipelines``."""

    def get(self, unit: Unit, key: str) -> StepResult | None:
        """What was remembered under ``key``."""
        ...

    def put(self, unit: Unit, key: str, result: StepResult) -> None:
        """Remember ``result`` under ``key``, in place of what was there."""
        ...

    def naming(self, unit: Unit, digest: str) -> list[StepResult]:
        """What is remembered of steps and names ``digest`` anywhere, oldest first."""
        ...
