from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import DataError
from nenrin.core.instants import HOUR, MINUTE, local_instant, local_midnight, to_us
from nenrin.data.spec import DatasetSpec
from nenrin.data.times import EVENT, KNOWN, with_instants

NEW_YORK = "America/New_York"
AT = to_us(datetime(2020, 1, 1))


def spec(**declared) -> DatasetSpec:
    return DatasetSpec(name="flights", where="project.py:5", **declared)


def event(values, **declared) -> list[int | None]:
    frame = with_instants(pl.DataFrame({"t": values}), spec(time="t", **declared), AT)
    return frame[EVENT].to_list()


def test_naive_times_are_utc_without_a_zone():
    moment = datetime(2013, 7, 1, 12)
    assert event([moment]) == [to_us(moment)]


def test_naive_times_are_local_in_the_zone_of_the_dataset():
    moment = datetime(2013, 7, 1, 12)
    assert event([moment], tz=NEW_YORK) == [to_us(moment) + 4 * HOUR]


def test_of_a_doubled_hour_the_first_counts():
    doubled = datetime(2013, 11, 3, 1, 30)
    assert event([doubled], tz=NEW_YORK) == [to_us(datetime(2013, 11, 3, 5, 30))]


def test_a_skipped_hour_names_the_row():
    frame = pl.DataFrame(
        {"id": ["x", "y"], "t": [datetime(2013, 3, 10, 1), datetime(2013, 3, 10, 2, 30)]}
    )
    with pytest.raises(DataError, match=r"2013-03-10 02:30.*id='y'") as raised:
        with_instants(frame, spec(key=("id",), time="t", tz=NEW_YORK), AT)
    assert raised.value.hint
    with pytest.raises(DataError, match="row 2"):
        with_instants(frame, spec(time="t", tz=NEW_YORK), AT)


@given(
    st.datetimes(
        datetime(1970, 1, 1), datetime(2037, 12, 31), timezones=st.just(ZoneInfo(NEW_YORK))
    ),
    st.sampled_from(["ms", "us", "ns"]),
)
def test_aware_times_are_instants_in_any_zone_and_unit(moment, unit):
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000, fold=0)
    moment = moment.astimezone(UTC).astimezone(ZoneInfo("Asia/Tokyo"))
    series = pl.Series([moment.astimezone(UTC)]).dt.cast_time_unit(unit)
    assert event(series.dt.convert_time_zone("Asia/Tokyo")) == [to_us(moment)]


@given(st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)))
def test_local_times_agree_with_the_standard_library(moment):
    there_and_back = moment.replace(tzinfo=ZoneInfo(NEW_YORK)).astimezone(UTC)
    exists = there_and_back.astimezone(ZoneInfo(NEW_YORK)).replace(tzinfo=None) == moment
    if exists:
        expected = local_instant(moment.date(), moment.time(), NEW_YORK)
        assert event([moment], tz=NEW_YORK) == [expected]
    else:
        with pytest.raises(DataError):
            event([moment], tz=NEW_YORK)


def test_a_date_is_its_first_instant_and_stays_a_date():
    frame = with_instants(pl.DataFrame({"d": [date(2013, 7, 1)]}), spec(time="d", tz=NEW_YORK), AT)
    assert frame["d"].dtype == pl.Date
    assert frame[EVENT].to_list() == [local_midnight(date(2013, 7, 1), NEW_YORK)]


def test_where_clocks_go_forward_at_midnight_the_day_begins_at_one():
    day = date(2017, 10, 15)
    assert event([day], tz="America/Sao_Paulo") == [local_midnight(day, "America/Sao_Paulo")]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-07-01", datetime(2013, 7, 1)),
        ("2013-07-01T17:00", datetime(2013, 7, 1, 17)),
        ("2013-07-01 17:00:01.5", datetime(2013, 7, 1, 17, 0, 1, 500_000)),
        ("2013-07-01T17:00:00Z", datetime(2013, 7, 1, 17)),
        ("2013-07-01T17:00:00+02:00", datetime(2013, 7, 1, 15)),
        ("2013/07/01", datetime(2013, 7, 1)),
        ("7/31/2013 5:00", datetime(2013, 7, 31, 5)),
    ],
)
def test_texts_are_read(text, moment):
    assert event([text, text]) == [to_us(moment)] * 2


