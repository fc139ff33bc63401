"""The data tests that a look asks for: what became known, day by day, against the days before it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import polars as pl
from msgspec.structs import replace

from nenrin.monitoring.alarms import Finding
from nenrin.monitoring.data_tests import (
    REFERENCE_DAYS,
    check_day,
    check_freshness,
    no_rows,
    reference_of,
)
from nenrin.monitoring.day_profile import DayProfile, profile_days
from nenrin.training.blocks import Blocks

_EPOCH = date(1970, 1, 1).toordinal()


class DataTests:
    """Tests of a deployment's datasets over stretches of known time.

    Args:
        frames: the datasets' stored rows, with ``__known__``, in its order.
        zones: the IANA time zone of each dataset's days.
    """

    def __init__(self, frames: Mapping[str, pl.DataFrame], zones: Mapping[str, str]) -> None:
        self._tested = [_Tested(name, frame, zones[name]) for name, frame in frames.items()]

    def findings(self, start: int, end: int) -> list[Finding]:
        """What is wrong in the days that ended after ``start`` and by ``end``.

        Of each dataset and cause it is the newest page, else the newest ticket. Looks whose stretches
        meet test each day once, whatever the hour at which they are taken.
        """
        return [finding for tested in self._tested for finding in tested.findings(start, end)]


class _Tested:
    """One dataset: days are numbered as :meth:`date.toordinal` does, and tested in order, each once."""

    def __init__(self, name: str, frame: pl.DataFrame, zone: str) -> None:
        self._name = name
        self._zone = zone
        self._known = frame.get_column("__known__").to_numpy()
        columns = frame.drop("__event__", "__known__")
        profiles = profile_days(columns, _days(self._known, zone), self._known)
        self._profiles = {profile.day: profile for profile in profiles}
        self._next = profiles[0].day if profiles else 0
        self._found: dict[int, list[Finding]] = {}
        self._broken: set[int] = set()

    def findings(self, start: int, end: int) -> list[Finding]:
        blocks = Blocks(self._zone, start, end)
        over = [day.toordinal() for day in blocks.days[: blocks.closed_days(end, 0)]]
        if not self._profiles or not over:
            return []
        self._test(over[-1])
        found = [finding for day in over for finding in self._found.get(day, [])]
        # the newest page of a cause comes last, and so it stays
        newest = {finding.kind: finding for finding in sorted(found, key=_is_page)}
        return [
            *newest.values(),
            *check_freshness(self._name, self._recent(over[-1], end), end),
        ]

    def _test(self, last: int) -> None:
        """Test the days up to ``last``, from the first on: a day that is found broken is no reference."""
        for day in range(self._next, last + 1):
            window = range(day - REFERENCE_DAYS, day)
            before = [self._profiles[each] for each in window if each in self._profiles]
            if day not in self._profiles and not before:
                continue
            today = self._profiles.get(day) or no_rows(day, before[-1].newest)
            found = check_day(self._name, reference_of(before, self._broken), today)
            if found:
                self._found[day] = found
            if any(map(_is_page, found)):
                self._broken.add(day)
        self._next = max(self._next, last + 1)

    def _recent(self, last: int, end: int) -> list[DayProfile]:
        """The days up to ``last``, the last of them with the newest row of the day that is not over."""
        days = [self._profiles[day] for day in sorted(self._profiles) if day <= last]
        if not days:
            return []
        newest = int(np.searchsorted(self._known, end, side="right")) - 1
        recent = days[-REFERENCE_DAYS:]
        return [*recent[:-1], replace(recent[-1], newest=int(self._known[newest]))]


def _is_page(finding: Finding) -> bool:
    return finding.severity == "page"


def _days(known: np.ndarray, zone: str) -> np.ndarray:
    """The local day of each instant; where a clock is set back over midnight, the new day goes on."""
    instants = pl.Series(known, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    dates = instants.dt.convert_time_zone(zone).dt.date().to_physical().to_numpy()
    return np.maximum.accumulate(dates.astype(np.int64) + _EPOCH)
