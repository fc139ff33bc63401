"""An exam: questions with the right answers, by which versions of any kind are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.errors import DataError, StepError
from nenrin.registry.version import Version
from nenrin.serving.signature import RequestSignature

Loss = Callable[[Sequence[Any], Sequence[Any]], np.ndarray]


class Exam(msgspec.Struct, frozen=True, kw_only=True):
    """What a proposal is judged on.

    Attributes:
        rows: raw inputs, one row a question; their columns are what a request holds.
        labels: the right answers, in the rows' order.
        loss: each row's loss from (labels, answers), float64 (rows,); wrong or right by default.
        baseline: a plain answer to every question that a proposal must not do worse than; None has none.
    """

    rows: pl.DataFrame
    labels: Sequence[Any]
    loss: Loss | None = None
    baseline: Any = None

    def check(self) -> None:
        """See that every question has an answer.

        Raises:
            DataError: there are none, or not as many of both.
        """
        if self.rows.height != len(self.labels) or not self.labels:
            raise DataError(
                f"{self.rows.height} rows and {len(self.labels)} labels cannot be judged on",
                hint="give one label a row, at least one",
            )

    def request(self) -> RequestSignature:
        """A request holds the columns of the rows; answers are texts unless the labels are numbers."""
        columns = dict(self.rows.schema)
        numbers = all(isinstance(label, Real) for label in self.labels)
        return RequestSignature.of(
            columns, known=columns, output="prediction", datatype="FP64" if numbers else "BYTES"
        )


class Losses:
    """Row losses of versions in one exam; each version answers it once."""

    def __init__(self, exam: Exam, answers: Callable[[Version], list[Any]]) -> None:
        self._exam = exam
        self._answers = answers
        self._known: dict[str, np.ndarray] = {}

    def of(self, version: Version) -> np.ndarray:
        """float64 (rows,)."""
        if version.id not in self._known:
            self._known[version.id] = self._loss(version.id, self._answers(version))
        return self._known[version.id]

    def of_baseline(self) -> np.ndarray | None:
        """float64 (rows,) of the plain answer; None where the exam has none."""
        plain = self._exam.baseline
        if plain is None:
            return None
        return self._loss("the baseline", [plain] * len(self._exam.labels))

    def _loss(self, who: str, answers: list[Any]) -> np.ndarray:
        labels = self._exam.labels
        if len(answers) != len(labels):
            raise StepError(
                f"{who} gave {len(answers)} answers to {len(labels)} questions",
                hint="an answerer gives one answer a row, in their order",
            )
        if self._exam.loss is None:
            wrong = [label != answer for label, answer in zip(labels, answers, strict=True)]
            return np.array(wrong, dtype=np.float64)
        losses = np.asarray(self._exam.loss(labels, answers), dtype=np.float64)
        if losses.shape != (len(labels),):
            raise DataError(
                f"the loss has shape {losses.shape} for {len(labels)} rows",
                hint="give one loss a row: loss(labels, answers) -> float64 (rows,)",
            )
        return losses
