"""Trials of a tuning as steps: what was tried before a crash, or with fewer trials, is not tried again."""

from __future__ import annotations

from typing import Any

import msgspec

from nenrin.core.store import ContentStore
from nenrin.pipelines.engine import Engine
from nenrin.training.tune import Trial


class RememberedTrials:
    """The ``Trials`` of :mod:`nenrin.training.tune`, remembered by the engine.

    Attributes:
        made: those that were not remembered.

    Args:
        engine, store: where they are kept.
        parts: what decides the whole tuning; a trial is decided by its parameters as well.
    """

    def __init__(self, engine: Engine, store: ContentStore, parts: dict[str, Any]) -> None:
        self.made: list[Trial] = []
        self._engine = engine
        self._store = store
        self._parts = parts
        self._known: set[str] = set()

    def recall(self, params: dict[str, Any]) -> Trial | None:
        """The trial with these parameters, if it was ever made."""
        known = self._engine.remembered("trial", self._key(params))
        if known is None or not self._store.has(known.output):
            return None
        self._known.add(str(params))
        return msgspec.json.decode(self._store.get(known.output), type=Trial)

    def keep(self, trial: Trial) -> None:
        """Remember a trial, if it is not remembered."""
        if str(trial.params) in self._known:
            return
        self._known.add(str(trial.params))
        self.made.append(trial)
        output = self._store.put(_dumps(trial))
        self._engine.remember("trial", self._key(trial.params), output, trial.fit_cpu)

    def _key(self, params: dict[str, Any]) -> dict[str, Any]:
        return {**self._parts, "params": params}


def _dumps(trial: Trial) -> bytes:
    """JSON has no infinity: a loss that cannot be used is written as the largest number."""
    return msgspec.json.encode(msgspec.structs.replace(trial, loss=min(trial.loss, 1e300)))
