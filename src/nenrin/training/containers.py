"""The containers that model functions ask for, built from encoded columns.

Training and prediction build the same container from the same columns, so a model meets at prediction
what it was fitted on: the same order, kinds and categories.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from nenrin.training.columns import FeatureColumn

if TYPE_CHECKING:
    import pandas as pd

Columns = Sequence[FeatureColumn]

_FEW = 4096  # rows of a frame whose numbers are copied together: more would cost memory, and gain nothing

# What LightGBM (JSON's signs, line ends) and XGBoost ([ ] <) refuse; a % where it would read as ours.
_REFUSED = re.compile(r'[\x00-\x1f\x7f",:<\[\]{}]|%(?=[0-9A-Fa-f]{2})')


def to_polars(columns: Columns) -> pl.DataFrame:
    """A polars frame: Float64, Int64, Boolean and Enum over the vocabulary; missing is null."""
    return Frames([column.name for column in columns]).polars(columns)


def to_pandas(columns: Columns) -> pd.DataFrame:
    """A pandas frame: float64, int64 (float64 with NaN where one is missing), Booleans as float32.

    Texts are *unordered* categories over the vocabulary. An ordered one (which a polars Enum becomes)
    makes LightGBM split it like a number, and a null Boolean would be an object column.
    """
    return Frames([column.name for column in columns]).pandas(columns)


class Frames:
    """Builds frames of the same columns, one after the other; names and vocabularies are made once.

    Args:
        names: of the columns in the frames, in order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._index: pd.Index[str] | None = None
        self._texts: dict[int, tuple[tuple[str, ...], Any]] = {}

    def pandas(self, columns: Columns) -> pd.DataFrame:
        """As :func:`to_pandas`; the numbers of a few rows lie in one block, where they are sooner found."""
        import pandas as pd

        if self._index is None:
            self._index = _pandas_texts(self._names)
        few = bool(columns) and len(columns[0].values) <= _FEW
        values = {place: self._pandas(place, column) for place, column in enumerate(columns)}
        frame = pd.DataFrame(values, copy=few)
        frame.columns = self._index.view()  # the frame is the caller's, who may name it
        return frame

    def polars(self, columns: Columns) -> pl.DataFrame:
        """As :func:`to_polars`."""
        return pl.DataFrame(
            [
                self._polars(place, column).alias(name)
                for place, (name, column) in enumerate(zip(self._names, columns, strict=True))
            ]
        )

    def _pandas(self, place: int, column: FeatureColumn) -> Any:
        if column.kind != "string":
            return _pandas_numbers(column)
        import pandas as pd

        categories = self._known(place, column.vocabulary, _pandas_texts).view()
        dtype = pd.CategoricalDtype(categories, ordered=False)
        return pd.Categorical.from_codes(column.values, dtype=dtype, validate=False)

    def _polars(self, place: int, column: FeatureColumn) -> pl.Series:
        if column.kind != "string":
            return _series(column)
        enum = self._known(place, column.vocabulary, pl.Enum)
        codes = pl.Series(column.values)
        known = codes.set(codes < 0, None)
        return known.cast(_physical(len(column.vocabulary))).cat.to(enum)

    def _known(
        self, place: int, vocabulary: tuple[str, ...], make: Callable[[Sequence[str]], Any]
    ) -> Any:
        """What was made of the vocabulary of the column before, if it is that one still."""
        known, made = self._texts.get(place, ((), None))
        if made is None or known is not vocabulary:
            made = make(vocabulary)
            self._texts[place] = (vocabulary, made)
        return made


def labels(names: Sequence[str]) -> list[str]:
    """The names of features as libraries take them, each once; plain names are themselves.

    A character that LightGBM or XGBoost refuses is written ``%5B``, as in a URL, so
    ``urllib.parse.unquote`` gives the name back. So is a space where LightGBM, which writes ``_`` for
    it, would take two features for one.
    """
    underlined = Counter(name.replace(" ", "_") for name in names)
    return [
        _quoted(name).replace(" ", "%20" if underlined[name.replace(" ", "_")] > 1 else " ")
        for name in names
    ]


def labelled(columns: Columns) -> list[FeatureColumn]:
    """The columns under their :func:`labels`, for the frame that a model is fitted on."""
    names = labels([column.name for column in columns])
    return [replace(column, name=name) for column, name in zip(columns, names, strict=True)]


def _quoted(name: str) -> str:
    return _REFUSED.sub(lambda found: f"%{ord(found[0]):02X}", name)


def to_numpy(columns: Columns) -> np.ndarray:
    """float64 of shape (rows, columns), missing as NaN; a text is its place in the vocabulary."""
    matrix = np.empty((len(columns[0].values) if columns else 0, len(columns)), dtype=np.float64)
    for place, column in enumerate(columns):
        matrix[:, place] = column.numbers()
    return matrix


def asking(container: str) -> AbstractContextManager[None]:
    """Around the call of a model with that container: texts that pandas makes meanwhile are its own, too.

    Else names that are sought in a frame become Arrow's, and all names of the frame with them, each time.
    Threads that ask at once may end this for each other, or leave it so: that may cost time, and changes no
    answer.
    """
    if container != "pandas":
        return nullcontext()
    import pandas as pd

    own: AbstractContextManager[None] = pd.option_context("mode.string_storage", "python")
    return own


BUILD: Mapping[str, Callable[[Columns], Any]] = MappingProxyType(
    {"polars": to_polars, "pandas": to_pandas, "numpy": to_numpy}
)


def _series(column: FeatureColumn) -> pl.Series:
    if column.kind == "number":
        return pl.Series(column.values, nan_to_null=True)
    values = pl.Series(column.values)
    if column.kind == "boolean":
        return values.set(values < 0, None).cast(pl.Boolean)
    return values if column.mask is None else values.set(pl.Series(column.mask), None)


def _physical(size: int) -> type[pl.DataType]:
    """The integers in which polars keeps an Enum of ``size`` texts."""
    if size < 256:
        return pl.UInt8
    return pl.UInt16 if size < 65_536 else pl.UInt32


def _pandas_texts(texts: Sequence[str]) -> pd.Index[str]:
    """Texts as pandas keeps them where pyarrow is not installed: in small numbers they are sooner read."""
    import pandas as pd

    return pd.Index(list(texts), dtype=pd.StringDtype("python", na_value=np.nan))


def _pandas_numbers(column: FeatureColumn) -> np.ndarray:
    if column.kind == "boolean":
        return column.numbers().astype(np.float32)
    whole = column.kind == "integer" and column.mask is None
    values = column.values if whole else column.numbers()
    # The frame is the caller's to change: what is part of a table, or of a file, is copied.
    return np.require(values, requirements=["OWNDATA", "WRITEABLE"])
