"""The row table."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import IntegrityError
from nenrin.core.instants import DAY, HOUR
from nenrin.data.declare import dataset
from nenrin.training.asking import ask
from nenrin.training.columns import FeatureColumn
from nenrin.training.declare import Model, model
from nenrin.training.labels import Labels
from nenrin.training.table import FOLDS, RowTable, Selection
from tests.training.example import START, load_project, table_of


def _table(
    asked: list[int], answered: list[int | None], corrections: list[tuple[int, int, float]]
) -> RowTable:
    n = len(asked)
    ordered = sorted(
        (each for each in corrections if answered[each[0]] is not None), key=lambda each: each[1]
    )
    labels = Labels(
        answered=np.array([2**63 - 1 if a is None else a for a in answered], dtype=np.int64),
        y=np.array([np.nan if a is None else 0.0 for a in answered]),
        corrected=np.array([row for row, _, _ in ordered], dtype=np.int64),
        corrected_at=np.array([at for _, at, _ in ordered], dtype=np.int64),
        corrected_y=np.array([y for _, _, y in ordered], dtype=np.float64),
    )
    return RowTable(
        zone="UTC",
        asked=np.array(sorted(asked), dtype=np.int64),
        known=np.zeros(n, dtype=np.int64),
        labels=labels,
        columns=(),
        fold=np.arange(n, dtype=np.int8) % FOLDS,
        _keys=pl.Series([f"k{place}" for place in range(n)]),
    )


rows = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 9), min_size=n, max_size=n),
        st.lists(st.none() | st.integers(0, 9), min_size=n, max_size=n),
        st.lists(
            st.tuples(st.integers(0, n - 1), st.integers(9, 12), st.sampled_from([1.0, np.nan])),
            max_size=6,
        ),
    )
)


@given(rows, st.integers(0, 13), st.integers(0, 10), st.none() | st.integers(0, 9))
def test_selections_hold_labelled_rows_as_they_were_known(
    drawn: tuple[list[int], list[int | None], list[tuple[int, int, float]]],
    known_by: int,
    cutoff: int,
    since: int | None,
) -> None:
    asked, answered, corrections = drawn
    table = _table(asked, answered, corrections)
    wanted = []
    for row, when in enumerate(sorted(asked)):
        label = np.nan
        if answered[row] is not None and answered[row] <= known_by:
            label = 0.0
            for changed, at, y in sorted(corrections, key=lambda each: each[1]):
                if changed == row and at <= known_by:
                    label = y
        if when < cutoff and (since is None or when >= since) and not np.isnan(label):
            wanted.append((row, label))
    selected = table.select(Selection(cutoff=cutoff, known_by=known_by, since=since))
    assert list(zip(selected.indices.tolist(), selected.y.tolist(), strict=True)) == wanted
    assert selected.weight.tolist() == [1.0] * len(wanted)


def test_weights_halve_with_age_and_have_mean_one() -> None:
    table = _table([0, 10, 20], [0, 0, 0], [])
    weight = table.select(Selection(cutoff=30, known_by=99, half_life=10)).weight
    assert weight.mean() == pytest.approx(1.0)
    assert (weight[1:] / weight[:-1]).tolist() == [2.0, 2.0]


def test_very_short_half_lives_leave_the_newest_row() -> None:
    table = _table([0, 10**9, 2 * 10**9], [0, 0, 0], [])
    weight = table.select(Selection(cutoff=10**15, known_by=10**15, half_life=1)).weight
    assert weight.tolist() == [0.0, 0.0, 3.0]


def test_folds_are_left_out() -> None:
    table = _table(list(range(10)), [0] * 10, [])
    left = table.select(Selection(cutoff=99, known_by=99, without_folds=(0, 3))).indices
    assert left.tolist() == [1, 2, 4, 6, 7, 9]


def test_labels_of_a_part_are_the_part_of_the_labels() -> None:
    table = _table([0, 1, 2], [0, 0, None], [(1, 10, 1.0), (0, 11, np.nan)])
    np.testing.assert_array_equal(table.labels_at(11), [np.nan, 1.0, np.nan])
    np.testing.assert_array_equal(table.labels_at(10, 1), [1.0, np.nan])
    np.testing.assert_array_equal(table.labels_at(9, 0, 2), [0.0, 0.0])


def test_between_is_half_open() -> None:
    table = _table([0, 5, 5, 9], [0] * 4, [])
    assert table.between(5, 9) == (1, 3)
    assert table.between(9, 5) == (3, 3)


def test_bytes_give_the_same_table(folder: Path, tmp_path: Path) -> None:
    table = table_of(_declared(folder))
    data = table.dumps()
    path = tmp_path / "rows"
    path.write_bytes(data)
    for again in (RowTable.loads(data), RowTable.open(path)):
        assert again.zone == "America/New_York"
        assert again.keys.equals(table.keys)
        np.testing.assert_array_equal(again.asked, table.asked)
        np.testing.assert_array_equal(again.known, table.known)
        for name in ("answered", "y", "corrected", "corrected_at", "corrected_y"):
            np.testing.assert_array_equal(getattr(again.labels, name), getattr(table.labels, name))
        for mine, theirs in zip(again.columns, table.columns, strict=True):
            assert mine.spec == theirs.spec
            np.testing.assert_array_equal(mine.numbers(), theirs.numbers())
        assert again.dumps() == data


def test_a_table_without_rows_survives(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(_table([], [], []).dumps())
    assert len(RowTable.open(path)) == 0
    assert len(RowTable.open(path).keys) == 0


def test_other_bytes_are_refused() -> None:
    with pytest.raises(IntegrityError):
        RowTable.loads(b"PAR1 something else, long enough")


def test_the_same_rows_make_the_same_bytes(folder: Path) -> None:
    declared = _declared(folder)
    assert table_of(declared).dumps() == table_of(declared).dumps()


def test_a_longer_history_begins_with_the_shorter(folder: Path) -> None:
    """What is selected at a look depends on nothing that came later."""
    full = table_of(_declared(folder))
    cutoff = START + 20 * DAY
    look = Selection(cutoff=cutoff, known_by=cutoff + 9 * HOUR, half_life=5 * DAY)
    selected = full.select(look)
    later = full.labels.answered[selected.indices]
    assert (later <= look.known_by).all()
    assert (full.asked[selected.indices] < cutoff).all()


def test_rows_without_time_fall_into_folds_by_key() -> None:
    @dataset(key="id")
    def shops() -> None: ...

    @model(rows=shops, label=shops.y)
    def guess(rows: object) -> None: ...

    n = 500
    frame = pl.DataFrame({"id": range(n), "y": [0.0] * n}).with_columns(
        __event__=pl.lit(None, dtype=pl.Int64), __known__=pl.lit(7, dtype=pl.Int64)
    )
    table = RowTable.build(guess, ask(guess, frame), frame, frame.select(x=pl.col("y")))
    assert set(table.asked.tolist()) == {7}
    sizes = np.bincount(table.fold, minlength=FOLDS)
    assert (sizes > n / FOLDS / 2).all()
    part = frame.head(100)
    of_part = RowTable.build(guess, ask(guess, part), part, part.select(x=pl.col("y")))
    assert (
        dict(zip(of_part.keys, of_part.fold, strict=True)).items()
        <= dict(zip(table.keys, table.fold, strict=True)).items()
    )


def test_selections_cross_processes() -> None:
    selection = Selection(cutoff=5, known_by=6, half_life=7, without_folds=(1,))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(selection), type=Selection) == selection


def _declared(folder: Path) -> Model:
    declared = load_project(folder)["boosted"]
    assert isinstance(declared, Model)
    return declared


def test_what_a_model_sees_of_rows_is_told_by_their_features(folder: Path) -> None:
    table = table_of(_declared(folder))
    told = table.digest_within(100, 200)
    assert table.digest_within(100, 201) != told
    assert table.digest_within(101, 201) != told
    later = dataclasses.replace(table, known=table.known + 1, labels=_table([], [], []).labels)
    assert later.digest_within(100, 200) == told  # no model sees those
    for place, column in enumerate(table.columns):
        values = column.values.copy()
        values[150] = values[150] + 1 if column.kind != "string" else -1
        changed = dataclasses.replace(column, values=values)
        columns = (*table.columns[:place], changed, *table.columns[place + 1 :])
        other = dataclasses.replace(table, columns=columns)
        assert other.digest_within(100, 200) != told, column.name
        assert other.digest_within(0, 150) == table.digest_within(0, 150)


def test_texts_that_other_rows_bring_change_no_digest() -> None:
    few, many = (np.array(codes, dtype=np.int32) for codes in ([1, 0], [2, 0, 1]))
    short = _with_columns(FeatureColumn("t", "string", few, None, ("a", "b")))
    long = _with_columns(FeatureColumn("t", "string", many, None, ("a", "aa", "b")))
    assert short.digest_within(0, 2) == long.digest_within(0, 2)


def test_it_is_told_which_column_has_the_gap() -> None:
    zero, gap = np.zeros(1, dtype=np.int64), np.array([True])
    whole = [FeatureColumn(name, "integer", zero, None) for name in "ab"]
    holed = [FeatureColumn(name, "integer", zero, gap) for name in "ab"]
    one, other = _with_columns(holed[0], whole[1]), _with_columns(whole[0], holed[1])
    assert one.digest_within(0, 1) != other.digest_within(0, 1)
    assert one.digest_before(9, 9) != other.digest_before(9, 9)


def _with_columns(*columns: FeatureColumn) -> RowTable:
    n = len(columns[0].values)
    return dataclasses.replace(_table([0] * n, [0] * n, []), columns=columns)
