"""A histogram: how often which value."""

from __future__ import annotations

from collections.abc import Sequence

from nenrin.api.charts.frame import Frame
from nenrin.api.markup import Markup, tag


def histogram(
    edges: Sequence[float],
    counts: Sequence[float],
    *,
    label: str,
    title: str = "",
    width: int = 340,
) -> Markup:
    """Counts between edges.

    Args:
        edges: ascending, one more than counts.
        counts: rows, or a share of them, in each bin.
        label: what a screen reader says.
        title: the unit of the counts.
        width: of the picture in pixels.
    """
    ends = (edges[0], edges[-1]) if len(edges) > 1 and edges[-1] > edges[0] else (0.0, 1.0)
    most = max(counts, default=1) or 1
    frame = Frame(
        width=width, height=width * 3 // 5, x=ends, y=(0, most * 1.05), top=24 if title else 10
    )
    bars = []
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        box: dict[str, object] = {
            "class": "bar",
            "x": frame.px(low) + 0.5,
            "y": frame.py(count),
            "width": max(frame.px(high) - frame.px(low) - 1, 0.5),
            "height": frame.floor - frame.py(count),
        }
        bars.append(tag("rect", box, tag("title", {}, f"{low:g} to {high:g}: {count:,g}")))
    return frame.svg(label, frame.value_axis(title), frame.number_axis(4), bars)
