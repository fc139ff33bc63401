"""Both evaluators against each other on every operator, and against the table of docs/features.md."""

from __future__ import annotations

import math
import operator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nenrin.core.instants import to_us
from tests.features.makers import both, crossed, same

NAN, INF = math.nan, math.inf
INTEGERS = [
    None,
    0,
    1,
    -1,
    2,
    -2,
    3,
    7,
    -7,
    10,
    2**53 + 1,
    -(2**53) - 1,
    2**62,
    2**63 - 1,
    -(2**63),
]
NUMBERS = [
    *(None, NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 0.1, 1 / 3, -7.5, 3.0, 7.0),
    *(1e308, -1e308, 5e-324, 2.0**53, 1e16, 709.9, -745.2),
]
BOOLEANS = [None, True, False]
TEXTS = [None, "", "a", "A", "ab", "ß", "İ", "ΣΊΣΥΦΟΣ", "日本", "a\x00", "😀", "z"]
WHEN = [
    None,
    *(to_us(datetime(2013, 3, 10, 6, 59, 59, 999_999, tzinfo=UTC)) + i for i in (0, 1)),
    *(to_us(datetime(2013, 11, 3, hour, 30, tzinfo=UTC)) for hour in (4, 5, 6, 7)),
    to_us(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    to_us(datetime(2012, 2, 29, 12, tzinfo=UTC)),
    to_us(datetime(2099, 12, 31, 23, 59, tzinfo=UTC)),
]
ARITHMETIC = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
}
COMPARISONS = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
UNARY = {
    "neg": operator.neg,
    "pos": operator.pos,
    "abs": abs,
    "exp": lambda x: x.exp(),
    "log1p": lambda x: x.log1p(),
    "sqrt": lambda x: x.sqrt(),
    "floor": lambda x: x.floor(),
    "is_null": lambda x: x.is_null(),
    "clip": lambda x: x.clip(-2, 2.5),
    "fill_null": lambda x: x.fill_null(0),
}
COLUMNS = {
    "i": (pl.Int64, INTEGERS),
    "j": (pl.Int64, INTEGERS),
    "x": (pl.Float64, NUMBERS),
    "y": (pl.Float64, NUMBERS),
    "p": (pl.Boolean, BOOLEANS),
    "q": (pl.Boolean, BOOLEANS),
}


def pairs(*names: str) -> pl.DataFrame:
    return crossed({name: COLUMNS[name] for name in names})


@pytest.mark.parametrize("names", ["ij", "xy", "ix", "xi", "pi", "xp", "pq"])
def test_every_pair_of_edge_values_agrees(names: str) -> None:
    a, b = names
    operators = ARITHMETIC | COMPARISONS

    def features(r: Any) -> dict[str, Any]:
        return {name: apply(r[a], r[b]) for name, apply in operators.items()}

    both(features, pairs(a, b))


@pytest.mark.parametrize("constant", [*NUMBERS[1:], *INTEGERS[1:], True, False], ids=repr)
def test_constants_on_either_side_agree(constant: float) -> None:
    operators = ARITHMETIC | COMPARISONS

    def features(r: Any) -> dict[str, Any]:
        found = {}
        for name, apply in operators.items():
            for column in "ix":
                found[f"{column}{name}k"] = apply(r[column], constant)
                found[f"k{name}{column}"] = apply(constant, r[column])
        return found

    both(features, pairs("i", "x"))


@pytest.mark.parametrize("column", ["i", "x", "p"])
def test_unary_operators_agree(column: str) -> None:
    both(lambda r: {name: apply(r[column]) for name, apply in UNARY.items()}, pairs(column))


def test_conditions_and_choices_agree() -> None:
    def features(r: Any) -> dict[str, Any]:
        return {
            "and": r.p & r.q,
            "or": r.p | r.q,
            "not": ~r.p,
            "with_constant": True & r.p | False,
            "nested": (r.p | (r.i > 0)) & ~(r.q & (r.i <= 1)),
            "choice": r.p.then(r.i, 1.5),
            "in_a_choice": (r.p & r.q).then(r.i + 1, r.i * 2),
            "filled": r.p.fill_null(r.q),
            "in": r.i.isin([1, -1, 2**63 - 1]),
            "truth_in": r.p.isin([True]),
        }

    rows = both(features, pairs("p", "q", "i"))
    assert len(rows) == 3 * 3 * len(INTEGERS)


