from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import polars as pl
import pytest

from nenrin.core.errors import RequestError
from nenrin.features.entities import Lookup
from nenrin.serving.plane.rows import RowReader
from nenrin.serving.signature import RequestSignature

TYPES = {
    "n": pl.Float64(),
    "i": pl.Int64(),
    "b": pl.Boolean(),
    "s": pl.String(),
    "t": pl.Datetime("us", "UTC"),
    "d": pl.Date(),
}
READER = RowReader(RequestSignature.of(TYPES, known={}, zone="America/New_York"))
FULL: dict[str, Any] = {"n": 1, "i": 2, "b": True, "s": "x", "t": None, "d": "2013-07-01"}


def read(name: str, value: Any) -> Any:
    return READER.records([{**FULL, name: value}])[0][name]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("n", 3, 3.0),
        ("n", -0.5, -0.5),
        ("i", 3.0, 3),
        ("i", 2**63 - 1, 2**63 - 1),
        ("b", 0, False),
        ("s", "", ""),
        ("d", "2013-02-28", date(2013, 2, 28)),
        ("t", "2013-07-01T18:30:00", datetime(2013, 7, 1, 22, 30, tzinfo=UTC)),
        ("t", "2013-07-01T18:30:00Z", datetime(2013, 7, 1, 18, 30, tzinfo=UTC)),
        ("t", "2013-07-01 18:30:00.5+09:00", datetime(2013, 7, 1, 9, 30, 0, 500_000, tzinfo=UTC)),
        # the doubled hour is the first of the two
        ("t", "2013-11-03T01:30:00", datetime(2013, 11, 3, 5, 30, tzinfo=UTC)),
        *[(name, None, None) for name in TYPES],
    ],
)
def test_values_become_what_their_column_holds(name: str, value: Any, expected: Any) -> None:
    found = read(name, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("n", "3", "a number"),
        ("n", True, "a number"),
        ("n", [1], "a number"),
        ("n", 10**400, "a number"),
        ("i", 1.5, "a whole number"),
        ("i", 2**63, "a whole number"),
        ("i", False, "a whole number"),
        ("b", 2, "true or false"),
        ("b", "true", "true or false"),
        ("s", 7, "a text"),
        ("d", "01/07/2013", "a date such as"),
        ("t", "yesterday", "a time such as"),
        ("t", 1_372_717_800, "a time such as"),
        ("t", "0001-01-01T00:00:00+14:00", "a time such as"),
        # this hour was skipped
        ("t", "2013-03-10T02:30:00", "a time that exists in America/New_York"),
    ],
)
def test_what_does_not_fit_is_named(name: str, value: Any, expected: str) -> None:
    with pytest.raises(RequestError, match=f"column '{name}', row 0: .* is not {expected}"):
        read(name, value)


def test_columns_and_records_agree() -> None:
    rows = [{**FULL, "n": float(number)} for number in range(3)]
    columns = {name: [row[name] for row in rows] for name in FULL}
    assert READER.columns(columns, strict=True) == READER.records(rows)


def test_wrong_names() -> None:
    short = {name: value for name, value in FULL.items() if name != "s"}
    with pytest.raises(RequestError, match="lacks the column 's'"):
        READER.records([FULL, short])
    with pytest.raises(RequestError) as caught:
        RowReader(RequestSignature.of({"origin": pl.String()}, known={})).records([{"orgin": "a"}])
    assert caught.value.hint == "rename 'orgin'"
    assert "more" not in READER.records([{**FULL, "more": 1}])[0]
    with pytest.raises(RequestError, match="no input 'more'"):
        READER.columns({name: [value] for name, value in {**FULL, "more": 1}.items()}, strict=True)


def test_wrong_sizes() -> None:
    columns = {name: [value] for name, value in FULL.items()}
    with pytest.raises(RequestError, match=r"different lengths: \[1, 2\]"):
        READER.columns({**columns, "n": [1, 2]})
    with pytest.raises(RequestError, match="no rows"):
        READER.columns({name: [] for name in FULL})
    with pytest.raises(RequestError, match="no rows"):
        READER.records([])
    with pytest.raises(RequestError, match="row 1 is not an object"):
        READER.records([FULL, 3])


