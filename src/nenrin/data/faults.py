"""Faults that a backtest plays into data, to show what notices them: each makes another frame of a dataset's.

- ``sensor_stuck:COLUMN:DATE``: for seven days from the local date on a column repeats its last value;
- ``null_burst:COLUMN:DATE``: as long it is null;
- ``schema_change:COLUMN:DATE``: as long the loads of its dataset are refused, as nenrin refuses another
  schema, and what was missed comes then;
- ``late_labels:3d:DATE``: labels come so much later from then on;
- ``empty_day:DATE``: nothing comes on that day but the rows that are predicted;
- ``duplicate_load:DATE``: what came on that day comes again a day later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType

import msgspec
import polars as pl

from nenrin.core.errors import ProjectError, RequestError
from nenrin.core.instants import DAY, duration, local_midnight
from nenrin.data.times import KNOWN

LASTS = 7 * DAY
GRAMMAR = "as in null_burst:temp:2013-07-29, late_labels:3d:2013-07-29 or empty_day:2013-07-29"


class DataFault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault of the data.

    Attributes:
        kind: which.
        what: the column or the duration that it names; empty where it names none.
        day: the local date of its beginning.
    """

    kind: str
    what: str
    day: str

    @property
    def text(self) -> str:
        """As the command line writes it."""
        return ":".join(part for part in (self.kind, self.what, self.day) if part)

    def apply(self, frame: pl.DataFrame, zone: str, *, rows: bool, label: bool) -> pl.DataFrame:
        """The frame with the fault in it.

        Args:
            frame: every stored row of a dataset, with ``__event__`` and ``__known__``.
            zone: in which the date is meant.
            rows: these are the rows that are predicted.
            label: the label comes from here.
        """
        begins = local_midnight(date.fromisoformat(self.day), zone)
        made = _KINDS[self.kind](_Struck(frame, self.what, begins, rows, label))
        return made if made is frame else made.sort(KNOWN, maintain_order=True)

    @classmethod
    def parse(cls, text: str) -> DataFault:
        """Read ``kind:DATE`` or ``kind:COLUMN:DATE``.

        Raises:
            RequestError: a part is missing or wrong.
        """
        kind, *what, day = text.split(":")
        wanted = 0 if kind in ("duplicate_load", "empty_day") else 1
        if kind not in _KINDS or len(what) != wanted:
            raise RequestError(f"{text!r} is no fault of the data", hint=GRAMMAR, where=text)
        try:
            date.fromisoformat(day)
            if kind == "late_labels":
                duration(what[0])
        except (ValueError, ProjectError):
            said = f"{text!r} has no date, or no duration"
            raise RequestError(said, hint=GRAMMAR, where=text) from None
        return cls(kind=kind, what="".join(what), day=day)


def is_data_fault(text: str) -> bool:
    """Whether a text names a fault of the data."""
    return text.split(":", maxsplit=1)[0] in _KINDS


class _Struck(msgspec.Struct, frozen=True):
    """A dataset's frame that a fault strikes: what it names, its beginning, and what the frame is for."""

    frame: pl.DataFrame
    what: str
    begins: int
    rows: bool
    label: bool

    def during(self, lasts: int = LASTS) -> pl.Expr:
        """Whether a row becomes known while the fault lasts."""
        return pl.col(KNOWN).is_between(self.begins, self.begins + lasts, closed="left")

    def with_column(self, value: pl.Expr) -> pl.DataFrame:
        """The frame with another value in the named column while the fault lasts."""
        made = pl.when(self.during()).then(value).otherwise(pl.col(self.what))
        return self.frame.with_columns(made.alias(self.what))


def _stuck(struck: _Struck) -> pl.DataFrame:
    frame, column = struck.frame, struck.what
    if column not in frame.columns:
        return frame
    before = frame.filter((pl.col(KNOWN) < struck.begins) & pl.col(column).is_not_null())
    last = before.sort(KNOWN, maintain_order=True)[column].tail(1)
    return struck.with_column(pl.lit(last[0], frame.schema[column])) if len(last) else frame


def _nulls(struck: _Struck) -> pl.DataFrame:
    return struck.with_column(pl.lit(None)) if struck.what in struck.frame.columns else struck.frame


def _refused(struck: _Struck) -> pl.DataFrame:
    if struck.what not in struck.frame.columns:
        return struck.frame
    later = pl.when(struck.during()).then(struck.begins + LASTS).otherwise(pl.col(KNOWN))
    return struck.frame.with_columns(later.alias(KNOWN))


def _late(struck: _Struck) -> pl.DataFrame:
    if not struck.label:
        return struck.frame
    known = pl.col(KNOWN)
    later = pl.when(known >= struck.begins).then(known + duration(struck.what)).otherwise(known)
    return struck.frame.with_columns(later.alias(KNOWN))


def _empty(struck: _Struck) -> pl.DataFrame:
    return struck.frame if struck.rows else struck.frame.filter(~struck.during(DAY))


def _twice(struck: _Struck) -> pl.DataFrame:
    again = struck.frame.filter(struck.during(DAY)).with_columns(pl.col(KNOWN) + DAY)
    return pl.concat([struck.frame, again])


_KINDS: Mapping[str, Callable[[_Struck], pl.DataFrame]] = MappingProxyType(
    {
        "sensor_stuck": _stuck,
        "null_burst": _nulls,
        "schema_change": _refused,
        "late_labels": _late,
        "empty_day": _empty,
        "duplicate_load": _twice,
    }
)
