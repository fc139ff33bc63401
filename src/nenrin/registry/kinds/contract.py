"""What a kind is: the seam at which models, prompts and all others look alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
import numpy as np
import polars as pl

from nenrin.core.store import ContentStore
from nenrin.registry.kinds.compiled import CompiledForms

Answers = np.ndarray | list[Any]
"""One answer a row: float64[n] (probabilities, numbers), or n plain values."""


class Answerer(Protocol):
    """An opened version. Safe to call from one thread at a time."""

    def answer(self, frame: pl.DataFrame) -> Answers:
        """One answer for each of the frame's n rows, in their order."""
        ...


class OpenContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a kind may need to open a content.

    Attributes:
        store: where its content, and contents that it names, are kept.
        project: the attributes of the project module that made it; empty where none did.
        shares: what part of the answer each slot of a mixture has; empty: all alike.
        compiled: compiled forms of models; the data plane alone has them.
    """

    store: ContentStore
    project: Mapping[str, Any] = {}
    shares: tuple[tuple[str, float], ...] = ()
    compiled: CompiledForms | None = None

    def callable(self, name: str) -> Callable[..., Any] | None:
        """The project's function ``name``, or None."""
        found = self.project.get(name)
        return found if callable(found) else None


class Kind(Protocol):
    """How versions of one kind are read and opened."""

    @property
    def name(self) -> str:
        """What versions of this kind carry as ``kind``."""
        ...

    def describe(self, content: bytes) -> dict[str, Any]:
        """Facts that can be read from the content, plain values; called once, at registration.

        Raises:
            RequestError: the content is not of this kind.
        """
        ...

    def open(self, content: bytes, context: OpenContext) -> Answerer:
        """The content, ready to answer.

        Raises:
            NenrinError: something that it needs is not there.
        """
        ...
