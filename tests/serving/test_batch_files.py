"""What is read of Parquet, CSV and JSON lines, and from which row on."""

from __future__ import annotations

import gzip
from datetime import date, datetime
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nenrin.backends.blobs.bucket import Bucket
from nenrin.core.errors import DataError, RequestError
from nenrin.features.entities import Lookup
from nenrin.serving.batch.sources import batches, rows_of, sources
from nenrin.serving.plane.rows import RowReader
from nenrin.serving.signature import RequestSignature
from nenrin.testing.object_store import ObjectStoreServer

TYPES = {
    "id": pl.String(),
    "n": pl.Int64(),
    "x": pl.Float64(),
    "yes": pl.Boolean(),
    "at": pl.Datetime("us", "UTC"),
    "on": pl.Date(),
}
SIGNATURE = RequestSignature.of(TYPES, known=TYPES, zone="America/New_York")  # type: ignore[arg-type]
READER = RowReader(SIGNATURE)
BY_KEY = RequestSignature.of(
    {"n": pl.Int64(), "x": pl.Float64()},
    known={"id": pl.String()},
    key=("id",),
    lookup=Lookup(columns=("n", "x")),
)


def read(given: Path, *, after: int = 0, rows: int = 100) -> list[dict[str, Any]]:
    (source,) = sources(str(given))
    found = batches(source, SIGNATURE, after=after, rows=rows)
    return [row for batch in found for row in batch.read(READER)]


def table(rows: int = 5) -> pl.DataFrame:
    start = datetime(2013, 7, 1, 18, 30, 0, 250_000)
    return pl.DataFrame(
        {
            "other": range(rows),
            "id": [f"a{number}" for number in range(rows)],
            "n": pl.Series([2**60 + number for number in range(rows)]),
            "x": [number / 3 for number in range(rows)],
            "yes": [number % 2 == 0 for number in range(rows)],
            "at": [start] * rows,
            "on": [date(2013, 7, 1)] * rows,
        }
    )


def test_all_forms_hold_the_same_rows(tmp_path: Path) -> None:
    frame = table()
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_csv(tmp_path / "a.csv")
    frame.write_csv(tmp_path / "a.tsv", separator="\t")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    frame.write_ndjson(tmp_path / "a.ndjson")
    other = frame.with_columns(
        pl.col("id").cast(pl.Categorical),
        pl.col("x").cast(pl.Float64),
        pl.col("at").dt.replace_time_zone("America/New_York").dt.cast_time_unit("ns"),
    )
    other.write_parquet(tmp_path / "c.parquet")
    expected = read(tmp_path / "a.parquet")
    assert expected[0]["at"].isoformat() == "2013-07-01T22:30:00.250000+00:00"
    assert [row["n"] for row in expected] == frame["n"].to_list()
    for name in ("a.csv", "a.tsv", "b.csv.gz", "a.ndjson", "c.parquet"):
        assert read(tmp_path / name) == expected, name


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.ndjson"])
def test_batches_are_numbered_and_begin_at_any_row(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    frame = table(25)
    {".parquet": frame.write_parquet, ".csv": frame.write_csv, ".ndjson": frame.write_ndjson}[
        path.suffix
    ](path)
    (source,) = sources(str(path))
    found = list(batches(source, SIGNATURE, after=7, rows=10))
    assert [list(batch.numbers) for batch in found] == [list(range(8, 18)), list(range(18, 26))]
    assert [row["id"] for row in found[0].read(READER)] == [f"a{n}" for n in range(7, 17)]
    assert list(batches(source, SIGNATURE, after=25, rows=10)) == []
    assert rows_of([source]) == (25 if path.suffix == ".parquet" else 0)


def test_texts_are_told_by_the_signature(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "id;n;x;yes;at;on\n007;5.0;1,5;True;2013-07-01 10:00;2013-07-01\n\n;NA;-;;?;\nb;1;2;0;;\n"
    )
    first, second, third = read(path)
    assert (first["id"], first["n"], first["x"], first["yes"]) == ("007", 5, 1.5, True)
    assert first["at"].hour == 14
    assert set(second.values()) == {None}
    assert third["yes"] is False
    (source,) = sources(str(path))
    (batch,) = batches(source, SIGNATURE, after=0, rows=10)
    assert list(batch.numbers) == [1, 3, 4]  # the blank line is no row, and is counted


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("x", "many", "'many' is not a number"),
        ("x", "-1e400", "'-1e400' is not a number"),
        ("n", "1e400", "'1e400' is not a whole number"),
        ("n", "1.5", "1.5 is not a whole number"),
        ("yes", "perhaps", "'perhaps' is not true or false"),
        ("at", "noon", "'noon' is not a time"),
        ("at", "2013-03-10T02:30:00", "is not a time that exists in America/New_York"),
    ],
)
def test_what_does_not_fit_is_refused_as_it_stands(
    tmp_path: Path, column: str, value: str, said: str
) -> None:
    path = tmp_path / "a.csv"
    table(1).cast({column: pl.String}).with_columns(pl.lit(value).alias(column)).write_csv(path)
    with pytest.raises(RequestError, match=said):
        read(path)


