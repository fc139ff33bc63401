"""Text files of rows, such as CSV: which they are, what separates their columns, what ails one."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import BinaryIO, cast

import polars as pl

from nenrin.core.errors import DataError
from nenrin.data.spec import DatasetSpec

# what is between columns, by a file's ending: what is looked for first
SEPARATORS = {".csv": ",", ".tsv": "\t"}
_OTHERS = ",;\t|"
_LOOKED_AT = 20  # rows that must have as many fields as the header
_HEAD = 1 << 16  # bytes in which these are looked for
# what a column of numbers has where there is none
NO_NUMBER = ["", "NA", "N/A", "n/a", "na", "NaN", "nan", "NULL", "null", "None", "none", "-", "?"]
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_MAGIC = {b"PAR1": "Parquet", b"PK\x03\x04": "a ZIP archive, such as Excel's", b"\x1f\x8b": "gzip"}
_OTHER_ENCODING = (
    "save it as UTF-8 (iconv -f {encoding} -t UTF-8 old.csv > new.csv), or read it under @nr.dataset "
    "with pl.read_csv(…, encoding=…)"
)


def ending(path: str | PurePath) -> str:
    """The ending of a file's name that says its kind, ``.csv`` of ``a.CSV.gz``; ``""`` without one."""
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def read_text(path: Path, spec: DatasetSpec, frozen: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """A delimited text file, its separator told by the header, its types by every one of its rows.

    What ``frozen`` knows to be text stays text: a later file may happen to hold digits only.

    A column is numeric too when all its texts are numbers but for the usual words for none
    (``NA``, blank, ``?`` …): one such word must not turn a column of numbers into categories. Where
    the separator is no comma, a comma may be the decimal sign. Blank lines at the end are no rows.

    Raises:
        DataError: the file is empty, no text in UTF-8, a line has more fields than the header, or the last
            line is cut off.
    """
    head, separator = _separated(path, spec)
    try:
        columns = pl.read_csv(path, separator=separator, n_rows=0).columns
        names = _names(head, separator, columns)
        _refuse_cut_off(path, separator, len(columns), spec)
        texts = [
            column
            for column, name in zip(columns, names, strict=True)
            if isinstance(frozen.get(name), pl.String)
        ]
        frame = pl.read_csv(
            path,
            separator=separator,
            infer_schema_length=None,
            try_parse_dates=True,
            schema_overrides=dict.fromkeys(texts, pl.String),
        )
    except pl.exceptions.PolarsError as error:
        raise _ailment(path, separator, spec, error) from error
    if frame.width > 1:
        empty = frame.reverse().select(pl.all_horizontal(pl.all().is_null())).to_series()
        frame = frame.head(frame.height - int(empty.cum_prod().sum()))
    unsure = (frame[column] for column in columns if column not in texts)
    numeric = (
        _numbers(series, comma=separator != ",") for series in unsure if series.dtype == pl.String
    )
    frame = frame.with_columns(series for series in numeric if series is not None)
    return frame.rename(dict(zip(columns, names, strict=True)))


def separator_of(path: Path, spec: DatasetSpec) -> str:
    """What is between the columns of a delimited text file; only its beginning and its end are read.

    Raises:
        DataError: it is empty, no text in UTF-8, or its last line is cut off.
    """
    head, separator = _separated(path, spec)
    _refuse_cut_off(path, separator, len(next(_records(head.lstrip("\r\n"), separator), [])), spec)
    return separator


def _separated(path: Path, spec: DatasetSpec) -> tuple[str, str]:
    """The beginning of the file, and what is between its columns."""
    head = _head(path, spec)
    return head, _separator(head, SEPARATORS[ending(path)])


def open_bytes(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked where its name ends in ``.gz``."""
    return cast(BinaryIO, gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _head(path: Path, spec: DatasetSpec) -> str:
    """The beginning of the file, whole lines where it has any; refuses what is no text in UTF-8."""
    try:
        with open_bytes(path) as file:
            head = file.read(_HEAD)
    except (gzip.BadGzipFile, EOFError) as error:
        raise _wrong(
            spec, "is no gzip file, as its ending .gz says", "leave out .gz, or pack it"
        ) from error
    if not head.strip():
        raise _wrong(
            spec, "is empty", "give it a header line with the names of the columns, and rows"
        )
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if kind:
        raise _wrong(
            spec, f"is {kind}, not text", "give it the ending of what it is, or export CSV"
        )
    if head.startswith(_WIDE):
        hint = _OTHER_ENCODING.format(encoding="UTF-16")
        raise _wrong(spec, "is UTF-16, not UTF-8", hint)
    if b"\0" in head:
        raise _wrong(spec, "is binary, not text in UTF-8", "export the rows as CSV or Parquet")
    text = head.decode("utf-8-sig", errors="replace")
    return text if len(head) < _HEAD else text[: text.rfind("\n") + 1] or text


def _refuse_cut_off(path: Path, separator: str, width: int, spec: DatasetSpec) -> None:
    """A last line without its end, and with too few fields, is half of one: polars would take it."""
    if path.suffix.lower() == ".gz":
        return  # a file that is cut off cannot be unpacked
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _HEAD))
        _, line_end, tail = file.read().rpartition(b"\n")
    last = tail.decode(errors="replace") if line_end else ""
    if last.strip() and '"' not in last and last.count(separator) + 1 < width:
        columns = f"{last.count(separator) + 1} of {width} columns"
        said = f"ends in the middle of a row, {last[:40]!r}, with {columns}"
        raise _wrong(spec, said, "it may still be written, or cut off: write or copy it again")


def _separator(head: str, own: str) -> str:
    """What is between the columns: it splits the header, and the first rows into as many fields.

    The one of the ending is taken if it does; else the one that gives the most columns.
    """
    fitting: dict[str, int] = {}
    for separator in [own, *_OTHERS.replace(own, "")]:
        rows = _records(head.lstrip("\r\n"), separator)
        header = next(rows, [])
        if len(header) > 1:
            first = list(itertools.islice(rows, _LOOKED_AT))
            # the last one may be cut off
            even = all(len(row) in (0, len(header)) for row in first[:-1] or first)
            fitting[separator] = len(header) + (1000 if even else 0)
    if fitting.get(own, 0) > 1000:
        return own
    return max(fitting, key=fitting.__getitem__, default=own)


def _records(text: str, separator: str) -> Iterator[list[str]]:
    """The rows of a text; where its quoting is wrong it ends."""
    try:
        yield from csv.reader(io.StringIO(text), delimiter=separator)
    except csv.Error:
        return


def _names(head: str, separator: str, columns: Sequence[str]) -> list[str]:
    """The names as the header has them, quotes within them too; polars' own where some are doubled."""
    names = next(_records(head.lstrip("\r\n"), separator), [])
    plain = len(names) == len(columns) and len(set(names)) == len(names)
    return names if plain else list(columns)


def _ailment(path: Path, separator: str, spec: DatasetSpec, error: Exception) -> DataError:
    """What is wrong with a file that cannot be read, and in which line."""
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as found:
                what = f"is not UTF-8: byte {line[found.start]:#04x} in line {number}"
                return _wrong(spec, what, _OTHER_ENCODING.format(encoding="LATIN1"))
    with open_bytes(path) as file:
        reader = csv.reader(
            io.TextIOWrapper(file, "utf-8-sig", newline=""), delimiter=separator, strict=True
        )
        line_number = 1
        try:
            header = next(reader, [])
            line_number = reader.line_num + 1
            for row in reader:
                if len(row) > len(header):
                    what = (
                        f"has {len(row)} fields in line {line_number}, and its header "
                        f"{len(header)}, separated by {_spoken(separator)}"
                    )
                    return _wrong(spec, what, "mend the line; a text with a separator needs quotes")
                line_number = reader.line_num + 1
        except csv.Error:
            what = (
                f"has a quote that is never closed, or is followed by more, in line {line_number}"
            )
            return _wrong(spec, what, 'close it; a quote within quotes is doubled: "5"" screw"')
    what = f"cannot be read: {str(error).splitlines()[0]}"
    return _wrong(spec, what, "read it in a function under @nr.dataset, and return the table")


def _spoken(separator: str) -> str:
    return "tabs" if separator == "\t" else repr(separator)


def _wrong(spec: DatasetSpec, what: str, hint: str) -> DataError:
    return DataError(f"the file of dataset {spec.name} {what}", hint=hint, where=spec.where)


def _numbers(texts: pl.Series, *, comma: bool) -> pl.Series | None:
    """The numbers that ``texts`` spell, with a decimal comma if need be, or None."""
    plain = texts.str.strip_chars()
    plain = plain.set(plain.is_in(NO_NUMBER), None)
    spellings = [(pl.Int64(), plain), (pl.Float64(), plain)]
    if comma:
        spellings.append((pl.Float64(), plain.str.replace(r"^([+-]?\d+),(\d+)$", "$1.$2")))
    for kind, spelling in spellings:
        numbers = spelling.cast(kind, strict=False)
        if numbers.null_count() == plain.null_count() < len(plain):
            return numbers
    return None
