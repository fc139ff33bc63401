"""What identifies a row, and what it sticks to its version by."""

from __future__ import annotations

import msgspec

from nenrin.serving.plane.served import Served
from nenrin.serving.router import key_text
from nenrin.training.records import LEFT_OUT, Records


def keys_of(served: Served, rows: Records) -> list[str]:
    """The text of every row's key; empty where a part of it was not sent."""
    names = served.deployment.request.key
    if not names or names[0] in rows.nulls:
        return [""] * len(rows)
    parts = zip(*(rows.columns[name] for name in names), strict=True)
    return ["" if None in part else key_text(part) for part in parts]


def texts_of(served: Served, keys: list[str], rows: Records) -> list[str]:
    """What each row sticks to its version by: the declared column, its key, else its content."""
    if not served.asking.by_key:
        return keys
    by = served.deployment.request.sticky
    if by and not served.deployment.request.sticky_header and by not in rows.nulls:
        known = rows.columns[by]
        keys = [
            key if value is None or value is LEFT_OUT else key_text([value])
            for key, value in zip(keys, known, strict=True)
        ]
    if "" not in keys:
        return keys
    return [key or msgspec.json.encode(row).decode() for key, row in zip(keys, rows, strict=True)]
