"""Which files an input names, and their rows in batches, from any row on."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
import polars as pl

from nenrin.core import nonfinite
from nenrin.core.errors import DataError, RequestError
from nenrin.data.delimited import SEPARATORS, ending, open_bytes, separator_of
from nenrin.data.spec import DatasetSpec
from nenrin.serving.batch.rows import Batch, Columns, Lines, of_table, of_texts
from nenrin.serving.plane.rows import like
from nenrin.serving.signature import RequestField, RequestSignature

Form = Literal["parquet", "text", "lines"]

_FORMS: dict[str, Form] = {
    ".parquet": "parquet",
    **dict.fromkeys(SEPARATORS, "text"),
    ".ndjson": "lines",
    ".jsonl": "lines",
}
_BUCKET = "s3://"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_BLANK = "nenrin.blank"
_SMALL = 32 * 2**20  # bytes; some 100,000 rows, which take a few seconds


class Source(msgspec.Struct, frozen=True):
    """A file of rows as it was when it was found, or what ``s3://…`` names, taken as one.

    Attributes:
        path: absolute.
        form: how its rows are written.
        size: bytes; 0 in a bucket.
        changed: nanoseconds since 1970 of its last change; 0 in a bucket.
    """

    path: str
    form: Form
    size: int = 0
    changed: int = 0


def sources(given: str) -> list[Source]:
    """The files that a path, a folder, a glob or ``s3://…`` names, by name.

    Raises:
        RequestError: there is none, or one is of no form that can be read.
    """
    if given.startswith(_BUCKET):
        return [Source(given, _form(given))]
    if Path(given).is_dir():
        inside = sorted(path for path in Path(given).rglob("*") if ending(path) in _FORMS)
        paths = [path for path in inside if path.is_file()]
    else:
        paths = _matching(Path(given))
    if not paths:
        raise RequestError(
            f"there is nothing to read at {given}",
            where="--input",
            hint="name a .parquet, .csv, .tsv or .ndjson file, a folder or a glob of them, or s3://…",
        )
    return [_source(path.absolute()) for path in paths]


def batches(
    source: Source, signature: RequestSignature, *, after: int, rows: int
) -> Iterator[Batch]:
    """The rows of a source, numbered from 1, ``rows`` at a time.

    Args:
        source: a file.
        signature: what the deployment reads of a row; other columns are passed over.
        after: this many rows are left out.
        rows: of a batch, the last one may have fewer.

    Raises:
        RequestError: a column that the deployment needs is not there.
        DataError: the file cannot be read.
    """
    try:
        if source.form == "lines":
            yield from _lines(source, after, rows)
        else:
            yield from _table(source, signature, after, rows)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"cannot be read: {str(error).splitlines()[0]}",
            where=source.path,
            hint="see that it is whole, and of the kind that its ending says",
        ) from error


def rows_of(found: Sequence[Source]) -> int:
    """How many rows there are; 0 where only reading all of it would tell."""
    if any(source.form != "parquet" for source in found):
        return 0
    try:
        counts = [_scan(source).select(pl.len()).collect().item() for source in found]
    except (pl.exceptions.PolarsError, OSError):
        return 0  # reading it will tell what is wrong
    return sum(counts)


def is_small(found: Sequence[Source]) -> bool:
    """Whether starting workers would take longer than answering these rows; of a bucket nobody knows."""
    sizes = [source.size for source in found]
    return all(not source.path.startswith(_BUCKET) for source in found) and sum(sizes) < _SMALL


def _matching(given: Path) -> list[Path]:
    """The file of that name, else those that a pattern fits."""
    if given.is_file():
        return [given]
    found = Path(given.anchor).glob(str(given.relative_to(given.anchor)))
    return sorted(path for path in found if path.is_file())


def _source(path: Path) -> Source:
    found = path.stat()
    return Source(str(path), _form(str(path)), found.st_size, found.st_mtime_ns)


def _form(path: str) -> Form:
    form = _FORMS.get(ending(path))
    if form is None:
        raise RequestError(
            f"{path} is of no kind that can be read",
            where="--input",
            hint=f"its name must end in one of {', '.join(_FORMS)}",
        )
    return form


def _scan(source: Source, separator: str = ",") -> pl.LazyFrame:
    options = _bucket() if source.path.startswith(_BUCKET) else None
    if source.form == "parquet":
        return pl.scan_parquet(source.path, storage_options=options, hive_partitioning=False)
    return pl.scan_csv(
        source.path, separator=separator, infer_schema=False, storage_options=options
    )


def _bucket() -> dict[str, str]:
    """Where the bucket is, as the content store is told, too."""
    endpoint = next(filter(None, map(os.environ.get, _ENDPOINTS)), None)
    return {"aws_endpoint_url": endpoint, "aws_allow_http": "true"} if endpoint else {}


def _table(source: Source, signature: RequestSignature, after: int, rows: int) -> Iterator[Batch]:
    texts = source.form == "text"
    separator = ","
    if texts and not source.path.startswith(_BUCKET):
        path = Path(source.path)
        separator = separator_of(path, DatasetSpec(name=path.name, where=source.path))
    scan = _scan(source, separator)
    fields = _fields(source, signature, scan.collect_schema().names())
    wanted = [pl.col(field.name) for field in fields]
    if texts:  # a blank line is no row
        blank = pl.all_horizontal(pl.all().is_null())
        wanted.append(blank.alias(_BLANK))
    values = partial(of_texts, fields, separator) if texts else partial(of_table, fields)
    number = after + 1
    for frame in scan.select(wanted).slice(after).collect_batches(chunk_size=rows):
        numbers: Sequence[int] = range(number, number + frame.height)
        rest = frame
        number += frame.height
        if texts:
            kept = (~frame[_BLANK]).arg_true()
            numbers, rest = [numbers[place] for place in kept], frame[kept]
        yield Columns(numbers, rest, values, last=number - 1)


def _fields(
    source: Source, signature: RequestSignature, names: Sequence[str]
) -> list[RequestField]:
    lacking = signature.lacking(names)
    known = {field.name for field in signature.fields}
    left_out = [name for name in signature.looked_up if name not in names]
    for name in lacking or left_out:
        near = like(name, [each for each in names if each not in known])
        if near is None and not lacking:
            continue  # it is looked up, and no other name can have meant it
        by_key = f", or {', '.join(signature.key)} alone" if signature.looked_up else ""
        raise RequestError(
            f"there is no column {name!r}",
            where=source.path,
            hint=f"rename {near!r}"
            if near
            else f"add it{by_key}; its columns are {', '.join(names)}",
        )
    return [field for field in signature.fields if field.name in names]


def _lines(source: Source, after: int, rows: int) -> Iterator[Batch]:
    if source.path.startswith(_BUCKET):
        raise RequestError(
            f"{source.path} cannot be read by lines",
            where="--input",
            hint="copy it here first, or name Parquet or CSV there",
        )
    with open_bytes(Path(source.path)) as file:
        left = itertools.islice(enumerate(file, 1), after, None)
        while some := list(itertools.islice(left, rows)):
            whole = [(number, line) for number, line in some if line.strip()]
            yield Lines(
                [number for number, _ in whole],
                [_record(line) for _, line in whole],
                last=some[-1][0],
            )


def _record(line: bytes) -> object:
    """The value of a line; its text where it is no JSON, which is no row either."""
    try:
        return nonfinite.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return line.decode(errors="replace").strip()
