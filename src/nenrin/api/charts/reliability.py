"""Reliability curves: how often what was said with probability p came true."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from nenrin.api.charts.frame import Frame, dot, rule, text
from nenrin.api.charts.scale import linear
from nenrin.api.markup import Markup, number, tag


class Reliability(msgspec.Struct, frozen=True, kw_only=True):
    """Bins of one policy: mean prediction, share of positives, rows; tone 0 is emphasised."""

    name: str
    p: Sequence[float]
    y: Sequence[float]
    n: Sequence[int]
    tone: int = 1


def reliability(curves: Sequence[Reliability], *, label: str, width: int = 340) -> Markup:
    """Observed against predicted; the diagonal is perfect, a dot's area is its number of rows."""
    drawn = [value for curve in curves for value in (*curve.p, *curve.y)]
    high = min(1.0, math.ceil(max(drawn, default=1.0) * 10) / 10)
    frame = Frame(width=width, height=width, x=(0, high), y=(0, high), bottom=42, top=24)
    corner = (frame.px(high), frame.py(high))
    return frame.svg(
        label,
        frame.value_axis("came true"),
        frame.number_axis(4),
        text(frame.edge, frame.floor + 36, "predicted", "title", anchor="end"),
        rule(frame.left, frame.floor, *corner, "zero"),
        [_curve(frame, curve) for curve in sorted(curves, key=lambda each: -each.tone)],
    )


def _curve(frame: Frame, curve: Reliability) -> Markup:
    points = list(zip(curve.p, curve.y, curve.n, strict=True))
    path = "L".join(f"{number(frame.px(p))},{number(frame.py(y))}" for p, y, _ in points)
    most = max(curve.n, default=1) or 1
    dots = [
        dot(
            frame.px(p),
            frame.py(y),
            f"point t{curve.tone}",
            radius=linear((0, 1), (2, 6), math.sqrt(n / most)),
            hint=f"{curve.name}: of {n:,} rows predicted {p:.3f}, {y:.3f} came true",
        )
        for p, y, n in points
        if curve.tone == 0
    ]
    return tag("g", {}, tag("path", {"class": f"line t{curve.tone}", "d": f"M{path}"}), dots)
