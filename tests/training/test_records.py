from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

from nenrin.training.records import Records

ROWS = [{"a": 1.0, "s": "x"}, {"a": None, "s": "y"}, {"a": 2.5, "s": None}]
BLOCK = np.array([[1.0, 2.0], [np.nan, 4.0], [5.0, 6.0]])
PLAIN = [
    {"id": None, "a": 1.0, "b": 2.0},
    {"id": None, "a": None, "b": 4.0},
    {"id": None, "a": 5.0, "b": 6.0},
]


def block(rows: slice = slice(None)) -> Records:
    return Records.of_block(("a", "b"), BLOCK[rows], ("id",))


def tuples(rows: slice = slice(None)) -> Records:
    sent = [(1.0, 2.0), (None, 4.0), (5.0, 6.0)]
    return Records.of_tuples(("a", "b"), sent[rows], ("id",), b"[[1.0,2.0],[null,4],[5,6.0]]")


@pytest.mark.parametrize(
    ("records", "rows"),
    [(Records.of_dicts(ROWS), ROWS), (block(), PLAIN), (tuples(), PLAIN)],
    ids=["columns", "block", "tuples"],
)
def test_they_are_their_rows(records: Records, rows: list[dict[str, object]]) -> None:
    assert isinstance(records, Sequence)
    assert len(records) == 3
    assert list(records) == rows
    assert [records[place] for place in range(3)] == rows
    assert records[-1] == rows[-1]
    assert list(records[1:]) == rows[1:]
    assert list(records.take([2, 0])) == [rows[2], rows[0]]
    assert records == rows
    with pytest.raises(IndexError):
        records[3]


def test_joining() -> None:
    first, second = Records.of_dicts(ROWS[:1]), Records.of_dicts(ROWS[1:])
    assert list(Records.joined([first, second])) == ROWS
    whole = Records.joined([block(slice(1)), block(slice(1, 3))])
    assert whole.block is not None
    assert list(whole) == PLAIN
    whole = Records.joined([tuples(slice(1)), tuples(slice(1, 3))])
    assert whole.tuples is not None
    assert list(whole) == PLAIN
    assert list(Records.joined([tuples(slice(1)), block(slice(1, 3))])) == PLAIN
    mixed = Records.joined([block(slice(1)), Records.of_dicts(PLAIN[1:])])
    assert mixed.block is None
    assert list(mixed) == PLAIN


def test_a_matrix_of_columns_in_any_order() -> None:
    whole = block()
    assert whole.matrix(("a", "b")) is whole.block
    np.testing.assert_array_equal(whole.matrix(("b",)), BLOCK[:, 1:])  # type: ignore[arg-type]
    assert whole.matrix(("a", "c")) is None
    assert Records.of_dicts(ROWS).matrix(("a",)) is None
    assert whole.pick(("a", "b")).block is whole.block
    assert list(whole.pick(("id", "b"))) == [{"id": None, "b": row["b"]} for row in PLAIN]
    picked = tuples().pick(("b", "id"))
    assert picked.of is not None
    assert list(picked.take([1])) == list(picked[1:2]) == [{"b": 4.0, "id": None}]
    for part in (tuples().take([2, 0]), tuples()[1:]):
        assert part.text == b""  # it is of all that came
    joined = Records.joined([tuples(), tuples()])
    assert json.loads(joined.text) == [list(row) for row in joined.tuples or ()]
    assert list(Records.of_dicts(ROWS).pick(("s",))) == [{"s": row["s"]} for row in ROWS]


def test_rows_without_columns() -> None:
    assert list(Records({}, 2)) == [{}, {}]
