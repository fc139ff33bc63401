"""``rows``: what a model function is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from nenrin.core.errors import RequestError
from nenrin.training.columns import FeatureColumn, take
from nenrin.training.containers import BUILD, labelled
from nenrin.training.meter import Meter

if TYPE_CHECKING:
    import pandas as pd


def _unheard(container: str) -> None:
    """Nobody wants to know."""


class Access:
    """What a model function took of its rows.

    Attributes:
        container: the container it asked for last; ``None`` before it asked for one.
        weight_read: whether it looked at ``rows.weight``.
    """

    __slots__ = ("container", "on_container", "weight_read")

    def __init__(self, on_container: Callable[[str], None] = _unheard) -> None:
        self.container: str | None = None
        self.weight_read = False
        self.on_container = on_container


class Rows:
    """Training rows: features in the container of your choice, labels and weights.

    A container is gathered when it is asked for and then is the caller's; nothing is kept twice.

    Attributes:
        y: labels, shape (n,): int64 0 and 1 of a binary model, else float64.
    """

    def __init__(
        self,
        columns: tuple[FeatureColumn, ...],
        index: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray,
        *,
        access: Access | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.y = y
        self._columns = columns
        self._index = index
        self._weight = weight
        self._access = access or Access()
        self._meter = meter or Meter()

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        return f"<{len(self)} rows of {', '.join(column.name for column in self._columns)}>"

    @property
    def X(self) -> pl.DataFrame:  # noqa: N802 - the field's name for it
        """The features as a polars frame; texts are an Enum over those that occur in training."""
        frame: pl.DataFrame = self._container("polars")
        return frame

    def pandas(self) -> pd.DataFrame:
        """The features as a pandas frame; texts are unordered categories, Booleans float32.

        A name with a character that LightGBM refuses is written as in a URL, ``size %5Bcm%5D``.
        """
        frame: pd.DataFrame = self._container("pandas")
        return frame

    def numpy(self) -> np.ndarray:
        """The features as float64 of shape (n, features), missing as NaN.

        A text is its place among the sorted texts that occur in training.
        """
        matrix: np.ndarray = self._container("numpy")
        return matrix

    @property
    def weight(self) -> np.ndarray:
        """What each row counts, float64 of shape (n,) with mean 1; all ones in an unweighted recipe."""
        self._access.weight_read = True
        return self._weight

    def batches(self, size: int) -> Iterator[Rows]:
        """The rows in order, ``size`` at a time, the last batch with what is left.

        Raises:
            RequestError: ``size`` is less than 1.
        """
        if size < 1:
            raise RequestError(f"a batch of {size} rows", hint="ask for at least one row a batch")
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield Rows(
                self._columns,
                self._index[part],
                self.y[part],
                self._weight[part],
                access=self._access,
                meter=self._meter,
            )

    def _container(self, name: str) -> Any:
        self._access.container = name
        self._access.on_container(name)
        with self._meter.platform():
            columns = take(self._columns, self._index)
            return BUILD[name](labelled(columns) if name == "pandas" else columns)