@pytest.mark.parametrize("values", [["2013-07-01", "soon"], [20130701], [True]])
def test_what_is_no_time_is_refused(values):
    with pytest.raises(DataError, match="column t of dataset flights"):
        event(values)


def test_a_missing_column_names_those_that_are_near():
    with pytest.raises(DataError, match="no column schedule_dep") as raised:
        with_instants(pl.DataFrame({"sched_dep": [1]}), spec(time="schedule_dep"), AT)
    assert "sched_dep" in raised.value.hint


def test_a_row_without_a_time_is_refused_and_counted():
    frame = pl.DataFrame({"id": [7, 8, 9], "t": [datetime(2013, 7, 1), None, None]})
    with pytest.raises(
        DataError, match=r"2 of 3 rows of dataset flights have no t,.*id=8$"
    ) as raised:
        with_instants(frame, spec(key=("id",), time="t"), AT)
    assert raised.value.where == "project.py:5"
    assert raised.value.hint


def test_the_line_of_a_text_file_is_named():
    frame = pl.DataFrame(
        {"note": ["two\nlines", "x", "y"], "t": ["2013-07-01", "2013-07-01", "soon"]}
    )
    with pytest.raises(DataError, match="no time in row 3, line 5 of the file: 'soon'"):
        with_instants(frame, spec(path="a/notes.csv.gz", time="t"), AT)
    gap = frame.with_columns(t=pl.Series(["2013-07-01", None, "2013-07-01"]))
    with pytest.raises(DataError, match=r"has no t,.* row 2, line 4 of the file"):
        with_instants(gap, spec(path="notes.tsv", time="t"), AT)
    with pytest.raises(DataError, match=r"row 2$"):
        with_instants(gap, spec(path="notes.parquet", time="t"), AT)


def test_a_delay_that_is_none_is_said_to_be_taken_for_a_column():
    frame = pl.DataFrame({"t": [datetime(2013, 7, 1)]})
    with pytest.raises(DataError, match=r"no column 1\.5h, which known= \(a column, or a delay"):
        with_instants(frame, spec(time="t", known="1.5h"), AT)


def test_every_datetime_column_becomes_utc_microseconds():
    frame = pl.DataFrame({"other": [datetime(2013, 7, 1)]}).with_columns(
        pl.col("other").dt.cast_time_unit("ns")
    )
    out = with_instants(frame, spec(tz=NEW_YORK), AT)
    assert out["other"].dtype == pl.Datetime("us", "UTC")
    assert out["other"].to_list() == [datetime(2013, 7, 1, 4, tzinfo=UTC)]


def test_known():
    moment, later = datetime(2013, 7, 1), datetime(2013, 7, 2)
    frame = pl.DataFrame({"t": [moment, later], "k": [later, None]})

    def known(**declared):
        return with_instants(frame, spec(**declared), AT)[KNOWN].to_list()

    assert known(time="t") == [to_us(moment), to_us(later)]
    assert known(time="t", known="30m") == [t + 30 * MINUTE for t in map(to_us, (moment, later))]
    assert known(time="t", known="k") == [to_us(later), to_us(later)]
    assert known() == [AT, AT]


def test_without_a_time_all_instants_are_the_loads():
    frame = with_instants(pl.DataFrame({"a": [1]}), spec(), AT)
    assert frame.select(EVENT, KNOWN).row(0) == (AT, AT)
    assert timedelta(microseconds=frame[EVENT][0]) > timedelta()