def test_numbers_of_other_types(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table(1).with_columns(
        n=pl.Series([3.0]), x=pl.Series([Decimal("1.25")]), on=pl.lit(None)
    ).write_parquet(path)
    (row,) = read(path)
    assert (row["n"], row["x"], row["on"]) == (3, 1.25, None)


def test_infinities_are_numbers(tmp_path: Path) -> None:
    texts, lines = tmp_path / "a.csv", tmp_path / "a.ndjson"
    texts.write_text("id,n,x,yes,at,on\na,,inf,,,\nb,,-Infinity,,,\nc,,+INF,,,\n")
    rest = '"n":null,"yes":null,"at":null,"on":null}\n'
    xs = ("Infinity", "-Infinity", "Infinity")
    lines.write_text("".join(f'{{"id":"a","x":{x},{rest}' for x in xs))
    for path in (texts, lines):
        assert [row["x"] for row in read(path)] == [inf, -inf, inf]


def test_lines_that_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text('{"id": "a", \n')
    with pytest.raises(RequestError, match="row 0 is not an object"):
        read(path)


def test_what_an_input_names(tmp_path: Path) -> None:
    for name in ("b.csv", "a.parquet", "deep/c.ndjson", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    names = [Path(source.path).name for source in sources(str(tmp_path))]
    assert names == ["a.parquet", "b.csv", "c.ndjson"]
    assert len(sources(str(tmp_path / "*.csv"))) == 1
    assert [source.form for source in sources("s3://bucket/a/*.parquet")] == ["parquet"]
    for missing in ("none.csv", "*.none"):
        with pytest.raises(RequestError, match="nothing to read"):
            sources(str(tmp_path / missing))
    with pytest.raises(RequestError, match="of no kind"):
        sources(str(tmp_path / "notes.txt"))


def test_a_bucket_is_read_from_any_row(
    object_store: ObjectStoreServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in object_store.variables().items():
        monkeypatch.setenv(name, value)
    place = f"s3://{object_store.bucket}/batch"
    for number, rows in enumerate([3, 4]):
        table(rows).write_parquet(tmp_path / "part.parquet")
        Bucket(place).write(f"{number}.parquet", (tmp_path / "part.parquet").read_bytes())
    (source,) = sources(f"{place}/*.parquet")
    found = list(batches(source, SIGNATURE, after=2, rows=10))
    assert rows_of([source]) == 7
    assert [row["id"] for row in found[0].read(READER)] == ["a2", "a0", "a1", "a2", "a3"]
    (missing,) = sources(f"{place}/none.csv")
    with pytest.raises(DataError, match="cannot be read"):
        next(batches(missing, SIGNATURE, after=0, rows=10))
    (lines,) = sources(f"{place}/a.ndjson")
    with pytest.raises(RequestError, match="by lines"):
        next(batches(lines, SIGNATURE, after=0, rows=10))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("id,n,x,yes,at,on\na,1\n1,2,3,4,5,6,7\n")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("id,N,x,yes,at,on\na,1,1,1,,\n")
    with pytest.raises(RequestError, match="no column 'n'"):
        read(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("id,n,x,yes,at,on\na,1,1,1,,\nb,1")
    with pytest.raises(DataError, match="middle of a row"):
        read(tmp_path / "c.csv")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("names", "lacks", "hint"),
    [
        (["id"], "", ""),
        (["id", "other"], "", ""),
        (["n", "x"], "", ""),
        (["id", "n"], "x", "add it, or id alone; its columns are id, n"),
        (["id", "n", "X"], "x", "rename 'X'"),
        (["id", "N"], "n", "rename 'N'"),
        (["other"], "n", "add it, or id alone; its columns are other"),
    ],
)
def test_a_file_is_by_key_alone_or_whole(
    tmp_path: Path, ending: str, names: list[str], lacks: str, hint: str
) -> None:
    path = tmp_path / f"a.{ending}"
    frame = pl.DataFrame({name: [1, 2] for name in names})
    frame.write_csv(path) if ending == "csv" else frame.write_parquet(path)
    (source,) = sources(str(path))
    if not lacks:
        assert [len(batch.numbers) for batch in batches(source, BY_KEY, after=0, rows=9)] == [2]
        return
    with pytest.raises(RequestError, match=f"no column '{lacks}'") as caught:
        next(batches(source, BY_KEY, after=0, rows=9))
    assert (caught.value.where, caught.value.hint) == (str(path), hint)