def test_texts_agree() -> None:
    def features(r: Any) -> dict[str, Any]:
        compared = {name: apply(r.s, r.t) for name, apply in COMPARISONS.items()}
        return compared | {
            "joined": r.s + "-" + r.t,
            "lower": r.s.lower(),
            "length": r.s.length(),
            "starts": r.s.starts_with(r.t),
            "starts_a": r.s.starts_with("a"),
            "in": r.s.isin(["a", "", "日本"]),
            "filled": r.s.fill_null("none"),
            "null": r.s.is_null(),
        }

    both(features, crossed({"s": (pl.String, TEXTS), "t": (pl.String, TEXTS)}))


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(["a", "b"])])
def test_categories_are_texts(dtype: Any) -> None:
    frame = pl.DataFrame({"s": pl.Series(["b", None, "a"], dtype=dtype)})
    rows = both(lambda r: {"s": r.s, "after": r.s > "a"}, frame)
    assert [row["s"] for row in rows] == ["b", None, "a"]
    assert [row["after"] for row in rows] == [True, None, False]


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt8, pl.Int32, pl.UInt32, pl.UInt64])
def test_small_integers_do_not_overflow(dtype: Any) -> None:
    frame = pl.DataFrame({"n": pl.Series([100, None], dtype=dtype)})
    assert both(lambda r: {"n": r.n * 100 * 100}, frame) == [{"n": 1_000_000}, {"n": None}]


PARTS = ("hour", "minute", "weekday", "day", "month", "year", "day_of_year")


def parts_of(value: Any) -> dict[str, Any]:
    return {part: getattr(value, part) for part in PARTS}


def expected_parts(us: int | None, zone: str) -> dict[str, Any]:
    if us is None:
        return dict.fromkeys(PARTS)
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).astimezone(
        ZoneInfo(zone)
    )
    return {
        "hour": local.hour,
        "minute": local.minute,
        "weekday": local.weekday(),
        "day": local.day,
        "month": local.month,
        "year": local.year,
        "day_of_year": local.timetuple().tm_yday,
    }


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])
def test_parts_of_instants_are_local(zone: str) -> None:
    frame = pl.DataFrame({"t": pl.Series(WHEN, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))})
    rows = both(lambda r: parts_of(r.t), frame, tz=zone)
    assert rows == [expected_parts(us, zone) for us in WHEN]


@given(
    st.lists(st.integers(-2_000_000_000_000_000, 4_000_000_000_000_000), min_size=1, max_size=20),
    st.sampled_from(["America/New_York", "Europe/London", "Asia/Tokyo", "America/Sao_Paulo"]),
)
@settings(max_examples=40, deadline=None)
def test_parts_of_any_instant(moments: list[int], zone: str) -> None:
    frame = pl.DataFrame({"t": pl.Series(moments, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))})
    assert both(lambda r: parts_of(r.t), frame, tz=zone) == [
        expected_parts(t, zone) for t in moments
    ]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_instants_of_every_unit(unit: Any) -> None:
    moment = datetime(2013, 7, 1, 12, 30, tzinfo=UTC)
    frame = pl.DataFrame({"t": pl.Series([moment], dtype=pl.Datetime(unit, "Asia/Tokyo"))})
    rows = both(lambda r: {"hour": r.t.hour, "same": r.t == moment}, frame, tz="Europe/Berlin")
    assert rows == [{"hour": 14, "same": True}]


def test_instants_without_a_local_date_have_no_parts() -> None:
    edges = [-(2**63), -62_135_596_800_000_000, 253_402_300_799_999_999, 2**63 - 1]
    frame = pl.DataFrame({"t": pl.Series(edges, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))})
    rows = both(lambda r: {"hour": r.t.hour, "year": r.t.year}, frame, tz="Pacific/Kiritimati")
    assert rows == [{"hour": None, "year": None}] * 4


