"""Lines over days: one to look at, the others quiet, each named where it ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date

import msgspec

from nenrin.api.charts.frame import CHARACTER, NARROW, WIDE, Frame, room_for, rule, text
from nenrin.api.charts.scale import extent, finite, ordinal, spread, thin
from nenrin.api.markup import Markup, join, number, tag


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One line.

    Attributes:
        name: written where the line ends.
        y: a value for each x; ``None`` and NaN leave a gap.
        tone: colour 0 to 5; 0 is drawn last and strongest, it is the line to look at.
        low: lower edges of a band round the line, if it has one.
        high: upper edges of that band.
    """

    name: str
    y: Sequence[float | None]
    tone: int = 1
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """An event drawn through the whole height: when, what, and how it is coloured."""

    at: date
    text: str
    role: str = "neutral"


def line(
    x: Sequence[date],
    series: Sequence[Series],
    *,
    label: str,
    title: str = "",
    marks: Sequence[Mark] = (),
    ends: tuple[date, date] | None = None,
    zero: bool = False,
    spell: Callable[[float], str] = "{:.4f}".format,
    width: int = WIDE,
    height: int = 280,
) -> Markup:
    """Series over days.

    Args:
        x: the days, ascending; every series has one value a day.
        series: what to draw; the one with tone 0 is emphasised.
        label: what a screen reader says.
        title: the unit of the y axis, written above it.
        marks: events as vertical lines.
        ends: first and last day of the axis; default those of the data.
        zero: whether to draw a base line at zero and keep it in view.
        spell: writes a value for the hint of a day.
        width: of the picture in pixels; below 500 the names go under the plot.
        height: of the picture in pixels, names under the plot not counted.
    """
    days = [ordinal(day) for day in x]
    values = [value for each in series for value in (*each.y, *each.low, *each.high)]
    names = [each.name for each in series]
    legend = width <= NARROW + 140
    rows = _legend_rows(names, width) if legend else []
    frame = Frame(
        width=width,
        height=height + 20 * len(rows),
        x=_day_range([ordinal(day) for day in ends] if ends else days),
        y=extent([*values, 0.0] if zero else values),
        right=16 if legend else 14 + room_for(names, most=width * 0.34),
        top=24 if title else 10,
        bottom=26 + 20 * len(rows),
    )
    order = sorted(series, key=lambda each: -each.tone)
    return frame.svg(
        label,
        frame.value_axis(title),
        frame.day_axis(),
        rule(frame.left, frame.py(0), frame.edge, frame.py(0), "zero") if zero else None,
        [_mark(frame, mark) for mark in marks],
        [_band(frame, days, each) for each in order if each.low],
        [_path(frame, days, each) for each in order],
        _legend(frame, series, rows) if legend else _end_names(frame, series),
        _hints(frame, x, series, spell),
    )


def _day_range(days: Sequence[float]) -> tuple[float, float]:
    low, high = min(days, default=1.0), max(days, default=2.0)
    return (low, high) if high > low else (low, low + 1)


def _runs(frame: Frame, x: Sequence[float], y: Sequence[float | None]) -> list[list[str]]:
    """The line's pieces between gaps, as texts ``x,y`` in pixels."""
    runs: list[list[str]] = [[]]
    for at, value in thin(x, y):
        if value is None or not math.isfinite(value):
            runs.append([])
        else:
            runs[-1].append(f"{number(frame.px(at))},{number(frame.py(value))}")
    return [run for run in runs if run]


def _path(frame: Frame, days: Sequence[float], series: Series) -> Markup:
    # A lone point becomes a line of no length, which round caps make visible.
    runs = [run if len(run) > 1 else run * 2 for run in _runs(frame, days, series.y)]
    drawn = "".join("M" + "L".join(run) for run in runs)
    return tag("path", {"class": f"line t{series.tone}", "d": drawn})


def _band(frame: Frame, days: Sequence[float], series: Series) -> Markup:
    pairs = zip(_runs(frame, days, series.low), _runs(frame, days, series.high), strict=False)
    drawn = "".join("M" + "L".join([*high, *reversed(low)]) + "Z" for low, high in pairs)
    return tag("path", {"class": f"band t{series.tone}", "d": drawn})


def _mark(frame: Frame, mark: Mark) -> Markup:
    at = frame.px(ordinal(mark.at))
    return tag(
        "g",
        {"class": f"mark {mark.role}"},
        rule(at, frame.top, at, frame.floor, "stem"),
        text(at + 4, frame.top + 9, mark.text, "note") if mark.text else None,
    )


def _end_names(frame: Frame, series: Sequence[Series]) -> Markup:
    ended = [(each, drawn[-1]) for each in series if (drawn := finite(each.y))]
    heights = spread([frame.py(last) for _, last in ended], 15, frame.top, frame.floor)
    return join(
        text(frame.edge + 8, at + 4, each.name, f"name t{each.tone}")
        for (each, _), at in zip(ended, heights, strict=True)
    )


def _legend_rows(names: Sequence[str], width: int) -> list[list[tuple[int, float]]]:
    """Which name stands where when names are set in rows under the plot: (index, x) a row."""
    rows: list[list[tuple[int, float]]] = []
    at = float(width)
    for index, name in enumerate(names):
        needed = 22 + len(name) * CHARACTER + 14
        if at + needed > width:
            rows.append([])
            at = 8.0
        rows[-1].append((index, at))
        at += needed
    return rows


def _legend(frame: Frame, series: Sequence[Series], rows: list[list[tuple[int, float]]]) -> Markup:
    return join(
        join(
            tag("path", {"class": f"line t{tone}", "d": f"M{number(x)},{y - 4}h14"}),
            text(x + 20, y, series[index].name, f"name t{tone}"),
        )
        for row, places in enumerate(rows)
        for index, x in places
        for tone, y in [(series[index].tone, frame.floor + 42 + 20 * row)]
    )


def _hints(
    frame: Frame, x: Sequence[date], series: Sequence[Series], spell: Callable[[float], str]
) -> Markup | None:
    if not 1 < len(x) <= 120:
        return None
    step = (frame.edge - frame.left) / (len(x) - 1)
    columns = []
    for index, day in enumerate(x):
        told = [
            f"{each.name}  {spell(value)}"
            for each in series
            if (value := each.y[index]) is not None and math.isfinite(value)
        ]
        box: dict[str, object] = {
            "x": frame.px(ordinal(day)) - step / 2,
            "y": frame.top,
            "width": step,
            "height": frame.floor - frame.top,
        }
        columns.append(tag("rect", box, tag("title", {}, "\n".join([f"{day:%d %b %Y}", *told]))))
    return tag("g", {"class": "hints"}, columns)
