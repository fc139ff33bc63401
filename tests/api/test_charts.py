"""Charts are well-formed, safe, told to screen readers, and honest about gaps and extremes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.api import charts
from nenrin.api.charts import scale
from nenrin.api.markup import Markup, join, tag

DAYS = [date(2013, 4, 1) + timedelta(days=index) for index in range(275)]
HOSTILE = '<script>alert("x")</script> & co'
SERIES = [
    charts.Series(name="the loop", y=[0.4 + index / 1000 for index in range(275)], tone=0),
    charts.Series(name=HOSTILE, y=[None] * 100 + [0.5] * 175, tone=1),
]


def lines(width: int) -> Markup:
    mark = charts.Mark(at=DAYS[80], text=HOSTILE, role="bad")
    return charts.line(DAYS, SERIES, label=HOSTILE, title="log loss", marks=[mark], width=width)


def forest(width: int) -> Markup:
    row = charts.Interval(name=HOSTILE, mean=-0.01, low=-0.02, high=0.001, note="−0.01")
    return charts.intervals([row] * 3, label="differences", ends=("better", "worse"), width=width)


def before_after(width: int) -> Markup:
    rows = [
        charts.Change(name=HOSTILE, before=0.4, after=0.6),
        charts.Change(name="b", before=1, after=1),
    ]
    return charts.changes(rows, label="changes", width=width)


def parts(width: int) -> Markup:
    named = [
        charts.Part(name=f"part {HOSTILE} {index}", value=index, note="1") for index in range(5)
    ]
    return charts.shares(named, label="shares", width=width)


def curves(width: int) -> Markup:
    bins = {"p": [0.1, 0.4], "y": [0.2, 0.3], "n": [10, 0]}
    named = [charts.Reliability(name=HOSTILE, tone=tone, **bins) for tone in (0, 1)]
    return charts.reliability(named, label="reliability", width=width)


def heat(width: int) -> Markup:
    values = [[0.0, None, math.nan], [1.0, 2.0, 3.0]]
    return charts.matrix(
        ["a", HOSTILE], ["x", "y", HOSTILE], values, label="heat", outlined=[(1, 2)], width=width
    )


def lanes(width: int) -> Markup:
    event = charts.Happening(at=datetime(2013, 5, 2, 4, 30), text=HOSTILE)
    named = [charts.Lane(name=HOSTILE, events=[event]), charts.Lane(name="none", events=[])]
    return charts.timeline(named, (DAYS[0], DAYS[-1]), label="events", width=width)


def bars(width: int) -> Markup:
    return charts.histogram([0, 1, 2, 4], [3, 0, 5], label="rows", title="rows", width=width)


ALL: list[Callable[[int], Markup]] = [
    lines, forest, before_after, parts, curves, heat, lanes, bars,
]  # fmt: skip


@pytest.mark.parametrize("width", [720, 360])
@pytest.mark.parametrize("draw", ALL, ids=lambda draw: draw.__name__)
def test_every_chart_is_well_formed_safe_and_told_to_screen_readers(
    draw: Callable[[int], Markup], width: int
) -> None:
    drawn = draw(width)
    root = ElementTree.fromstring(drawn)
    assert root.tag == "svg"
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert "<script" not in drawn
    assert "nan" not in re.sub(r">[^<]*<", "", drawn)
    assert draw(width) == drawn


@pytest.mark.parametrize("width", [720, 360])
@pytest.mark.parametrize("draw", ALL, ids=lambda draw: draw.__name__)
def test_nothing_is_drawn_outside_of_the_picture(draw: Callable[[int], Markup], width: int) -> None:
    root = ElementTree.fromstring(draw(width))
    _, _, right, bottom = map(float, (root.get("viewBox") or "").split())
    for element in root.iter():
        for name in ("x", "cx", "x1", "x2"):
            assert -1 <= float(element.get(name, 0)) <= right + 1
        for name in ("y", "cy", "y1", "y2"):
            assert -1 <= float(element.get(name, 0)) <= bottom + 1


def test_a_line_has_a_gap_where_there_is_no_value() -> None:
    y = [0.1, 0.2, None, 0.3, math.nan, 0.2]
    drawn = charts.line(DAYS[:6], [charts.Series(name="a", y=y, tone=0)], label="gaps")
    path = ElementTree.fromstring(drawn).find("path[@class='line t0']")
    assert path is not None
    assert (path.get("d") or "").count("M") == 3


def test_the_line_to_look_at_is_drawn_last() -> None:
    drawn = lines(720)
    assert drawn.index('class="line t1"') < drawn.index('class="line t0"')


def test_names_stand_at_the_ends_of_wide_lines_and_under_narrow_ones() -> None:
    def heights(width: int) -> list[float]:
        root = ElementTree.fromstring(lines(width))
        return [
            float(each.get("y", 0))
            for each in root.iter("text")
            if (each.get("class") or "").startswith("name")
        ]

    assert max(heights(720)) < 254
    assert min(heights(360)) > 254


def test_charts_of_nothing_are_empty_not_broken() -> None:
    empty = [
        charts.line([], [], label="nothing"),
        charts.line(DAYS[:1], [charts.Series(name="one", y=[0.2], tone=0)], label="one day"),
        charts.line(DAYS[:3], [charts.Series(name="none", y=[None] * 3)], label="no value"),
        charts.intervals([], label="nothing"),
        charts.changes([], label="nothing"),
        charts.shares([charts.Part(name="zero", value=0)], label="nothing"),
        charts.reliability([], label="nothing"),
        charts.matrix([], [], [], label="nothing"),
        charts.timeline([], (DAYS[0], DAYS[0]), label="nothing"),
        charts.histogram([0], [], label="nothing"),
    ]
    for drawn in empty:
        assert ElementTree.fromstring(drawn).tag == "svg"


def test_responsive_gives_both_widths() -> None:
    both = charts.responsive(bars)
    assert 'class="wide"' in both
    assert 'viewBox="0 0 360' in both


def test_long_series_are_thinned_and_keep_their_extremes() -> None:
    x = [float(index) for index in range(50_000)]
    y: list[float | None] = [math.sin(index / 700) for index in range(50_000)]
    y[31_234], y[40_001] = 9.0, -9.0
    kept = scale.thin(x, y)
    assert len(kept) <= scale.POINTS
    assert {9.0, -9.0} <= {value for _, value in kept}
    assert kept == sorted(kept)


@given(low=st.floats(-1e9, 1e9), span=st.floats(1e-6, 1e9), count=st.integers(2, 9))
def test_ticks_are_round_inside_and_about_as_many_as_asked(
    low: float, span: float, count: int
) -> None:
    high = low + span
    if high - low < abs(low) * 1e-9:
        return
    found = scale.ticks(low, high, count)
    slack = (high - low) * 1e-6
    assert all(low - slack <= each <= high + slack for each in found)
    assert len(found) <= count + 1
    assert len(set(scale.plain(found))) == len(found)


@given(
    st.lists(st.floats(0, 200), max_size=12),
)
def test_names_are_spread_apart_inside_their_room(positions: list[float]) -> None:
    placed = scale.spread(positions, 15, 0, 200)
    for one, other in zip(sorted(placed), sorted(placed)[1:], strict=False):
        assert other - one >= 15 - 1e-9
    assert all(each >= -1e-9 for each in placed)
    assert all(each <= 200 + 1e-9 for each in placed)
    order = sorted(range(len(positions)), key=positions.__getitem__)
    assert [placed[index] for index in order] == sorted(placed)


@pytest.mark.parametrize(
    ("days", "count", "names"),
    [
        (5, 6, ["1 Apr", "2 Apr", "3 Apr", "4 Apr", "5 Apr", "6 Apr"]),
        (30, 6, ["1 Apr", "8 Apr", "15 Apr", "22 Apr", "29 Apr"]),
        (120, 4, ["Apr 2013", "May", "Jun", "Jul"]),
        (400, 4, ["Apr 2013", "Jul", "Oct", "Jan 2014", "Apr"]),
    ],
)
def test_days_are_named_by_days_weeks_or_months(days: int, count: int, names: list[str]) -> None:
    first = DAYS[0].toordinal()
    assert [name for _, name in scale.day_ticks(first, first + days, count)] == names


def test_markup_escapes_all_but_markup() -> None:
    assert tag("p", {"title": 'a "b" <c>', "id": None}, "<i>", tag("b", {}, "x")) == (
        '<p title="a &quot;b&quot; &lt;c&gt;">&lt;i&gt;<b>x</b></p>'
    )
    assert join("a", None, ["b", ["<"]]) == "ab&lt;"
    assert tag("line", {"x1": -0.04, "x2": 2.0}) == '<line x1="0" x2="2"/>'
