"""Compiled forms as answerers: the data plane alone opens models so."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Mapping
from functools import cached_property
from itertools import count
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.digest import digest_bytes
from nenrin.core.errors import NenrinError, UnavailableError
from nenrin.core.store import ContentStore
from nenrin.registry.kinds.aside import AsideError, on_a_loop
from nenrin.registry.kinds.rescoring import Rescoring, Rows
from nenrin.registry.version import Version
from nenrin.training.artefact import Artefact, describe
from nenrin.training.columns import Vocabularies, vocabularies
from nenrin.training.compiling import kernel
from nenrin.training.compiling.blocks import BlockEncoder
from nenrin.training.compiling.compile import Outcome
from nenrin.training.compiling.compiled import FORM, Compiled
from nenrin.training.compiling.graphs import Graph
from nenrin.training.compiling.parity import TOLERANCE, Form

_logger = logging.getLogger(__name__)


def outcome_of(facts: Mapping[str, Any]) -> Outcome | None:
    """What came of compiling a version, by its facts; None where it was not tried, or for other forms.

    Its form is 0 where none could be tried: then the original serves, and it is tried again.
    """
    try:
        outcome = msgspec.convert(facts.get("compiled"), Outcome)
    except msgspec.ValidationError:
        return None
    return outcome if outcome.form in (0, FORM) else None


class CompiledForms:
    """The compiled forms of the versions that a plane opens.

    Args:
        store: where forms and libraries are kept.
        versions: the versions, with what came of compiling them in their facts.
        rescoring: compares answers with those of originals.
    """

    def __init__(self, store: ContentStore, versions: list[Version], rescoring: Rescoring) -> None:
        self._store = store
        self._rescoring = rescoring
        self.outcomes: dict[str, Outcome] = {}
        for version in versions:
            outcome = outcome_of(version.facts)
            if outcome and outcome.admitted and not rescoring.breached(outcome.content):
                self.outcomes[version.content] = outcome

    def answerer(self, content: bytes) -> CompiledAnswerer | None:
        """The model of these bytes by its compiled form; None where it has none that opens here."""
        digest = digest_bytes(content)
        outcome = self.outcomes.get(digest)
        if outcome is None:
            return None
        try:
            compiled = self._opened(outcome)
        except (NenrinError, OSError) as error:
            _logger.warning("the original of %s serves: %s", digest[:12], error)
            return None
        return CompiledAnswerer(compiled, digest, outcome, content, self)

    def original(self, content: str) -> Artefact:
        """The model itself."""
        return Artefact.loads(self._store.get(content), trusted=True)

    @property
    def rescoring(self) -> Rescoring:
        """What compares answers."""
        return self._rescoring

    def _opened(self, outcome: Outcome) -> Form:
        data = self._store.get(outcome.content)
        return Graph(data) if outcome.runtime == "onnx" else Compiled(data, self._library(outcome))

    def _library(self, outcome: Outcome) -> ctypes.CDLL:
        here = outcome.library.get(kernel.machine())
        data = self._store.get(here) if here else kernel.built()
        if data is None:
            raise UnavailableError(
                f"its form was compiled for another machine than {kernel.machine()}",
                hint="install a C compiler (cc), or let the original serve",
            )
        return kernel.opened(data)


class CompiledAnswerer:
    """A compiled model that its original stands behind.

    The original is read when it is first needed: for a request that is compared, or that it alone may refuse.
    """

    def __init__(
        self, compiled: Form, content: str, outcome: Outcome, data: bytes, forms: CompiledForms
    ) -> None:
        self.content = content
        self.form = outcome.content
        self.tolerance = outcome.parity.tolerance if outcome.parity else TOLERANCE
        self._compiled: Form | None = compiled
        self._columns = describe(data).columns
        self._blocks = BlockEncoder(self._columns)
        self._forms = forms
        self._every = forms.rescoring.every
        self._asked = count(1)
        self._opening = threading.Lock()
        self._original: Artefact | None = None

    @cached_property
    def vocabularies(self) -> Vocabularies:
        """The texts that its training saw, by column."""
        return vocabularies(self._columns)

    def answer(self, frame: pl.DataFrame) -> np.ndarray:
        """float64[n], by the original: frames are no matter of the hot path."""
        with self._opening:
            return self._open().predict(frame)

    def answer_rows(self, rows: Rows) -> np.ndarray:
        """float64[n], by the compiled form; by the original where that may refuse, or is given back to.

        Raises:
            AsideError: the original is to answer, and an event loop asks.
        """
        compiled = self._compiled
        answers = None if compiled is None else compiled.predict(self._blocks.encode(rows))
        if answers is None:
            if on_a_loop():
                raise AsideError(self.prepare)
            return self.answer_original(rows)
        if self._every and next(self._asked) % self._every == 0:
            self._forms.rescoring.later(self, rows, answers)
        return answers

    def answer_original(self, rows: Rows) -> np.ndarray:
        """What the original answers."""
        with self._opening:
            return self._open().predict_rows(rows)

    def prepare(self) -> None:
        """Open the original."""
        with self._opening:
            self._open()

    def give_up(self) -> None:
        """Have the original serve from now on."""
        self._compiled = None

    def _open(self) -> Artefact:
        if self._original is None:
            self._original = self._forms.original(self.content)
        return self._original
