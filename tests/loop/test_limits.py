"""What labels and rows keep the loop from doing is said; where nothing stands in the way, nothing is."""

from __future__ import annotations

from datetime import date

import numpy as np

from nenrin.core.instants import DAY, HOUR
from nenrin.loop.ground import Ground
from nenrin.loop.limits import limits
from nenrin.loop.opening import _fresh
from nenrin.loop.ports import Prepared
from nenrin.loop.scores import _spread
from nenrin.stats.metrics import ROW_LOSSES
from nenrin.training.table import RowTable
from tests.loop.world import Told, deployed, row_table, table_of

TABLE, X = row_table(120)
DECLARED = deployed(TABLE, Told({}), look=date(2021, 3, 1)).declared


def test_nothing_is_said_of_plenty_of_rows_with_early_labels() -> None:
    assert limits(DECLARED, TABLE, 9 * HOUR) == []


def test_labels_later_than_four_days_are_named() -> None:
    (said,) = limits(DECLARED, TABLE, 10 * DAY + 9 * HOUR)
    assert "settle in 10d 9h" in said
    assert "neither twins nor the watch" in said


def test_too_few_labels_for_the_watch_are_named() -> None:
    sparse, _ = row_table(120, 8)
    (said,) = limits(DECLARED, sparse, 9 * HOUR)
    assert "About 6 blocks" in said


def cut(table: RowTable, at: int) -> RowTable:
    """The table as it is without what came after an instant."""
    rows = int(np.searchsorted(table.asked, at))
    return table_of(table.asked[:rows], table.answered[:rows], table.y[:rows])


def later(table: RowTable, at: int) -> RowTable:
    """The table with other labels, which take longer, for everything known after an instant."""
    late = table.answered > at
    answered = np.where(late, table.answered + 20 * DAY, table.answered)
    return table_of(table.asked, answered, np.where(late, 7.0, table.y))


def test_settle_age_and_spread_do_not_change_with_what_comes_after() -> None:
    start = int(TABLE.asked[0])
    look = start + 60 * DAY
    for other in (cut(TABLE, look), later(TABLE, look)):
        assert _settle(other, look) == _settle(TABLE, look)
        assert _spread(ground(other)) == _spread(ground(TABLE))
    assert _settle(later(TABLE, look), look + 60 * DAY) > _settle(TABLE, look + 60 * DAY)
    assert _spread(ground(later(TABLE, start))) != _spread(ground(TABLE))


def ground(table: RowTable) -> Ground:
    return Ground(table, ROW_LOSSES["squared"])


def _settle(table: RowTable, look: int) -> int:
    class Here:
        declared = DECLARED
        project = table_digest = ""

    Here.table = table  # type: ignore[attr-defined]
    prepared: Prepared = Here()  # type: ignore[assignment]
    return _fresh(prepared, ground(table), look).settle
