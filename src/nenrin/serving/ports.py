"""What serving asks of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np

from nenrin.core.unit import Unit
from nenrin.features.entities import Lookup
from nenrin.features.service import Seen
from nenrin.serving.deployments import Deployment
from nenrin.serving.router import Variant


class Deployments(Protocol):
    """Keeps one record a name and environment. Adapter: ``nenrin.backends.sql.serving``."""

    def put(self, unit: Unit, deployment: Deployment) -> None:
        """Write the record, in place of the one of that name in the unit's environment."""
        ...

    def get(self, unit: Unit, name: str) -> Deployment | None:
        """The deployment of that name in the unit's environment."""
        ...

    def all(self, unit: Unit) -> list[Deployment]:
        """Every deployment of the unit's environment, by name."""
        ...


class Answerer(Protocol):
    """A loaded version (``nenrin.registry.kinds.RowAnswerer``); asked by one thread at a time.

    It may say whether it ``waits`` for another server, and which texts its training saw (``vocabularies``).
    """

    def answer_rows(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray | list[Any]:
        """Answer n rows of plain values: float64[n] (probabilities, numbers), or n plain values.

        A column that a row lacks, or a category that training had not seen, is a null.
        """
        ...


class Features(Protocol):
    """Raw request columns in, the model's columns out.

    Attributes:
        waits: whether an answer waits for another process: then no event loop asks for it.
        passes: the request's columns that are the features as they are, if there are no others; else
            None.
        unread: whether an index is to be read before rows that leave columns out are answered, which may
            take long.
    """

    @property
    def waits(self) -> bool:
        """See above."""
        ...

    @property
    def passes(self) -> tuple[str, ...] | None:
        """See above."""
        ...

    @property
    def unread(self) -> bool:
        """See above."""
        ...

    def read(self) -> None:
        """Read that index, in whichever thread asks; others ask for rows that leave nothing out meanwhile."""
        ...

    def seen(
        self, raw: Sequence[dict[str, Any]], asked: Sequence[int], lookup: Lookup | None = None
    ) -> Seen:
        """The features of n rows, each as they were known when it is asked (microseconds UTC).

        Args:
            raw: the request's columns, plain values; times are aware ``datetime`` in UTC.
            asked: the instants of the questions.
            lookup: how rows that lack columns are filled in.

        Raises:
            RequestError: a row cannot be answered.
            UnavailableError: what holds the values does not answer.
        """
        ...


class Loader(Protocol):
    """Opens what routes name. Called from a thread, never on the hot path."""

    def open(self, variant: Variant) -> Answerer:
        """The variant's version, ready to answer: a mixture by its shares, recalibrated where that is said.

        Raises:
            NenrinError: it is not there, or does not open.
        """
        ...

    def size(self, variant: Variant) -> int:
        """Bytes of the files that are opened for the variant; of its index as they are, and read.

        Raises:
            NenrinError: one is not there, or cannot be looked at.
        """
        ...

    def features(self, digest: str) -> Features:
        """The feature state kept under ``digest``."""
        ...


class LiveRoute(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment as the live plane sees it.

    Attributes:
        deployment: its state.
        stands_at: where the environment's calendar stands, in microseconds, when its data has ended
            (*paused in time*); None when it goes with the machine's.
        forms: of each version, which form of its models answers: ``compiled``, ``original``, or both words.
    """

    deployment: Deployment
    stands_at: int | None = None
    forms: dict[str, str] = {}


class RouteReader(Protocol):
    """Reads the routes of a plane's environment; asked twice a second, from a thread."""

    def routes(self) -> Sequence[LiveRoute]:
        """Every deployment that is served now. Equal results mean that nothing changed."""
        ...
