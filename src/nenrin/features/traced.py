"""What tracing a feature view gives: plain data, which is stored and sent as it is."""

from __future__ import annotations

from pathlib import Path

import msgspec

from nenrin.features.kinds import Kind
from nenrin.features.tree import Node, Window


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """A traced feature view.

    Attributes:
        view: the view's name.
        dataset: name of the dataset, of a view with ``by``.
        by: columns that join it to a model's rows, with their kinds; empty for a view over the request.
        key: columns that identify a row of its dataset (versions of one row share them).
        ttl: microseconds until a row is too old; None: never.
        hop: grid of the window starts in microseconds; 1: exact.
        features: the trees, in declared order; where a tree reads a window, it reads its column.
        windows: the windows, in the order of their columns ``__window_0__``, ``__window_1__``, ...
        columns: the dataset's columns read outside windows.
        python: why the function runs row by row; empty: it was traced, and ``features`` holds all.
        where: ``file:line`` of the function.
    """

    view: str
    dataset: str = ""
    by: dict[str, Kind] = {}
    key: tuple[str, ...] = ()
    ttl: int | None = None
    hop: int = 1
    features: dict[str, Node] = {}
    windows: tuple[Window, ...] = ()
    columns: dict[str, Kind] = {}
    python: str = ""
    where: str = ""

    def stored(self) -> Traced:
        """The view as stored features keep it: the same wherever the project's folder lies."""
        return msgspec.structs.replace(self, where=Path(self.where).name)