def test_dates_and_differences() -> None:
    days = [None, date(1969, 12, 31), date(1970, 1, 1), date(2012, 2, 29), date(9999, 12, 31)]
    frame = crossed({"d": (pl.Date, days), "e": (pl.Date, days)})

    def features(r: Any) -> dict[str, Any]:
        return {
            "day": r.d.day,
            "weekday": r.d.weekday(),
            "days": (r.d - r.e).days,
            "later": r.d > r.e,
            "since": (r.d - date(2000, 1, 1)).days,
            "leap": r.d == date(2012, 2, 29),
            "long": (r.d - r.e).days > 10,
        }

    for row, (d, e) in zip(both(features, frame), frame.rows(), strict=True):
        assert row["days"] == (None if d is None or e is None else float((d - e).days))
        assert row["day"] == (d.day if d and d.year < 9999 else None)


def test_differences_of_instants() -> None:
    frame = crossed(dict.fromkeys("st", (pl.Int64, WHEN))).cast(pl.Datetime("us", "UTC"))

    def features(r: Any) -> dict[str, Any]:
        units = ("seconds", "minutes", "hours", "days")
        late = r.s - datetime(2013, 1, 1)
        return {unit: getattr(r.s - r.t, unit) for unit in units} | {
            "late": late.hours,
            "before": r.s < datetime(2013, 6, 1, tzinfo=UTC),
            "longer": (r.s - r.t) > (r.t - r.s),
        }

    both(features, frame, tz="America/New_York")


