"""Rows that send their key alone are those that a training reads, from memory and from an online store."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import RequestError, UnknownKeyError
from nenrin.core.instants import DAY, HOUR, to_us
from nenrin.features.entities import Lookup
from nenrin.features.service import FeatureSet
from tests.features.makers import make_dataset, make_view
from tests.features.test_online import Folder

START = 1_400_000_000_000_000
people = make_dataset("people", key=["shop", "id"], time="seen", tz="Europe/Berlin")
events = make_dataset("events", key="n")


def own(r: Any) -> dict[str, Any]:
    return {"age": r.age, "town": r.town, "hour": r.seen.hour, "score": r.score}


def newest(e: Any) -> dict[str, Any]:
    return {"value": e.value}


def counted(e: Any) -> dict[str, Any]:
    return {"n": e.count("1h")}


VIEWS = [
    make_view(people, own),
    make_view(events, newest, by="town", ttl="2h"),
    make_view(events, counted, by="town", hop="10m"),
]
LOOKUP = Lookup(columns=("age", "town", "score", "seen"), time="seen", shift=-HOUR)


def utc(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)


def versions(seed: int, rows: int = 40) -> pl.DataFrame:
    """Versions of rows in the order of becoming known; some are known before their event, some long after."""
    draw = np.random.default_rng(seed)
    seen = START + draw.integers(0, 48, rows) * HOUR
    return pl.DataFrame(
        {
            "shop": draw.choice(["a", "b"], rows).tolist(),
            "id": draw.integers(0, 6, rows) + 2**53,
            "seen": [utc(int(us)) for us in seen],
            "age": [None if a > 80 else int(a) for a in draw.integers(10, 90, rows)],
            "town": draw.choice(np.array(["x", "y", None], dtype=object), rows).tolist(),
            "score": pl.Series(draw.normal(size=rows), dtype=pl.Float32),
            "__event__": seen,
            "__known__": seen + draw.integers(-30, 30, rows) * HOUR,
        },
        schema_overrides={"seen": pl.Datetime("us", "UTC")},
    ).sort("__known__", maintain_order=True)


def readings(seed: int, rows: int = 60) -> pl.DataFrame:
    draw = np.random.default_rng([seed, 1])
    event = np.sort(START + draw.integers(-5, 60, rows) * HOUR)
    return pl.DataFrame(
        {
            "n": np.arange(rows),
            "town": draw.choice(["x", "y"], rows).tolist(),
            "value": draw.normal(size=rows),
            "__event__": event,
            "__known__": event,
        }
    )


def state_of(seed: int) -> FeatureSet:
    frames = {"people": versions(seed), "events": readings(seed)}
    return FeatureSet.build(VIEWS, people, frames, time="seen")


def expected(frame: pl.DataFrame, shop: str, id_: int, asked: int) -> tuple[dict[str, Any], int]:
    """The row and its instant as a plain search finds them."""

    def known_at(at: int) -> dict[str, Any]:
        mine = frame.filter(pl.col("shop") == shop, pl.col("id") == id_).to_dicts()
        by_then = [row for row in mine if row["__known__"] <= at]
        return by_then[-1] if by_then else mine[0]

    at = min(to_us(known_at(asked)["seen"]) - HOUR, asked)
    return known_at(at), at


@pytest.mark.parametrize("seed", range(8))
def test_a_key_alone_is_answered_as_its_row_is(seed: int) -> None:
    frame, state, folder = versions(seed), state_of(seed), Folder()
    digest = folder.keep(state)
    folder.bring(digest, since=START - 2 * DAY)
    online = folder.open(digest)
    loaded = FeatureSet.loads(state.dumps())
    keys = frame.select("shop", "id").unique(maintain_order=True).to_dicts()
    draw = np.random.default_rng([seed, 2])
    asked = (START + draw.integers(-10, 70, len(keys)) * HOUR).tolist()
    full, instants = [], []
    for key, at in zip(keys, asked, strict=True):
        row, own_at = expected(frame, key["shop"], key["id"], at)
        full.append({name: row[name] for name in ("age", "town", "score", "seen")})
        instants.append(own_at)
    assert loaded.seen(full, instants, LOOKUP).features == state.seen(full, instants).features
    assert loaded.unread  # nobody has sent a key alone
    right = state.seen(full, instants)
    for source in (state, loaded, online):
        found = source.seen(keys, asked, LOOKUP)
        assert list(found.asked) == instants
        assert found.features == right.features
        assert found.ages == right.ages


def test_an_index_is_read_once_and_its_bytes_are_the_same() -> None:
    state = state_of(3)
    loaded = FeatureSet.loads(state.dumps())
    assert (state.unread, loaded.unread) == (False, True)
    assert loaded.dumps() == state.dumps()
    loaded.read()
    assert not loaded.unread
    assert loaded.dumps() == state.dumps()


def test_what_is_sent_counts_null_too() -> None:
    state, frame = state_of(1), versions(1)
    row = frame.filter(pl.col("age").is_not_null(), pl.col("town").is_not_null()).row(0, named=True)
    key = {"shop": row["shop"], "id": row["id"]}
    asked = to_us(row["seen"])
    plain = state.seen([key], [asked], LOOKUP).features[0]
    sent = state.seen([{**key, "age": None, "town": "y"}], [asked], LOOKUP).features[0]
    assert plain["age"] is not None
    assert (sent["age"], sent["town"]) == (None, "y")
    assert sent["score"] == plain["score"]
    at = {**key, "seen": utc(START + 5 * HOUR)}
    assert state.seen([at], [START + 4 * HOUR], LOOKUP).asked == [START + 4 * HOUR]


def test_a_key_that_no_row_has_is_refused_or_stands_for_what_is_declared() -> None:
    state = state_of(1)
    rows = [{"shop": "c", "id": 7}, {"shop": "c", "id": 7, "town": "x", "age": 3}]
    with pytest.raises(UnknownKeyError, match="no row of people has shop 'c', id 7") as caught:
        state.seen(rows[:1], [START], LOOKUP)
    assert caught.value.status == 422
    assert "age, town, score, seen" in caught.value.hint
    assert "nenrin data load people" in caught.value.hint
    given = {"age": 40, "seen": "2014-05-13T10:00:00"}
    lookup = Lookup(columns=LOOKUP.columns, time="seen", shift=0, missing=given)
    found = state.seen(rows, [2 * START] * 2, lookup)
    first, second = found.features
    assert (first["age"], first["town"], first["score"], first["hour"]) == (40, None, None, 10)
    assert (second["age"], second["town"]) == (3, "x")
    assert found.asked[0] == to_us(datetime(2014, 5, 13, 8, tzinfo=UTC))
    nothing = Lookup(columns=LOOKUP.columns, time="seen", missing={})
    found = state.seen(rows[:1], [START], nothing)
    assert set(found.features[0].values()) == {None}
    assert (found.asked, found.ages) == ([START], [{"newest": None, "counted": None}])


def test_a_row_without_its_key_must_bring_its_columns() -> None:
    state = state_of(1)
    with pytest.raises(RequestError, match="has no score, seen, and no id to look it up by"):
        state.seen([{"shop": "a", "id": None, "age": 1, "town": "x"}], [START], LOOKUP)
    with pytest.raises(RequestError, match="has no seen, age, town, score"):
        state.seen([{"shop": "a", "id": 1}], [START])


def test_rows_without_a_key_or_without_columns_have_no_index() -> None:
    keyless = make_dataset("people")
    frame = versions(1)
    view = make_view(keyless, own)
    assert FeatureSet.build([view], keyless, {"people": frame}).by_key is None

    def of_key(r: Any) -> dict[str, Any]:
        return {"first": r.shop == "a"}

    state = FeatureSet.build([make_view(people, of_key)], people, {"people": frame}, time="seen")
    assert state.by_key is None
    floating = make_dataset("people", key="score")
    view = make_view(floating, own)
    assert FeatureSet.build([view], floating, {"people": frame}).by_key is None


def test_a_date_says_when_a_row_is_asked_by_its_first_instant() -> None:
    days = make_dataset("days", key="id", time="day", tz="America/New_York")

    def said(r: Any) -> dict[str, Any]:
        return {"x": r.x}

    midnight = to_us(datetime(2014, 7, 1, 4, tzinfo=UTC))
    frame = pl.DataFrame({"id": [1], "day": [date(2014, 7, 1)], "x": [2.5]}).with_columns(
        __event__=pl.lit(midnight), __known__=pl.lit(midnight)
    )
    state = FeatureSet.build([make_view(days, said)], days, {"days": frame}, time="day")
    found = state.seen([{"id": 1}], [midnight + DAY], Lookup(columns=("x",), time="day"))
    assert (found.features, found.asked) == ([{"x": 2.5}], [midnight])


def test_ages_are_those_of_the_newest_row_that_was_known() -> None:
    frame = pl.DataFrame(
        {
            "n": [1, 2, 3],
            "town": ["x"] * 3,
            "value": [1.0, 2.0, 3.0],
            "__event__": [START, START + HOUR, START + 2 * HOUR],
            "__known__": [START, START + 3 * HOUR, START + 2 * HOUR],
        }
    )
    state = FeatureSet.build(VIEWS[1:], people, {"people": versions(1), "events": frame})
    ages = [
        state.seen([{"town": town}], [at]).ages[0]
        for town, at in (
            ("x", START - 1),
            ("x", START + HOUR + 500_000),
            ("x", START + 3 * HOUR),
            ("x", START + 9 * HOUR),
            ("z", START),
            (None, START),
        )
    ]
    expected = [None, 3600.5, 3600.0, 7 * 3600.0, None, None]
    assert ages == [{"newest": age, "counted": age} for age in expected]
    old = state.seen([{"town": "x"}], [START + 9 * HOUR]).features[0]
    assert old["value"] is None  # too old to be used: its age says so
