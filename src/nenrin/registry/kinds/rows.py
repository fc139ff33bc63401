"""Answering a few rows of plain values, as serving does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import polars as pl

from nenrin.registry.kinds.contract import Answerer, Answers
from nenrin.training.columns import Vocabularies
from nenrin.training.records import Records


@runtime_checkable
class AnswersRows(Protocol):
    """What an answerer may offer beside ``answer``, where it needs no frame."""

    def answer_rows(self, rows: Sequence[Mapping[str, Any]]) -> Answers:
        """One answer a row, in their order.

        Raises:
            AsideError: an event loop runs in this thread, and these rows would hold it up.
        """
        ...


class RowAnswerer:
    """Any answerer, asked with rows instead of a frame.

    Args:
        answerer: an opened version.
    """

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        # asked once: whether something keeps a protocol takes longer than a small model's answer
        self._asked = answerer.answer_rows if isinstance(answerer, AnswersRows) else self._framed

    @property
    def waits(self) -> bool:
        """Whether an answer waits for another server."""
        return waits(self._answerer)

    @property
    def vocabularies(self) -> Vocabularies:
        """The texts that training saw, by column."""
        return vocabularies_of(self._answerer)

    def answer_rows(self, rows: Sequence[Mapping[str, Any]]) -> Answers:
        """One answer a row; a column that a row lacks is a null."""
        return self._asked(rows)

    def _framed(self, rows: Sequence[Mapping[str, Any]]) -> Answers:
        records = rows if isinstance(rows, Records) else Records.of_dicts(rows)
        return self._answerer.answer(pl.DataFrame(dict(records.columns), strict=False))


def waits(answerer: object) -> bool:
    """Whether an answerer says that its answers wait for another server."""
    return bool(getattr(answerer, "waits", False))


def vocabularies_of(answerer: object) -> Vocabularies:
    """The texts that an answerer's training saw, by column, where it says so."""
    found: Vocabularies = getattr(answerer, "vocabularies", {})
    return found
