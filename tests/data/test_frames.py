from __future__ import annotations

import gzip

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from nenrin.core.errors import DataError
from nenrin.data.frames import table
from nenrin.data.spec import DatasetSpec

SPEC = DatasetSpec(name="orders", where="project.py:3")
WANTED = pl.DataFrame({"id": [1, 2], "name": ["a", None]})


@pytest.mark.parametrize(
    "source",
    [
        WANTED,
        WANTED.lazy(),
        {"id": [1, 2], "name": ["a", None]},
        [{"id": 1, "name": "a"}, {"id": 2, "name": None}],
        pa.table({"id": [1, 2], "name": ["a", None]}),
        pd.DataFrame({"id": [1, 2], "name": ["a", None]}),
        pd.DataFrame({"id": [1, 2], "name": ["a", None]}).set_index("id"),
        WANTED.with_columns(pl.col("name").cast(pl.Categorical)),
        pd.DataFrame({"id": [1, 2], "name": pd.Categorical(["a", None])}),
    ],
)
def test_every_kind_of_table_gives_the_same_frame(source):
    assert table(source, SPEC).equals(WANTED)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz", "t.parquet"])
def test_files(tmp_path, name):
    path = tmp_path / name
    if name.endswith("parquet"):
        WANTED.write_parquet(path)
    else:
        text = WANTED.write_csv(separator="\t" if name == "t.tsv" else ",").encode()
        path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert table(path, SPEC).equals(WANTED)
    assert table(str(path), SPEC).equals(WANTED)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "nothing"),
        (42, "an int"),
        ((row for row in []), "a generator"),
        ("missing.csv", "no file"),
        ({"a": [1, 2], "b": [1]}, "cannot be read"),
        ({"a": [1, "x"]}, "cannot be read"),
        (pl.DataFrame({"a": [object()]}), "Python objects"),
    ],
)
def test_what_is_no_table_is_named_with_a_hint(source, said):
    with pytest.raises(DataError, match=said) as raised:
        table(source, SPEC)
    assert raised.value.where == "project.py:3"
    assert raised.value.hint


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match="neither CSV"):
        table(tmp_path / "t.xlsx", SPEC)


def test_two_columns_of_one_name_are_refused():
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(DataError, match="two columns called a"):
        table(frame, SPEC)


def test_words_for_none_do_not_make_numbers_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("whole,part,code,mixed,blank\n1,1.5,NA,1,\nNA, ,DE,x,\n3,?,FR,3,\n")
    frame = table(path, SPEC)
    assert frame["whole"].to_list() == [1, None, 3]
    assert frame["part"].to_list() == [1.5, None, None]
    assert frame["code"].to_list() == ["NA", "DE", "FR"]
    assert frame["mixed"].to_list() == ["1", "x", "3"]
    assert frame["blank"].dtype == pl.String


def test_blank_lines_at_the_end_are_no_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,\n,\n,x\n\n\n")
    assert table(path, SPEC).rows() == [(1, None), (None, None), (None, "x")]
    path.write_text("a,b\n,\n")
    assert table(path, SPEC).is_empty()
    path.write_text("a\n1\n\n")
    assert table(path, SPEC)["a"].to_list() == [1, None]


def test_what_was_text_before_stays_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("zip,n\n01234,1\n")
    assert table(path, SPEC, {"zip": pl.String()})["zip"].to_list() == ["01234"]


def test_a_column_without_values_holds_numbers_or_what_it_held_before():
    assert table({"a": [None, None]}, SPEC)["a"].dtype == pl.Float64
    assert table({"a": [None, None]}, SPEC, {"a": pl.String()})["a"].dtype == pl.String


def test_columns_without_a_name_are_called_by_their_place(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(",a,,b, \n0,1,2,3,4\n")
    assert table(path, SPEC).columns == ["unnamed_1", "a", "unnamed_3", "b", "unnamed_5"]
    assert table(pl.DataFrame({"a": [1], "": [2]}), SPEC).columns == ["a", "unnamed_2"]
    assert table({"_duplicated_0": [1]}, SPEC).columns == ["_duplicated_0"]
    with pytest.raises(DataError, match="cannot be read"):
        table({"": [1], "unnamed_1": [2]}, SPEC)
