"""The one scorer: what an artefact answers for the rows of the table, asked for once and kept.

Loop, watch and comparators all read predictions here. Rows are scored by whole weeks, because a row's
values at *asked* never change and so neither does its answer: asking early costs nothing in truth and
saves two thousand small calls. No answer is used before its row was asked.
"""

from __future__ import annotations

import numpy as np

from nenrin.core.instants import DAY
from nenrin.loop.faults import apply
from nenrin.loop.ground import Ground
from nenrin.loop.ports import Trainer
from nenrin.loop.state import Artefact

_SPAN_DAYS = 7


class Scores:
    """Predictions by artefact.

    Args:
        ground: the row table in blocks and days.
        trainer: scores rows.
        hashes: a hash of each row's key, uint64 (rows,); injected faults choose by it.
    """

    def __init__(self, ground: Ground, trainer: Trainer, hashes: np.ndarray) -> None:
        self._ground = ground
        self._trainer = trainer
        self._hashes = hashes
        self.spread = _spread(ground)
        self._spans: dict[tuple[str, int], np.ndarray] = {}
        self._scorable: dict[str, bool] = {}
        self._day_losses: dict[tuple[str, str, int], float] = {}

    def of(self, artefact: Artefact, lo: int, hi: int) -> np.ndarray:
        """What ``artefact`` answers for the rows ``lo:hi``, float64 (hi - lo,).

        NaN where it is of former code, which reads columns that the row table no longer has.
        """
        if not self._readable(artefact.model):
            return np.full(hi - lo, np.nan)
        if not artefact.fault or hi <= lo:
            return self._raw(artefact.model, lo, hi)
        seen = self._ground.rows_before(artefact.cutoff)
        return apply(
            artefact.fault,
            own=self._raw(artefact.model, lo, hi),
            others=self._raw(artefact.model, 0, seen),
            hashes=self._hashes[lo:hi],
            spread=self.spread,
        )

    def day_loss(self, artefact: Artefact, day: int, settle: int) -> float:
        """Mean loss on a closed day with the labels known at its closing.

        NaN where the day began before the artefact's cut-off (it has seen those rows) or has no label.
        """
        if self._ground.day_start(day) < artefact.cutoff:
            return float("nan")
        return self.seen_loss(artefact, day, settle)

    def seen_loss(self, artefact: Artefact, day: int, settle: int) -> float:
        """As :meth:`day_loss`, for rows of its training too: it may refuse a fit, never admit one."""
        key = (artefact.model, artefact.fault, day)
        if key not in self._day_losses:
            lo, hi = self._ground.day_rows(day)
            answers = self.of(artefact, lo, hi)
            self._day_losses[key] = self._ground.day_mean(answers, day, settle)
        return self._day_losses[key]

    def _readable(self, model: str) -> bool:
        if model not in self._scorable:
            self._scorable[model] = self._trainer.scorable(model)
        return self._scorable[model]

    def _raw(self, model: str, lo: int, hi: int) -> np.ndarray:
        if hi <= lo:
            return np.empty(0)
        first, last = self._span_of(lo), self._span_of(hi - 1)
        wanted = [s for s in range(first, last + 1) if (model, s) not in self._spans]
        if wanted:
            spans = [self._span_rows(s) for s in wanted]
            for span, answer in zip(wanted, self._trainer.scores(model, spans), strict=True):
                self._spans[model, span] = answer
        parts = [self._spans[model, s] for s in range(first, last + 1)]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        offset = self._span_rows(first)[0]
        return whole[lo - offset : hi - offset]

    def _span_of(self, row: int) -> int:
        return self._ground.day_at(int(self._ground.table.asked[row])) // _SPAN_DAYS

    def _span_rows(self, span: int) -> tuple[int, int]:
        return self._ground.day_rows(span * _SPAN_DAYS, (span + 1) * _SPAN_DAYS)


def _spread(ground: Ground) -> float:
    """Standard deviation of the labels that were known when the table's first 28 days had passed.

    The unit of a shifted regression, fixed for a deployment; labels that come later do not change it.
    """
    end = ground.start + 28 * DAY
    y = ground.labels(*ground.rows_between(ground.start, end), end)
    return float(np.std(y[np.isfinite(y)])) if np.isfinite(y).any() else 1.0
