"""What tracing gives, what it refuses, and that it points at the user's line."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest

from nenrin.core.errors import ProjectError
from nenrin.core.instants import DAY, HOUR
from nenrin.features.trace import trace
from nenrin.features.traced import Traced
from nenrin.features.tree import Call, Column, Literal, Window
from nenrin.features.values import UntraceableError
from tests.features.makers import line_of, make_dataset, make_view

SCHEMA = pl.Schema(
    {
        "temp": pl.Float64,
        "wind": pl.Int32,
        "origin": pl.String,
        "wet": pl.Boolean,
        "seen_at": pl.Datetime("us", "UTC"),
        "day": pl.Date,
        "tags": pl.List(pl.String),
        "price": pl.Decimal(10, 2),
        "count": pl.Int64,
        "__event__": pl.Int64,
        "__known__": pl.Int64,
    }
)
LOOKUP = {"JFK": 1}


def traced(function: Any, **declared: Any) -> Traced:
    return trace(make_view(make_dataset("weather"), function, **declared), SCHEMA, "Asia/Tokyo")


def refused(function: Any, **declared: Any) -> ProjectError:
    with pytest.raises(ProjectError) as caught:
        traced(function, **declared)
    assert caught.value.hint
    assert caught.value.where.startswith(f"{__file__}:")
    return caught.value


def at(text: str) -> str:
    return f"{__file__}:{line_of(text, __file__)}"


def test_a_view_becomes_typed_trees() -> None:
    found = traced(lambda w: {"wet": w.temp > 0, "k": 1}, by="origin", ttl="3h")
    temp = Column(name="temp", kind="number")
    above = Call(op="gt", args=(temp, Literal(value=0.0, kind="number")), kind="boolean")
    assert found.features == {"wet": above, "k": Literal(value=1, kind="integer")}
    assert (found.by, found.ttl, found.columns) == (
        {"origin": "text"},
        3 * HOUR,
        {"temp": "number"},
    )


def test_windows_become_columns_once() -> None:
    def recent(a: Any) -> dict[str, Any]:
        return {"share": a.wet.sum("1d") / a.count("1d"), "n": a.count("1d")}

    found = traced(recent, by="origin", hop="1h")
    wet = Column(name="wet", kind="boolean")
    assert found.windows == (
        Window(op="sum", of=wet, span=DAY, kind="integer"),
        Window(op="count", of=None, span=DAY, kind="integer"),
    )
    assert found.features["n"] == Column(name="__window_1__", kind="integer")
    assert found.columns == {}
    assert found.hop == HOUR


def test_items_reach_columns_that_words_hide() -> None:
    found = traced(lambda w: {"n": w["count"], "m": w.count("1h")}, by="origin")
    assert found.columns == {"count": "integer"}
    assert len(found.windows) == 1


def test_an_unknown_column_names_its_line_and_near_ones() -> None:
    def sky(w: Any) -> dict[str, Any]:
        return {"wind": w.wnd}  # unknown column

    error = refused(sky)
    assert error.where == at("# unknown column")
    assert "'wnd'" in error.message
    assert "wind" in error.hint


@pytest.mark.parametrize("name", ["tags", "price"])
def test_a_column_that_cannot_be_read_says_its_type(name: str) -> None:
    error = refused(lambda w: {"x": w[name]})
    assert str(SCHEMA[name]) in error.message


MISTAKES = [
    (lambda w: {"x": w.origin + 1}, "a text + an integer"),
    (lambda w: {"x": 1 - w.origin}, "an integer - a text"),
    (lambda w: {"x": w.origin > 1}, "a text > an integer"),
    (lambda w: {"x": w.wet & w.temp}, "& joins conditions"),
    (lambda w: {"x": w.temp | w.wet}, "| joins conditions"),
    (lambda w: {"x": ~w.temp}, "~ denies a condition"),
    (lambda w: {"x": -w.origin}, "- of a text"),
    (lambda w: {"x": w.origin.log1p()}, "log1p of a text"),
    (lambda w: {"x": w.temp.lower()}, "lower of a number"),
    (lambda w: {"x": w.origin.starts_with(1)}, "starts_with of an integer"),
    (lambda w: {"x": w.temp.hour}, "the hour of a number"),
    (lambda w: {"x": w.day.hour}, "the hour of a date"),
    (lambda w: {"x": w.temp.hours}, "the hours of a number"),
    (lambda w: {"x": w.seen_at - w.day}, "an instant - a date"),
    (lambda w: {"x": w.temp == None}, "None"),  # noqa: E711
    (lambda w: {"x": w.temp.fill_null("none")}, "a number filled by a text"),
    (lambda w: {"x": w.temp.then(1, 2)}, "a number decides nothing"),
    (lambda w: {"x": w.wet.then(1, "b")}, "an integer or a text"),
    (lambda w: {"x": w.wind.isin([])}, "isin() over an integer"),
    (lambda w: {"x": w.wind.isin(["a"])}, "isin() looks for a text in an integer"),
    (lambda w: {"x": w.temp.isin([1.0])}, "isin() over a number"),
    (lambda w: {"x": w.wind + 2**63}, "64 bits"),
    (lambda w: {"x": w.wind + object()}, "an object"),
    (lambda w: {"x": w.seen_at}, "feature x is of kind instant"),
    (lambda w: {"x": w.seen_at - w.seen_at}, "feature x is of kind span"),
    (lambda w: {1: w.temp}, "a feature is named 1"),
    (lambda w: {"__x": w.temp}, "a feature is named '__x'"),
    (lambda w: [w.temp], "gives list"),
    (lambda w: {}, "gives dict"),
]


@pytest.mark.parametrize(("function", "message"), MISTAKES)
def test_what_does_not_fit_is_refused_at_its_line(function: Any, message: str) -> None:
    error = refused(function)
    assert message in error.message
    assert error.where == f"{__file__}:{function.__code__.co_firstlineno}"


WINDOW_MISTAKES = [
    (lambda w: {"x": w.origin.mean("1h")}, "the mean of a text"),
    (lambda w: {"x": w.count("soon")}, "'soon' is not the length"),
    (lambda w: {"x": w.count(3600)}, "3600 is not the length"),
    (lambda w: {"x": w.count("0h")}, "'0h' is not the length"),
    (lambda w: {"x": w.temp.mean("1h").sum("1h")}, "a window inside a window"),
    (lambda w: {"x": (w.temp.mean("1h") + 1).sum("1h")}, "a window inside a window"),
]


@pytest.mark.parametrize(("function", "message"), WINDOW_MISTAKES)
def test_windows_that_do_not_fit_are_refused(function: Any, message: str) -> None:
    assert message in refused(function, by="origin").message


def test_words_that_mean_nothing_are_refused() -> None:
    assert "request's own row" in refused(lambda w: {"n": w.count("1h")}).message
    assert (
        "its own length" in refused(lambda w: {"n": w.count("1h")}, by="origin", ttl="1h").message
    )
    assert "no windows" in refused(lambda w: {"t": w.temp}, by="origin", hop="1h").message
    assert "request" in refused(lambda w: {"t": w.temp}, ttl="1h").message


@pytest.mark.parametrize("by", ["nowhere", "temp", "tags"])
def test_views_are_joined_by_columns_that_can_be_keys(by: str) -> None:
    assert by in refused(lambda w: {"t": w.temp}, by=by).message


def branch(w: Any) -> dict[str, Any]:
    return {"x": 1 if w.temp > 0 else 2}


def both_at_once(w: Any) -> dict[str, Any]:
    return {"x": 0 < w.temp < 30}


def looked_up(w: Any) -> dict[str, Any]:
    return {"x": LOOKUP.get(w.origin, 0)}


def formatted(w: Any) -> dict[str, Any]:
    return {"x": f"{w.origin}!"}


def of_none(w: Any) -> dict[str, Any]:
    return {"x": 0 if w.temp is None else 1}


def not_none(w: Any) -> dict[str, Any]:
    value = w.temp
    if value is not None:
        return {"x": 1}
    return {"x": 0}


def typed(w: Any) -> dict[str, Any]:
    return {"x": isinstance(w.temp, float)}


def caught(w: Any) -> dict[str, Any]:
    try:
        return {"x": 1 / w.temp}
    except ZeroDivisionError:
        return {"x": 0.0}


def helped(w: Any) -> dict[str, Any]:
    return {"x": _helper(w.temp)}


def _helper(value: Any) -> float:
    return 0.0 if value is None else value


def missing(w: Any) -> dict[str, Any]:
    return {"x": None}


UNTRACEABLE = [
    branch,
    both_at_once,
    looked_up,
    formatted,
    of_none,
    not_none,
    typed,
    caught,
    helped,
    missing,
    lambda w: {"x": str(w.temp)},
    lambda w: {"x": math.log(w.temp)},
    lambda w: {"x": int(w.temp)},
    lambda w: {"x": len(w.origin)},
    lambda w: {"x": "J" in w.origin},
    lambda w: {"x": [*w.origin]},
    lambda w: {"x": max(w.temp, 0)},
    lambda w: {"x": round(w.temp)},
    lambda w: {"x": w.origin.upper()},
    lambda w: {"x": w.origin[0]},
    lambda w: {"x": w.temp()},
    lambda w: {"x": w.origin in {"JFK"}},
    lambda w: {name: w[name] for name in w},
    lambda w: {"x": 1} if w else {},
]


@pytest.mark.parametrize("function", UNTRACEABLE)
def test_request_views_that_cannot_be_traced_run_by_row(function: Any) -> None:
    found = traced(function)
    assert not found.features
    line = int(found.python.split(": ")[0].rpartition(":")[2])
    assert (
        abs(line - function.__code__.co_firstlineno) < 60
    )  # the helper's line, or the function's own
    assert set(found.columns) <= {"temp", "origin"}


@pytest.mark.parametrize("function", UNTRACEABLE)
def test_views_with_by_must_trace(function: Any) -> None:
    with pytest.raises(UntraceableError) as refusal:
        traced(function, by="origin")
    assert refusal.value.hint.endswith("views with by= must trace")


def test_the_reason_is_the_users_line() -> None:
    def trip(r: Any) -> dict[str, Any]:
        far = r.temp > 3
        if far:  # no truth value
            return {"far": 1}
        return {"far": 0}

    assert traced(trip).python.startswith(at("# no truth value"))


def test_expressions_are_bounded() -> None:
    def deep(w: Any) -> dict[str, Any]:
        value = w.temp
        for _ in range(200):
            value = value + 1
        return {"x": value}

    assert "100 deep" in refused(deep).message


def test_weekday_is_an_attribute_and_a_method() -> None:
    one, two = (
        traced(f).features["x"]
        for f in (lambda w: {"x": w.day.weekday}, lambda w: {"x": w.day.weekday()})
    )
    assert one == two


def test_traced_values_have_no_other_words() -> None:
    error = refused(lambda w: {"x": w.temp.logg1p()}, by="origin")
    assert "log1p" in error.hint
