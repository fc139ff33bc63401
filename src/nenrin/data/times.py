"""The instants of rows, in UTC microseconds: when a row happened, and when it could be known.

Of a doubled local hour the first counts; a local time that the clock skipped is an error that
names the row.
"""

from __future__ import annotations

import difflib

import polars as pl

from nenrin.core.errors import DataError
from nenrin.data.delimited import SEPARATORS, ending
from nenrin.data.spec import DatasetSpec

EVENT = "__event__"
KNOWN = "__known__"

# month before day comes last: where the days of the file tell, polars has read day before month
_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M%#z",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
)


def with_instants(frame: pl.DataFrame, spec: DatasetSpec, at: int) -> pl.DataFrame:
    """``frame`` with its times in UTC and two more columns.

    ``__event__`` (Int64 microseconds, never null) is the time column; without ``time=`` it is
    ``at``, the instant of the load. ``__known__`` (Int64, never null) is what the declaration says
    of a first load: the ``known=`` column where it has a value, else event plus delay, else the
    event.

    Raises:
        DataError: a declared column is missing or no time, a row has no ``time=``, a local time does
            not exist.
    """
    for word, column in [("key", key) for key in spec.key] + [
        ("time", spec.time),
        ("known", spec.known_column),
    ]:
        if column is not None and column not in frame.columns:
            raise missing_column(column, frame.columns, spec, f"{word}=")
    if spec.time is not None:
        _check_times(frame, spec.time, spec)
    declared = [column for column in (spec.time, spec.known_column) if column is not None]
    frame = frame.with_columns(_parsed(frame, column, spec) for column in declared)
    frame = frame.with_columns(
        _utc(frame, name, spec)
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.Datetime)
    )
    event = _instants(frame, spec.time, spec) if spec.time else pl.lit(at, pl.Int64)
    frame = frame.with_columns(event.alias(EVENT))
    if spec.known_column:
        known = _instants(frame, spec.known_column, spec)
        known = pl.coalesce(known, pl.col(EVENT))
    else:
        known = pl.col(EVENT) + (spec.delay or 0)
    return frame.with_columns(known.alias(KNOWN))


def _check_times(frame: pl.DataFrame, column: str, spec: DatasetSpec) -> None:
    """Refuse rows without an event: taken for the load's, it would stretch the calendar to today."""
    missing = frame[column].is_null()
    if not missing.any():
        return
    count = int(missing.sum())
    place = _place(frame, missing.arg_true()[0], spec)
    raise DataError(
        f"{count:,} of {frame.height:,} rows of dataset {spec.name} "
        f"{'has' if count == 1 else 'have'} no {column}, which time= names, first {place}",
        hint="fill the times, or leave rows without one out: a row is asked and known by its time",
        where=spec.where,
    )


def missing_column(column: str, columns: list[str], spec: DatasetSpec, role: str) -> DataError:
    """The error for a declared column that a table does not have; names those that are near."""
    if role == "known=":
        role = "known= (a column, or a delay such as 30m)"
    near = difflib.get_close_matches(column, columns, n=3, cutoff=0.5)
    hint = (
        f"did you mean {' or '.join(near)}?" if near else f"its columns are: {', '.join(columns)}"
    )
    return DataError(
        f"dataset {spec.name} has no column {column}, which {role} names",
        hint=hint,
        where=spec.where,
    )


def time_columns(frame: pl.DataFrame) -> list[str]:
    """The columns that ``time=`` could name: dates, datetimes, and texts that all read as such."""
    return [series.name for series in frame.iter_columns() if _is_time(series)]


def _is_time(series: pl.Series) -> bool:
    if isinstance(series.dtype, pl.Datetime | pl.Date):
        return series.null_count() < len(series)
    if series.dtype != pl.String:
        return False
    texts = series.drop_nulls()
    # most texts are none in their first few, and need not be read to their end
    return len(texts) > 0 and all(
        any(not _read(part, form).has_nulls() for form in _FORMATS)
        for part in (texts.head(20), texts)
    )


