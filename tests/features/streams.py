"""Random streams of loads, for what must answer the same from an online store as from a feature state."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from nenrin.core.instants import HOUR, MINUTE
from nenrin.features.service import FeatureSet
from tests.features.makers import make_dataset, make_view

START = 1_400_000_000_000_000
SCHEMA = {
    "id": pl.Int64,
    "place": pl.String,
    "number": pl.Int64,
    "value": pl.Float64,
    "whole": pl.Int64,
    "good": pl.Boolean,
    "word": pl.String,
    "__event__": pl.Int64,
    "__known__": pl.Int64,
}
PLACES = ["a", "b", "", "é", None]
NUMBERS = [2**53, 2**53 + 1, -1, None]
VALUES = [0.1, -0.0, 1e15, 2.5, 2**-59, float("nan"), float("inf"), None]

asked_rows = make_dataset("asked", key="id")
events = make_dataset("events", key="id")
others = make_dataset("others", key="id")


def newest(r: Any) -> dict[str, Any]:
    return {"value": r.value, "good": r.good, "word": r.word, "more": r.whole + r.count("2h")}


def sums(r: Any) -> dict[str, Any]:
    return {
        "n": r.count("1h"),
        "whole": r.whole.sum("2h"),
        "total": r.value.sum("2h"),
        "mean": r.value.mean("1h"),
        "share": r.good.mean("2h"),
    }


def other(r: Any) -> dict[str, Any]:
    return {"first": r.value.fill_null(7), "age": r.whole}


def own(r: Any) -> dict[str, Any]:
    return {"is_a": r.place == "a"}


VIEWS = [
    make_view(events, newest, by=["number", "place"], ttl="2h"),
    make_view(events, sums, by="place", hop="10m"),
    make_view(others, other, by="place"),
    make_view(asked_rows, own),
]


def stream(seed: int, rows: int = 60) -> pl.DataFrame:
    """Versions of events in the order in which they became known: doubled, corrected, late and early ones."""
    draw = np.random.default_rng(seed)
    event = START + draw.integers(0, 72, rows) * 10 * MINUTE
    late = draw.choice([0, 0, 0, 20 * MINUTE, 5 * HOUR, -3 * HOUR], rows)
    frame = pl.DataFrame(
        {
            "id": draw.integers(0, rows // 2, rows),
            "place": draw.choice(np.array(PLACES, dtype=object), rows).tolist(),
            "number": draw.choice(np.array(NUMBERS, dtype=object), rows).tolist(),
            "value": draw.choice(np.array(VALUES, dtype=object), rows).tolist(),
            "whole": draw.integers(-(2**50), 2**50, rows),
            "good": draw.choice(np.array([True, False, None], dtype=object), rows).tolist(),
            "word": draw.choice(np.array(["x", "y", None], dtype=object), rows).tolist(),
            "__event__": event,
            "__known__": event + late,
        },
        schema=SCHEMA,
    )
    return frame.sort("__known__", maintain_order=True)


def state_of(known: pl.DataFrame) -> FeatureSet:
    """The feature state over what is known."""
    rows = known.select("id", "place", "number", "__event__", "__known__")
    frames = {"asked": rows, "events": known, "others": known.filter(pl.col("id") % 2 == 0)}
    return FeatureSet.build(VIEWS, asked_rows, frames)


def questions(seed: int, since: int) -> tuple[list[dict[str, Any]], list[int]]:
    """Raw rows, and the instants that they are asked at, none earlier than ``since``."""
    draw = np.random.default_rng([seed, 1])
    rows = [
        {"place": place, "number": number}
        for place in [*PLACES, "unknown"]
        for number in [*NUMBERS, 5]
    ]
    asked = since + draw.integers(0, 110, len(rows)) * 10 * MINUTE
    asked[::7] = since
    return rows, asked.tolist()
