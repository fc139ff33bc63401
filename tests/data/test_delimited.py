"""Text files of rows: their separators, and what is said of those that cannot be read."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import DataError
from nenrin.data.delimited import ending, read_text
from nenrin.data.frames import table
from nenrin.data.spec import DatasetSpec

SPEC = DatasetSpec(name="orders", where="project.py:3")


def _read(folder: Path, data: str | bytes, name: str = "t.csv") -> pl.DataFrame:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return table(path, SPEC)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_told_by_the_header(tmp_path: Path, name: str, separator: str) -> None:
    rows = [["id", "ordered at", "note"], ["1", "2024-01-01", '"a,b;c"'], ["2", "2024-01-02", "x"]]
    text = "\n".join(separator.join(row) for row in rows).encode()
    frame = _read(tmp_path, gzip.compress(text) if name.endswith("gz") else text, name)
    assert frame.columns == rows[0]
    assert frame["id"].to_list() == [1, 2]
    assert frame["note"].to_list() == ["a,b;c", "x"]


def test_the_endings_own_separator_comes_first(tmp_path: Path) -> None:
    assert _read(tmp_path, "id,a|b|c\n1,2\n3,4\n").columns == ["id", "a|b|c"]
    assert _read(tmp_path, "one\n1\n").columns == ["one"]
    assert _read(tmp_path, "price, net;weight;n\n1;2;3\n4;5;6\n").width == 3
    assert _read(tmp_path, "\n\na;b\n1;2\n").columns == ["a", "b"]
    assert _read(tmp_path, "\ufeffa;b\n1;2\n").columns == ["a", "b"]


def test_where_commas_do_not_separate_they_may_be_decimal(tmp_path: Path) -> None:
    frame = _read(tmp_path, "a;b;c\n1,5;1,5;1\nNA;x;2\n-2;3;3\n")
    assert frame["a"].to_list() == [1.5, None, -2.0]
    assert frame["b"].to_list() == ["1,5", "x", "3"]
    assert frame["c"].dtype == pl.Int64
    assert _read(tmp_path, 'a,b\n"1,5",1\n')["a"].to_list() == ["1,5"]


def test_quotes_in_the_name_of_a_column(tmp_path: Path) -> None:
    assert _read(tmp_path, '"5"" screw","a,b",c\n1,2,3\n').columns == ['5" screw', "a,b", "c"]


@given(st.lists(st.text("ab,;|\t\"' ", min_size=1), min_size=2, max_size=4, unique=True))
def test_names_survive_the_file(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    path = tmp_path_factory.mktemp("names") / "t.csv"
    frame = pl.DataFrame({f"<{name}>": [1, 2] for name in names})
    frame.write_csv(path, quote_style="always")
    assert read_text(path, SPEC, {}).equals(frame)


@pytest.mark.parametrize(
    ("data", "said", "hint"),
    [
        (b"", "is empty", "header"),
        (b" \n\n", "is empty", "header"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16, not UTF-8", "iconv -f UTF-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), "is binary", "export"),
        ("a,b\n1,é\n".encode("latin-1"), "not UTF-8: byte 0xe9 in line 2", "iconv -f LATIN1"),
        (bytes(range(256)), "is binary", "export"),
        (b"PAR1....", "is Parquet, not text", "ending"),
        (b"PK\x03\x04....", "is a ZIP archive", "export CSV"),
        ("a,b\n1,2\n1,2,3\n", "has 3 fields in line 3, and its header 2", "quotes"),
        ('a;b\n"x\ny";2\n1;2;3\n', "has 3 fields in line 4, .* by ';'", "quotes"),
        ('a,b\n1,2\n"1,2\n3,4\n', "quote that is never closed, .* line 3", "close it"),
    ],
)
def test_what_ails_a_file_is_said(tmp_path: Path, data: str | bytes, said: str, hint: str) -> None:
    with pytest.raises(DataError, match=said) as raised:
        _read(tmp_path, data)
    assert hint in raised.value.hint
    assert raised.value.where == "project.py:3"


@pytest.mark.parametrize(
    ("data", "said"), [(b"", "is empty"), (b"a,b\n1,2\n", "is not Parquet"), (b"PAR1", "cut off")]
)
def test_what_is_no_parquet_is_said(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(DataError) as raised:
        _read(tmp_path, data, "t.parquet")
    assert said in f"{raised.value.message} {raised.value.hint}"


def test_what_is_not_packed_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no gzip file"):
        _read(tmp_path, "a,b\n1,2\n", "t.csv.gz")


def test_endings() -> None:
    names = ["a.CSV.gz", "b.tsv", "c.2024.parquet", "d", "e.gz"]
    assert [ending(name) for name in names] == [".csv", ".tsv", ".parquet", "", ""]
