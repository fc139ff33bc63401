"""From the row that counts and the windows of one key to the features of one question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nenrin.features.compiled import row_function
from nenrin.features.traced import Traced
from nenrin.features.tree import Column, walk


class OneRow:
    """The features of a view with ``by=`` columns, whoever found what they are computed from.

    Attributes:
        of_row: the features that read the chosen row, and are null if there is none.
    """

    def __init__(self, traced: Traced) -> None:
        self._windows = [f"__window_{i}__" for i in range(len(traced.windows))]
        self._columns = list(traced.columns)
        self._nulls = [None] * len(self._columns)
        self._function = row_function(traced.features, traced.view)
        self.of_row = frozenset(
            name
            for name, node in traced.features.items()
            if any(isinstance(n, Column) and n.name in traced.columns for n in walk(node))
        )

    def features(self, values: Sequence[Any] | None, sums: Sequence[Any]) -> dict[str, Any]:
        """The features, in declared order.

        Args:
            values: physical values of the chosen row, in the order of the view's columns; None: no row.
            sums: the windows' values, in their order.
        """
        leaves = dict(zip(self._windows, sums, strict=True))
        leaves |= zip(self._columns, self._nulls if values is None else values, strict=True)
        found: dict[str, Any] = self._function(leaves)
        return found if values is not None else found | dict.fromkeys(self.of_row)
