"""The plane of a chart: its size, its margins, its two axes, and the SVG element around it."""

from __future__ import annotations

import msgspec

from nenrin.api.charts.scale import day_ticks, linear, plain, ticks
from nenrin.api.markup import Child, Markup, join, tag

WIDE, NARROW = 720, 360
CHARACTER = 6.3  # mean width of a character of 12 px text


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A plot area and the values at its edges.

    Attributes:
        width: of the whole picture, in pixels.
        height: of the whole picture, in pixels.
        x: values at the left and right edge of the plot area.
        y: values at its lower and upper edge.
        left: pixels kept free of data, and so on round.
    """

    width: int
    height: int
    x: tuple[float, float]
    y: tuple[float, float]
    left: float = 44
    right: float = 16
    top: float = 14
    bottom: float = 26

    @property
    def edge(self) -> float:
        """The pixel of the right edge of the plot area."""
        return self.width - self.right

    @property
    def floor(self) -> float:
        """The pixel of the lower edge of the plot area."""
        return self.height - self.bottom

    def px(self, value: float) -> float:
        """The pixel of a value on the x axis."""
        return linear(self.x, (self.left, self.edge), value)

    def py(self, value: float) -> float:
        """The pixel of a value on the y axis."""
        return linear(self.y, (self.floor, self.top), value)

    def value_axis(self, title: str = "") -> Markup:
        """Hairlines with their values at the left, the axis' title above the topmost."""
        at = ticks(*self.y, count=max(2, int((self.floor - self.top) // 48)))
        lines = [
            join(
                rule(self.left, self.py(value), self.edge, self.py(value), "grid"),
                text(self.left - 8, self.py(value) + 4, label, "tick", anchor="end"),
            )
            for value, label in zip(at, plain(at), strict=True)
        ]
        return join(lines, text(0, 10, title, "title") if title else None)

    def number_axis(self, count: int | None = None) -> Markup:
        """Round numbers along the lower edge."""
        at = ticks(*self.x, count=count or max(3, int((self.edge - self.left) // 90)))
        return join(
            text(self.px(value), self.floor + 18, label, "tick", anchor="middle")
            for value, label in zip(at, plain(at), strict=True)
        )

    def day_axis(self) -> Markup:
        """Months, weeks or days along the lower edge, as many as there is room for."""
        room = max(2, int((self.edge - self.left) // 62))
        return join(
            rule(self.left, self.floor, self.edge, self.floor, "axis"),
            [
                join(
                    rule(self.px(day), self.floor, self.px(day), self.floor + 4, "axis"),
                    text(self.px(day), self.floor + 18, name, "tick", anchor=self._anchor(day)),
                )
                for day, name in day_ticks(*self.x, count=room)
            ],
        )

    def _anchor(self, value: float) -> str:
        """How a label of the x axis stands under its tick, so that none leaves the picture."""
        at = self.px(value)
        return "start" if at < 24 else "end" if at > self.width - 24 else "middle"

    def svg(self, label: str, *children: Child) -> Markup:
        """The picture; ``label`` is what a screen reader says instead."""
        return picture(self.width, self.height, label, *children)


def picture(width: int, height: float, label: str, *children: Child) -> Markup:
    """An SVG element that shrinks with the page and grows up to its own size."""
    attributes: dict[str, object] = {
        "class": "chart",
        "viewBox": f"0 0 {width} {height:.0f}",
        "style": f"max-width:{width}px",
        "role": "img",
        "aria-label": label,
    }
    return tag("svg", attributes, *children)


def text(x: float, y: float, content: Child, role: str, *, anchor: str | None = None) -> Markup:
    """A text whose baseline begins (or, by ``anchor``, is centred or ends) at a point."""
    attributes: dict[str, object] = {
        "x": float(x),
        "y": float(y),
        "class": role,
        "text-anchor": anchor,
    }
    return tag("text", attributes, content)


def rule(x1: float, y1: float, x2: float, y2: float, role: str) -> Markup:
    """A straight line."""
    attributes: dict[str, object] = {
        "class": role,
        "x1": float(x1),
        "y1": float(y1),
        "x2": float(x2),
        "y2": float(y2),
    }
    return tag("line", attributes)


def dot(x: float, y: float, role: str, *, radius: float = 4.0, hint: str = "") -> Markup:
    """A disc; ``hint`` is shown when the pointer rests on it."""
    attributes: dict[str, object] = {
        "class": role,
        "cx": float(x),
        "cy": float(y),
        "r": float(radius),
    }
    return tag("circle", attributes, *([tag("title", {}, hint)] if hint else []))


def room_for(texts: list[str], *, most: float) -> float:
    """Pixels that the longest of some texts needs, at most ``most``."""
    return min(most, max((len(each) for each in texts), default=0) * CHARACTER + 8)
