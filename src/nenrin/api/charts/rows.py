"""Named rows on one number line: intervals against zero, before and after, shares of a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from nenrin.api.charts.frame import (
    CHARACTER,
    NARROW,
    WIDE,
    Frame,
    dot,
    picture,
    room_for,
    rule,
    text,
)
from nenrin.api.charts.scale import extent
from nenrin.api.markup import Markup, join, tag

_ROW = 34


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A value with its interval, ``role`` is good, bad or neutral, ``note`` is written at the end."""

    name: str
    mean: float
    low: float
    high: float
    role: str = "neutral"
    note: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Two values of one thing: without something, and with it."""

    name: str
    before: float
    after: float
    tone: int = 1
    note: str = ""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A share of a whole; ``note`` is its value as text."""

    name: str
    value: float
    tone: int = 1
    note: str = ""


def intervals(
    rows: Sequence[Interval], *, label: str, ends: tuple[str, str] = ("", ""), width: int = WIDE
) -> Markup:
    """Means as dots on their intervals, with a line at zero.

    Args:
        rows: one each, from above.
        label: what a screen reader says.
        ends: what lies left and right of zero (“loop better”, “loop worse”).
        width: of the picture in pixels; below 500 the names go above the rows.
    """
    frame = _frame([(row.name, row.note) for row in rows], width)
    low, high = extent([each for row in rows for each in (row.low, row.high, 0.0)])
    frame = msgspec.structs.replace(frame, x=(low, high))
    zero = frame.px(0)
    return frame.svg(
        label,
        text(zero - 8, 9, ends[0], "note", anchor="end") if ends[0] else None,
        text(zero + 8, 9, ends[1], "note") if ends[1] else None,
        rule(zero, 2, zero, frame.floor, "zero"),
        [_interval(frame, index, row) for index, row in enumerate(rows)],
        frame.number_axis(),
    )


def changes(
    rows: Sequence[Change],
    *,
    label: str,
    spell: Callable[[float], str] = "{:.4f}".format,
    width: int = WIDE,
) -> Markup:
    """From a hollow dot (before) to a full one (after), one row each."""
    frame = _frame([(row.name, row.note) for row in rows], width)
    x = extent([each for row in rows for each in (row.before, row.after)], pad=0.12)
    frame = msgspec.structs.replace(frame, x=x)
    return frame.svg(
        label,
        [_change(frame, index, row, spell) for index, row in enumerate(rows)],
        frame.number_axis(),
    )


def shares(parts: Sequence[Part], *, label: str, width: int = WIDE) -> Markup:
    """One bar cut into its parts, each named beneath with its value."""
    total = sum(part.value for part in parts) or 1.0
    at, bars = 0.0, []
    for part in parts:
        length = part.value / total * width
        box: dict[str, object] = {
            "class": f"part t{part.tone}",
            "x": at,
            "y": 0.0,
            "width": max(length - 1.5, 0.5),
            "height": 14.0,
        }
        bars.append(tag("rect", box, tag("title", {}, f"{part.name}  {part.note}")))
        at += length
    places, rows = _flow([f"{part.name}  {part.note}" for part in parts], width)
    names = [
        join(
            tag(
                "rect", {"class": f"part t{part.tone}", "x": x, "y": y - 9, "width": 9, "height": 9}
            ),
            text(
                x + 15, y, [f"{part.name}  ", tag("tspan", {"class": "strong"}, part.note)], "name"
            ),
        )
        for part, (x, y) in zip(parts, places, strict=True)
    ]
    return picture(width, 26 + 20 * rows, label, bars, names)


def _flow(texts: Sequence[str], width: int) -> tuple[list[tuple[float, float]], int]:
    """Places of texts set one after another in rows, and the number of rows."""
    places, x, row = [], 0.0, 0
    for each in texts:
        needed = 15 + len(each) * CHARACTER * 1.05
        if x and x + needed > width:
            x, row = 0.0, row + 1
        places.append((x, 36.0 + 20 * row))
        x += needed + 20
    return places, row + 1


def _frame(names: Sequence[tuple[str, str]], width: int) -> Frame:
    narrow = width <= NARROW + 140
    row = _ROW + 14 if narrow else _ROW
    notes = room_for([note for _, note in names], most=width * 0.4)
    return Frame(
        width=width,
        height=20 + row * len(names) + 26,
        x=(0, 1),
        y=(float(len(names)), 0.0),
        left=8 if narrow else 8 + room_for([name for name, _ in names], most=width * 0.34),
        right=12 if narrow else 12 + notes,
        top=20,
        bottom=26,
    )


def _place(frame: Frame, index: int, name: str, note: str, role: str) -> tuple[float, Markup]:
    """The height of a row's line, and its texts."""
    step = (frame.floor - frame.top) / frame.y[0]
    if frame.width <= NARROW + 140:
        y = frame.top + step * index + 12
        above = text(0, y, name, f"name {role}")
        return y + 16, join(above, text(frame.width, y, note, "note", anchor="end"))
    y = frame.top + step * (index + 0.5)
    return y, join(
        text(0, y + 4, name, f"name {role}"), text(frame.width, y + 4, note, "note", anchor="end")
    )


def _interval(frame: Frame, index: int, row: Interval) -> Markup:
    y, texts = _place(frame, index, row.name, row.note, "")
    return tag(
        "g",
        {"class": f"interval {row.role}"},
        texts,
        rule(frame.px(row.low), y, frame.px(row.high), y, "span"),
        dot(frame.px(row.mean), y, "mean", radius=5, hint=f"{row.name}  {row.note}"),
    )


def _change(frame: Frame, index: int, row: Change, spell: Callable[[float], str]) -> Markup:
    y, texts = _place(frame, index, row.name, row.note, f"t{row.tone}")
    hint = f"{row.name}  {spell(row.before)} → {spell(row.after)}"
    return tag(
        "g",
        {"class": f"change t{row.tone}"},
        texts,
        rule(frame.px(row.before), y, frame.px(row.after), y, "span"),
        dot(frame.px(row.before), y, "before", radius=4),
        dot(frame.px(row.after), y, "after", radius=5, hint=hint),
    )
