"""Logged features beside the same features computed from data, as a training would compute them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import polars as pl

from nenrin.features.entities import Lookup
from nenrin.features.kinds import physical_types
from nenrin.features.service import FeatureSet

Kind = Literal["mismatch", "missing", "stale"]


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """What a model saw of one request, as a log has it.

    Attributes:
        row: the raw columns that the request brought.
        asked: microseconds.
        features: what the model saw.
        ages: by feature view, how old what it read was, seconds; None: it found nothing.
    """

    row: Mapping[str, Any]
    asked: int
    features: Mapping[str, Any]
    ages: Mapping[str, float | None]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A feature that was not what the data says.

    Attributes:
        feature: its name.
        kind: ``stale``: what was read was older than what had been known by then; ``missing``: nothing was
            found, or null, where there is a value; ``mismatch``: the value is another.
        online, offline: what the model saw; what it should have seen.
        behind: of a stale one, by how many seconds.
    """

    feature: str
    kind: Kind
    online: Any
    offline: Any
    behind: float | None = None

    @property
    def by(self) -> float | None:
        """How far the values are apart; None where they are no numbers."""
        numbers = [_number(self.online), _number(self.offline)]
        return None if None in numbers else abs(numbers[0] - numbers[1])  # type: ignore[operator]


def offline(state: FeatureSet, reads: Sequence[Read], lookup: Lookup) -> list[dict[str, Any]]:
    """The features of n requests by columns, as training has them, at the instants they were asked."""
    asked = [read.asked for read in reads]
    values, _ = state.completed([read.row for read in reads], asked, lookup)
    columns = [
        pl.Series(each.name, [row[each.name] for row in values], dtype=physical_types()[each.kind])
        for each in state.columns_read
    ]
    rows = pl.DataFrame([pl.Series("__row__", np.zeros(len(values), dtype=np.int8)), *columns])
    return state.columns(rows, np.array(asked, dtype=np.int64)).to_dicts()


def differing(read: Read, truth: Mapping[str, Any], passed_over: Collection[str] = ()) -> list[str]:
    """The features that are not the same to the bit; a log has null for NaN, an older one for infinities."""
    return [
        name
        for name, value in truth.items()
        if name not in passed_over and not _same(read.features.get(name), value)
    ]


def differences(
    state: FeatureSet,
    read: Read,
    truth: Mapping[str, Any],
    lookup: Lookup,
    passed_over: Collection[str] = (),
) -> list[Difference]:
    """What differs in one row, and how.

    Args:
        state: what ``truth`` was computed by.
        read: the row.
        truth: its features, as :func:`offline` has them.
        lookup: as there.
        passed_over: features that are not compared.
    """
    names = differing(read, truth, passed_over)
    if not names:
        return []
    ages = state.seen([read.row], [read.asked], lookup).ages[0]
    owner = {name: view for view, part in state.parts.items() for name in part.names}
    return [_difference(name, owner[name], read, truth[name], ages) for name in names]


def _difference(
    name: str, view: str, read: Read, value: Any, ages: Mapping[str, float | None]
) -> Difference:
    online, known, seen = read.features.get(name), ages.get(view), read.ages.get(view)
    kind: Kind = "mismatch"
    behind = None
    if known is not None and seen is not None and known < seen:
        kind, behind = "stale", seen - known
    elif _known(online) is None or (known is not None and view in read.ages and seen is None):
        kind = "missing"
    return Difference(feature=name, kind=kind, online=online, offline=value, behind=behind)


def _same(logged: Any, value: Any) -> bool:
    if logged is None:
        return _finite(value) is None
    return bool(logged == value) or _known(logged) is _known(value) is None


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and _finite(value) is not None else None
