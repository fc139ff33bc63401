"""The data tests that a look asks for: what became known, day by day, against the days before it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from msgspec.structs import replace

from nenrin.core.instants import DAY
from nenrin.monitoring.alarms import Finding
from nenrin.monitoring.data_tests import REFERENCE_DAYS, check_day, check_freshness, no_rows
from nenrin.monitoring.day_profile import DayProfile, profile_days


class DataTests:
    """Tests of a deployment's datasets over stretches of known time.

    Args:
        frames: the datasets' stored rows, with ``__known__``.
    """

    def __init__(self, frames: Mapping[str, pl.DataFrame]) -> None:
        self._profiles = {name: _profiles(frame) for name, frame in frames.items()}
        self._known = {
            name: frame.get_column("__known__").to_numpy() for name, frame in frames.items()
        }

    def findings(self, start: int, end: int) -> list[Finding]:
        """What is wrong in the days that ended between two instants, each dataset's oldest first."""
        found: list[Finding] = []
        for name, profiles in self._profiles.items():
            before = {day: profile for day, profile in profiles.items() if (day + 1) * DAY <= end}
            for day in range(-(-start // DAY), end // DAY):
                reference = [before[d] for d in range(day - REFERENCE_DAYS, day) if d in before]
                if day in before:
                    found += check_day(name, reference, before[day])
                elif reference:
                    found += check_day(name, reference, no_rows(day, reference[-1].newest))
            found += check_freshness(name, self._recent(name, before, end), end)
        return found

    def _recent(self, name: str, before: Mapping[int, DayProfile], end: int) -> list[DayProfile]:
        """The days before ``end``, the last of them with the newest row of the day that is not over."""
        days = [before[day] for day in sorted(before)[-REFERENCE_DAYS:]]
        if not days:
            return []
        newest = int(np.searchsorted(self._known[name], end, side="right")) - 1
        return [*days[:-1], replace(days[-1], newest=int(self._known[name][newest]))]


def _profiles(frame: pl.DataFrame) -> dict[int, DayProfile]:
    known = frame.get_column("__known__").to_numpy()
    columns = frame.drop("__event__", "__known__")
    return {profile.day: profile for profile in profile_days(columns, known // DAY, known)}