def _parsed(frame: pl.DataFrame, column: str, spec: DatasetSpec) -> pl.Series:
    """A declared time column as dates or datetimes; ISO 8601 texts are read."""
    series = frame[column]
    if isinstance(series.dtype, pl.Datetime | pl.Date):
        return series
    if series.dtype != pl.String:
        raise DataError(
            f"column {column} of dataset {spec.name} is {series.dtype}, not a time",
            hint="give it datetimes; pl.from_epoch(column, time_unit='s') reads epoch numbers",
            where=spec.where,
        )
    readings = [_read(series, form) for form in _FORMATS]
    best = min(readings, key=pl.Series.null_count)
    if best.null_count() == series.null_count():
        return best
    row = (best.is_null() & series.is_not_null()).arg_true()[0]
    raise DataError(
        f"column {column} of dataset {spec.name} is no time in {_place(frame, row, spec)}: "
        f"{series[row]!r}",
        hint="write ISO 8601 (2013-07-01T17:00 or 2013-07-01T17:00:00Z) or give datetimes",
        where=spec.where,
    )


def _read(texts: pl.Series, form: str) -> pl.Series:
    kind = pl.Datetime("us", "UTC") if form.endswith("%#z") else pl.Datetime("us")
    return texts.str.strip_chars().str.replace("T", " ").str.strptime(kind, form, strict=False)


def _utc(frame: pl.DataFrame, column: str, spec: DatasetSpec) -> pl.Series:
    """A datetime column, local in the dataset's zone where it is naive, as UTC microseconds."""
    series = frame[column].dt.cast_time_unit("us")
    if getattr(frame.schema[column], "time_zone", None) is not None:
        return series.dt.convert_time_zone("UTC")
    aware = series.dt.replace_time_zone(spec.tz or "UTC", ambiguous="earliest", non_existent="null")
    skipped = (aware.is_null() & series.is_not_null()).arg_true()
    if len(skipped):
        row = skipped[0]
        raise DataError(
            f"column {column} of dataset {spec.name} is {series[row]}, an hour that {spec.tz} "
            f"skipped, in {_place(frame, row, spec)}",
            hint="mend the row, or give times with their zone (UTC)",
            where=spec.where,
        )
    return aware.dt.convert_time_zone("UTC")


def _instants(frame: pl.DataFrame, column: str, spec: DatasetSpec) -> pl.Expr:
    """Int64 microseconds of a datetime column; a date is its first instant in the zone."""
    expr = pl.col(column)
    if frame.schema[column] == pl.Date:
        midnight = expr.cast(pl.Datetime("us"))
        zone = spec.tz or "UTC"
        # where clocks go forward at midnight the day begins an hour later
        expr = pl.coalesce(
            part.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
            for part in (midnight, midnight.dt.offset_by("1h"))
        ).dt.convert_time_zone("UTC")
    return expr.to_physical().cast(pl.Int64)


def row_name(frame: pl.DataFrame, row: int, spec: DatasetSpec) -> str:
    """How an error calls a row: by its key, else by its place, counted from 1."""
    if not spec.key:
        return f"row {row + 1}"
    return "the row with " + ", ".join(f"{key}={frame[key][row]!r}" for key in spec.key)


def _place(frame: pl.DataFrame, row: int, spec: DatasetSpec) -> str:
    """The row's name, and its line where the rows are those of a text file, in its order."""
    name = row_name(frame, row, spec)
    if spec.path is None or ending(spec.path) not in SEPARATORS:
        return name
    texts = [column for column, kind in frame.schema.items() if kind == pl.String]
    above = frame.select(texts).head(row)
    # a text in quotes may go over several lines, in a value and in the name of a column
    breaks = sum(above.select(pl.all().str.count_matches("\n").sum()).fill_null(0).row(0))
    line = 2 + row + breaks + sum(column.count("\n") for column in frame.columns)
    return f"{name}, line {line} of the file"
