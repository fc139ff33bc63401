"""Checks of stored rows that need nothing but their declaration.

A load refuses most of what they look for; they are run again on what was known by an instant, where
a prefix may lack what the whole has.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from nenrin.data.spec import DatasetSpec
from nenrin.data.times import EVENT, KNOWN


def check(frame: pl.DataFrame, spec: DatasetSpec) -> list[dict[str, Any]]:
    """Check the rows of a dataset.

    Returns:
        one dict a check: ``name``, ``outcome`` ("pass", "warn", "fail"), ``numbers`` and, unless it
        passed, ``says``: what is wrong.
    """
    found = [
        _result("rows", "fail", {"rows": frame.height}, frame.is_empty(), "no row is known yet"),
        _blank(frame),
    ]
    if spec.key:
        found.append(_keys(frame, spec))
    if spec.time:
        nulls = frame[EVENT].null_count()
        says = f"{nulls} rows have no {spec.time}: they are never predicted and never looked up"
        found.append(_result("event time", "warn", {"nulls": nulls}, nulls > 0, says))
    return found


def _keys(frame: pl.DataFrame, spec: DatasetSpec) -> dict[str, Any]:
    nulls = sum(frame[key].null_count() for key in spec.key)
    doubled = frame.height - frame.select(*spec.key, KNOWN).n_unique()
    says = f"{nulls} null keys, {doubled} rows share key and known instant"
    return _result("keys", "fail", {"nulls": nulls, "doubled": doubled}, nulls + doubled > 0, says)


def _blank(frame: pl.DataFrame) -> dict[str, Any]:
    blank = [name for name in frame.columns if frame[name].null_count() == frame.height]
    wrong = bool(blank) and not frame.is_empty()
    says = f"no value at all in {', '.join(blank)}"
    return _result("values", "warn", {"columns": len(blank)}, wrong, says)


def _result(
    name: str, severity: str, numbers: dict[str, int], wrong: bool, says: str
) -> dict[str, Any]:
    if not wrong:
        return {"name": name, "outcome": "pass", "numbers": numbers}
    return {"name": name, "outcome": severity, "numbers": numbers, "says": says}
