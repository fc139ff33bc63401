"""What models answered for slices of the row table: what was answered once is not asked again.

One entry a model, so that a year is some hundred entries and not some thousand.
"""

from __future__ import annotations

import msgspec
import numpy as np

from nenrin.core.store import ContentStore, whole
from nenrin.pipelines.engine import GONE, Engine
from nenrin.training.artefact import describe


class _Answered(msgspec.Struct):
    """A model's entry: its key's parts, and float64 bytes by the digest of the rows that they answer."""

    parts: dict[str, str]
    by_rows: dict[str, bytes]
    cpu: float = 0.0
    why: str = ""
    new: bool = False


class RememberedAnswers:
    """Answers by the model's content and by the bytes of the rows, remembered by the engine.

    Answers are those of the model as it is in the store: faults that a backtest injects are put on them
    later, and are never kept.

    Args:
        engine, store: where they are kept.
        code: digest of what decides what the model's function does, its packages among it.
        revision: digest of the revision, whose classes a pickled model may hold.
    """

    def __init__(self, engine: Engine, store: ContentStore, code: str, revision: str) -> None:
        self._engine = engine
        self._store = store
        self._code = code
        self._revision = revision
        self._models: dict[str, _Answered] = {}

    def has(self, model: str, rows: str) -> bool:
        """Whether it is known what ``model`` answers for the rows of digest ``rows``."""
        return rows in self._of(model).by_rows

    def get(self, model: str, rows: str) -> np.ndarray:
        """What ``model`` answers for these rows, float64 (n,), read-only."""
        return np.frombuffer(self._of(model).by_rows[rows], dtype=np.float64)

    def add(self, model: str, rows: str, answer: np.ndarray, cpu: float) -> None:
        """What ``model`` answers for rows, and the CPU seconds that it took."""
        answered = self._of(model)
        answered.by_rows[rows] = answer.tobytes()
        answered.cpu += cpu
        answered.new = True

    def keep(self) -> None:
        """Write what was added, in one unit of work."""
        new = [answered for answered in self._models.values() if answered.new]
        if not new:
            return
        outputs = [self._store.put(msgspec.msgpack.encode(each.by_rows)) for each in new]
        with self._engine.writing() as unit:
            for each, output in zip(new, outputs, strict=True):
                self._engine.remember_in(unit, "score", each.parts, output, each.cpu, why=each.why)
        for each in new:
            each.new, each.why = False, ""

    def _of(self, model: str) -> _Answered:
        if model not in self._models:
            self._models[model] = self._recalled(model)
        return self._models[model]

    def _recalled(self, model: str) -> _Answered:
        pickled = describe(self._store.get(model)).format == "pickle"
        parts = {
            "code": self._code,
            "model": model,
            "revision": self._revision if pickled else "",
        }
        known = self._engine.remembered("score", parts)
        if known is None:
            return _Answered(parts, {})
        if not whole(self._store, known.output):
            return _Answered(parts, {}, why=GONE)
        kept = msgspec.msgpack.decode(self._store.get(known.output), type=dict[str, bytes])
        return _Answered(parts, kept, cpu=known.cpu)