TABLE = [
    # null propagates, except where a condition is decided without it
    (lambda r: r.i + 1, {"i": None}, None),
    (lambda r: r.p & (r.i > 0), {"p": False, "i": None}, False),
    (lambda r: r.p & (r.i > 0), {"p": True, "i": None}, None),
    (lambda r: r.p | (r.i > 0), {"p": True, "i": None}, True),
    (lambda r: ~(r.i > 0), {"i": None}, None),
    (lambda r: (r.i > 0).then("yes", "no"), {"i": None}, "no"),
    (lambda r: r.s.isin(["a"]), {"s": None}, None),
    (lambda r: r.i == 0, {"i": None}, None),
    # NaN compares as IEEE 754 says; it is not null
    (lambda r: r.x == r.x, {"x": NAN}, False),
    (lambda r: r.x != r.x, {"x": NAN}, True),
    (lambda r: r.x > 0, {"x": NAN}, False),
    (lambda r: r.x.is_null(), {"x": NAN}, False),
    (lambda r: r.x.clip(0, 1), {"x": NAN}, NAN),
    (lambda r: r.x.fill_null(1.0), {"x": NAN}, NAN),
    # division
    (lambda r: r.i / 2, {"i": 7}, 3.5),
    (lambda r: r.i / 0, {"i": 7}, INF),
    (lambda r: r.i / 0, {"i": -7}, -INF),
    (lambda r: r.i / 0, {"i": 0}, NAN),
    (lambda r: r.i // 2, {"i": -7}, -4),
    (lambda r: r.i % 3, {"i": -7}, 2),
    (lambda r: r.i % -3, {"i": 7}, -2),
    (lambda r: r.i // 0, {"i": 7}, None),
    (lambda r: r.i % 0, {"i": 7}, None),
    (lambda r: r.x // 0.1, {"x": 1.0}, 9.0),
    (lambda r: r.x % 1.0, {"x": -0.25}, 0.75),
    (lambda r: r.x // 0.0, {"x": 1.0}, INF),
    (lambda r: r.x % 0.0, {"x": 1.0}, NAN),
    (lambda r: r.x / 3.0, {"x": 0.7}, 0.7 / 3.0),
    # integers are 64 bits and wrap around; powers are numbers
    (lambda r: r.i + 1, {"i": 2**63 - 1}, -(2**63)),
    (lambda r: -r.i, {"i": -(2**63)}, -(2**63)),
    (lambda r: abs(r.i), {"i": -(2**63)}, -(2**63)),
    (lambda r: r.i // -1, {"i": -(2**63)}, -(2**63)),
    (lambda r: r.i**2, {"i": 3}, 9.0),
    (lambda r: r.i**0.5, {"i": -1}, NAN),
    (lambda r: 2**r.i, {"i": 2000}, INF),
    (lambda r: r.i == 2**53, {"i": 2**53 + 1}, False),
    (lambda r: r.i == float(2**53), {"i": 2**53 + 1}, True),
    # conditions count as 0 and 1
    (lambda r: r.p + r.p, {"p": True}, 2),
    (lambda r: r.p * 0.5, {"p": True}, 0.5),
    (lambda r: +r.p, {"p": True}, 1),
    # functions
    (lambda r: r.x.log1p(), {"x": -1.0}, -INF),
    (lambda r: r.x.log1p(), {"x": -2.0}, NAN),
    (lambda r: r.x.exp(), {"x": 1000.0}, INF),
    (lambda r: r.x.sqrt(), {"x": -1.0}, NAN),
    (lambda r: r.x.floor(), {"x": -0.5}, -1.0),
    (lambda r: r.i.floor(), {"i": -5}, -5),
    (lambda r: r.i.clip(0, 3), {"i": 9}, 3),
    (lambda r: r.i.clip(0.5, 3), {"i": 0}, 0.5),
    # texts
    (lambda r: r.s + "!", {"s": ""}, "!"),
    (lambda r: r.s.length(), {"s": "日本"}, 2),
    (lambda r: r.s.lower(), {"s": "ΣΊΣΥΦΟΣ"}, "σίσυφος"),
    (lambda r: r.s < "a", {"s": "Z"}, True),
    # constants
    (lambda r: r.i * 0 + 1, {"i": 5}, 1),
    (lambda r: 1.5, {"i": 5}, 1.5),
    (lambda r: (r.i * 0 + 1) / 0, {"i": 5}, INF),
]
SCHEMA = {"i": pl.Int64, "x": pl.Float64, "p": pl.Boolean, "s": pl.String}


@pytest.mark.parametrize(("expression", "row", "expected"), TABLE)
def test_the_table_of_operators(expression: Any, row: dict[str, Any], expected: Any) -> None:
    frame = pl.DataFrame([row], schema={name: SCHEMA[name] for name in row})
    [found] = both(lambda r: {"value": expression(r)}, frame)
    assert same(found["value"], expected), found


def grown(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Numeric expressions as functions of the row, from smaller ones."""
    binary = st.sampled_from([*ARITHMETIC.values()])
    compared = st.sampled_from([*COMPARISONS.values()])
    unary = st.sampled_from([f for name, f in UNARY.items() if name != "is_null"])
    return st.one_of(
        st.builds(lambda f, a, b: lambda r: f(a(r), b(r)), binary, children, children),
        st.builds(lambda f, a: lambda r: f(a(r)), unary, children),
        st.builds(
            lambda f, a, b, c, d: lambda r: (f(a(r), b(r)) | a(r).is_null()).then(c(r), d(r)),
            *(compared, children, children, children, children),
        ),
    )


def column(name: str) -> Any:
    return lambda r: r[name]


LEAVES = st.sampled_from("ijxyp").map(column)


@given(
    st.recursive(LEAVES, grown, max_leaves=8),
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.integers(-3, 3),
            st.none() | st.floats(),
            st.none() | st.sampled_from(NUMBERS[1:]),
            st.sampled_from(BOOLEANS),
        ),
        min_size=1,
        max_size=8,
    ),
)
@settings(max_examples=120, deadline=None)
def test_any_expression_agrees(expression: Any, rows: list[tuple[Any, ...]]) -> None:
    schema = {"i": pl.Int64, "j": pl.Int64, "x": pl.Float64, "y": pl.Float64, "p": pl.Boolean}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    both(lambda r: {"value": expression(r)}, frame)
