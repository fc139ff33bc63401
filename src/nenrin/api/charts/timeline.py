"""When things happened: one lane a kind, one dot an event, over the same days as the lines above."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from nenrin.api.charts.frame import NARROW, WIDE, Frame, dot, room_for, rule, text
from nenrin.api.charts.scale import ordinal
from nenrin.api.markup import Markup, tag


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """An event: when, and what is told about it."""

    at: datetime
    text: str


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """All events of one kind; ``role`` is good, bad or neutral."""

    name: str
    events: Sequence[Happening]
    role: str = "neutral"


def timeline(
    lanes: Sequence[Lane],
    days: tuple[date, date],
    *,
    label: str,
    gutter: Sequence[str] = (),
    width: int = WIDE,
) -> Markup:
    """Lanes of dots.

    Args:
        lanes: from above.
        days: first and last day of the axis.
        label: what a screen reader says.
        gutter: names of the series of the chart above, so that both axes have one length.
        width: of the picture in pixels; below 500 the names go above the lanes.
    """
    narrow = width <= NARROW + 140
    step = 34 if narrow else 24
    names = [*gutter, *(_name(lane) for lane in lanes)]
    frame = Frame(
        width=width,
        height=8 + step * len(lanes) + 26,
        x=(ordinal(days[0]), max(ordinal(days[1]), ordinal(days[0]) + 1)),
        y=(0, 1),
        left=8 if narrow else 44,
        right=12 if narrow else 14 + room_for(names, most=width * 0.34),
        top=8,
    )
    drawn = [
        _lane(frame, lane, frame.top + step * (index + (0.75 if narrow else 0.5)), narrow=narrow)
        for index, lane in enumerate(lanes)
    ]
    return frame.svg(label, drawn, frame.day_axis())


def _name(lane: Lane) -> str:
    return f"{lane.name}  {len(lane.events)}"


def _lane(frame: Frame, lane: Lane, y: float, *, narrow: bool) -> Markup:
    name = (
        text(frame.left, y - 10, _name(lane), "name")
        if narrow
        else text(frame.edge + 8, y + 4, _name(lane), "name")
    )
    dots = [
        dot(
            frame.px(ordinal(each.at)),
            y,
            "event",
            radius=4.5,
            hint=f"{each.at:%d %b %H:%M}  {each.text}",
        )
        for each in lane.events
    ]
    return tag(
        "g",
        {"class": f"lane {lane.role}"},
        rule(frame.left, y, frame.edge, y, "grid"),
        dots,
        name,
    )
