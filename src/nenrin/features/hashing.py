"""64 bits of a key, the same in every process and on every machine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from blake3 import blake3
from numpy.typing import NDArray

from nenrin.features.kinds import Kind, physical

Words = NDArray[np.uint64]


def mixed(words: Words) -> Words:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014) of words set apart by the golden ratio."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: Words = words ^ (words >> np.uint64(31))
    return found


def key_words(frame: pl.DataFrame, columns: Mapping[str, Kind]) -> Words:
    """64 bits of every row's key, uint64[n]: equal for keys that are equal as physical values.

    Raises:
        DataError: an integer does not fit in 64 bits.
    """
    found = np.zeros(frame.height, dtype=np.uint64)
    for column in physical(frame, columns):
        found = mixed(found ^ _words(column))
    return found


def _words(column: pl.Series) -> Words:
    if column.dtype == pl.String:
        texts = column.drop_nulls().unique()
        names = pl.Series([_text_word(text) for text in texts], dtype=pl.UInt64)
        found = column.replace_strict(texts, names, default=None, return_dtype=pl.UInt64)
        return found.fill_null(0).to_numpy()
    if column.dtype == pl.Float64:
        # one zero and one NaN, as everything else here compares them
        floats = column.fill_null(0.0).to_numpy() + 0.0
        return np.where(np.isnan(floats), np.nan, floats).view(np.uint64)
    return column.cast(pl.Int64).fill_null(0).to_numpy().view(np.uint64)


def _text_word(text: str) -> int:
    return int.from_bytes(blake3(text.encode()).digest(8), "little")
