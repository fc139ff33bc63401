"""The kind *model*: a fitted model as training writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
import polars as pl

from nenrin.core.errors import IntegrityError, RequestError
from nenrin.registry.kinds.contract import Answerer, Answers, OpenContext
from nenrin.training.artefact import Artefact, describe
from nenrin.training.columns import Vocabularies, vocabularies


class ModelKind:
    """Models as versions."""

    name = "model"

    def describe(self, content: bytes) -> dict[str, Any]:
        """What the artefact says of itself: format, task, libraries, columns with their kinds.

        Raises:
            RequestError: the content is no model.
        """
        try:
            header = describe(content)
        except IntegrityError as error:
            raise RequestError(error.message, hint=error.hint) from None
        plain: dict[str, Any] = msgspec.to_builtins(header)
        # vocabularies can be long, and stand in the content
        plain["columns"] = {column.name: column.kind for column in header.columns}
        del plain["where"]
        return plain

    def open(self, content: bytes, context: OpenContext) -> Answerer:
        """The model, ready to predict: its compiled form where the context has one.

        The content comes from the store that wrote it: trusted.

        Raises:
            IntegrityError: the bytes are no model.
            MissingExtraError: the model's library is not installed.
        """
        compiled = context.compiled.answerer(content) if context.compiled else None
        return compiled or ModelAnswerer(Artefact.loads(content, trusted=True))


class ModelAnswerer:
    """A fitted model as an answerer."""

    def __init__(self, artefact: Artefact) -> None:
        self._artefact = artefact

    @cached_property
    def vocabularies(self) -> Vocabularies:
        """The texts that its training saw, by column."""
        return vocabularies(self._artefact.header.columns)

    @property
    def waits(self) -> bool:
        """Whether another server answers: then no event loop asks."""
        return self._artefact.elsewhere

    def answer(self, frame: pl.DataFrame) -> Answers:
        """float64[n]: the probability of the positive class, or numbers."""
        return self._artefact.predict(frame)

    def answer_rows(self, rows: Sequence[Mapping[str, Any]]) -> Answers:
        """The same for a few rows, without a frame."""
        return self._artefact.predict_rows(rows)
