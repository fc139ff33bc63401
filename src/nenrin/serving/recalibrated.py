"""A version whose answers, probabilities, go through a recalibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nenrin.registry.kinds.rows import vocabularies_of
from nenrin.serving.ports import Answerer
from nenrin.stats.platt import Platt
from nenrin.training.columns import Vocabularies


class Recalibrated:
    """An answerer behind another.

    Args:
        answerer: answers probabilities.
        platt: what they go through.
    """

    def __init__(self, answerer: Answerer, platt: Platt) -> None:
        self._answerer = answerer
        self._platt = platt

    @property
    def waits(self) -> bool:
        """Whether an answer waits for another server."""
        return bool(getattr(self._answerer, "waits", False))

    @property
    def vocabularies(self) -> Vocabularies:
        """The texts that training saw, by column."""
        return vocabularies_of(self._answerer)

    def answer_rows(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """The recalibrated probability of each row, float64 (rows,)."""
        return self._platt.apply(np.asarray(self._answerer.answer_rows(rows), dtype=np.float64))
