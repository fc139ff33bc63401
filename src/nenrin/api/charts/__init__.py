"""Charts as SVG text: no dependencies, light and dark by the page's CSS variables, told to screen readers.

Every function gives one ``<svg>`` for a width in pixels; :func:`responsive` gives a wide and a narrow one
of which the page shows the one that fits. Colours and strokes are ``charts.css``, :func:`style`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

from nenrin.api.charts.frame import NARROW, WIDE
from nenrin.api.charts.histogram import histogram
from nenrin.api.charts.line import Mark, Series, line
from nenrin.api.charts.matrix import matrix
from nenrin.api.charts.reliability import Reliability, reliability
from nenrin.api.charts.rows import Change, Interval, Part, changes, intervals, shares
from nenrin.api.charts.scale import short
from nenrin.api.charts.timeline import Happening, Lane, timeline
from nenrin.api.markup import Markup, join, tag

__all__ = [
    "Change", "Happening", "Interval", "Lane", "Mark", "Part", "Reliability", "Series", "changes",
    "histogram", "intervals", "line", "matrix", "reliability", "responsive", "shares", "short", "style",
    "timeline",
]  # fmt: skip


def responsive(draw: Callable[[int], Markup]) -> Markup:
    """The chart ``draw(width)`` for wide pages and for telephones."""
    return join(
        tag("div", {"class": "wide"}, draw(WIDE)), tag("div", {"class": "narrow"}, draw(NARROW))
    )


def style() -> str:
    """The style sheet of all charts."""
    return files(__name__).joinpath("charts.css").read_text(encoding="utf-8")
