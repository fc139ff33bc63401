"""A heat map: rows by columns, darker is more, some cells outlined."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nenrin.api.charts.frame import WIDE, picture, room_for, text
from nenrin.api.charts.scale import finite
from nenrin.api.markup import Markup, join, number, tag

_LEVELS = 8


def matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    label: str,
    outlined: Sequence[tuple[int, int]] = (),
    most: float | None = None,
    width: int = WIDE,
) -> Markup:
    """Values as shades in eight steps from 0 to ``most``.

    Args:
        rows: names, from above.
        columns: names, from the left; as many are written as there is room for.
        values: one list a row; ``None`` leaves the cell empty.
        label: what a screen reader says.
        outlined: (row, column) of cells to frame.
        most: the value of the darkest shade; default the largest.
        width: of the picture in pixels.
    """
    left = room_for(list(rows), most=width * 0.28)
    step = (width - left) / max(len(columns), 1)
    height = max(min(step, 12.0), 9.0)
    top = 4.0
    scale = most or max(finite(value for row in values for value in row), default=1.0) or 1.0
    boxes: dict[int, list[str]] = {}
    for index, row in enumerate(values):
        for column, value in enumerate(row):
            for shown in finite([value]):
                level = min(_LEVELS, max(0, round(shown / scale * _LEVELS)))
                corner = (left + column * step, top + index * height)
                boxes.setdefault(level, []).append(_box(*corner, step - 1, height - 1))
    shades = [
        tag("path", {"class": f"cell h{level}", "d": "".join(boxes[level])})
        for level in sorted(boxes)
    ]
    frames = "".join(
        _box(left + column * step, top + row * height, step - 1, height - 1)
        for row, column in outlined
    )
    return picture(
        width,
        top + height * len(rows) + 24,
        label,
        shades,
        tag("path", {"class": "outline", "d": frames}),
        _row_names(rows, top, height),
        _column_names(columns, left, step, top + height * len(rows) + 16),
    )


def _box(x: float, y: float, width: float, height: float) -> str:
    across = number(width)
    return f"M{number(x)},{number(y)}h{across}v{number(height)}h-{across}z"


def _row_names(rows: Sequence[str], top: float, height: float) -> Markup:
    every = math.ceil(13 / height)
    return join(
        text(0, top + height * (index + 0.5) + 4, name, "tick")
        for index, name in enumerate(rows)
        if index % every == 0
    )


def _column_names(columns: Sequence[str], left: float, step: float, y: float) -> Markup:
    every = math.ceil(52 / step)
    return join(
        text(left + step * index, y, name, "tick")
        for index, name in enumerate(columns)
        if index % every == 0
    )