LOOKED_UP = RequestSignature.of(
    {"n": pl.Float64(), "s": pl.String(), "t": pl.Datetime("us", "UTC")},
    known={"shop": pl.String(), "id": pl.Int64(), "t": pl.Datetime("us", "UTC")},
    key=("shop", "id"),
    time="t",
    lookup=Lookup(columns=("n", "s", "t"), time="t"),
)


def test_a_row_that_sends_its_key_may_leave_the_rest_out() -> None:
    """What is left out is absent, not null: null is a value."""
    reader = RowReader(LOOKED_UP)
    assert reader.records([{"shop": "a", "id": 1}, {"shop": "a", "id": 2, "s": None}]) == [
        {"shop": "a", "id": 1},
        {"shop": "a", "id": 2, "s": None},
    ]
    assert reader.columns({"shop": ["a"], "id": [1], "n": [2]}, strict=True) == [
        {"shop": "a", "id": 1, "n": 2.0}
    ]
    full = {"n": 1.0, "s": "x", "t": None}
    assert reader.records([full]) == [{"shop": None, "id": None, **full}]


@pytest.mark.parametrize("key", [{}, {"shop": "a"}, {"shop": "a", "id": None}])
def test_a_row_without_its_whole_key_may_not(key: dict[str, Any]) -> None:
    reader = RowReader(LOOKED_UP)
    with pytest.raises(RequestError, match="lacks the column 'n'") as caught:
        reader.records([{**key, "s": "x", "t": None}])
    assert caught.value.hint == "a row needs n, s, t, or shop, id alone, of a row that is loaded"


STICKY = msgspec.structs.replace(LOOKED_UP, sticky="s")
KEY = {"shop": "a", "id": 1}


def test_a_row_always_sends_what_it_sticks_by() -> None:
    """It is dealt before anything is looked up: by its key alone it would stick by another value."""
    reader = RowReader(STICKY)
    assert reader.records([{**KEY, "s": "x"}, {**KEY, "s": None}]) == [
        {**KEY, "s": "x"},
        {**KEY, "s": None},
    ]
    for given in (KEY, {**KEY, "n": 1.0, "t": None}):
        with pytest.raises(RequestError, match="lacks the column 's'") as caught:
            reader.records([given])
        hint = "a row needs s, n, t, or shop, id, s alone, of a row that is loaded"
        assert caught.value.hint == hint
        with pytest.raises(RequestError, match="lacks the column 's'"):
            reader.columns({name: [value] for name, value in given.items()})
    by_user = RequestSignature.of(
        {"n": pl.Float64()},
        known={"user": pl.Int64(), "id": pl.Int64()},
        key=("id",),
        sticky="user",
    )
    with pytest.raises(RequestError, match="lacks the column 'user'"):
        RowReader(by_user).records([{"id": 1, "n": 1.0}])
    assert RowReader(by_user).typed(("id", "n")) is None
    assert RowReader(by_user).typed(("user", "n")) is not None


@pytest.mark.parametrize(
    ("given", "says", "hint"),
    [
        ({**KEY, "nn": 1.0}, "there is no input 'nn'", "did you mean 'n'?"),
        ({**KEY, "N": 1.0}, "there is no input 'N'", "did you mean 'n'?"),
        ({**KEY, "n": 1.0, "S": "x"}, "there is no input 'S'", "did you mean 's'?"),
        ({**KEY, "colour": 1.0}, "there is no input 'colour'", "the inputs are shop, id, t, n, s"),
    ],
)
def test_a_name_that_nobody_reads_is_refused_where_another_is_looked_up(
    given: dict[str, Any], says: str, hint: str
) -> None:
    reader = RowReader(LOOKED_UP)
    columns = {name: [value] for name, value in given.items()}
    for read_it in (lambda: reader.records([given]), lambda: reader.columns(columns)):
        with pytest.raises(RequestError, match=says) as caught:
            read_it()
        assert caught.value.hint == hint


def test_other_members_of_a_row_that_looks_nothing_up_are_passed_over() -> None:
    full = {"n": 1.0, "s": "x", "t": None}
    reader = RowReader(LOOKED_UP)
    assert reader.records([{**full, "colour": "red"}, {**KEY, **full, "nn": 1.0}]) == [
        {"shop": None, "id": None, **full},
        {**KEY, **full},
    ]
