"""The files of a dataset: Parquet by known day, kept once in the content store.

Rows that became known on one UTC day in one load are one file, sorted by known instant. A load
adds files and changes none, so what was known by an instant is a prefix of the days, cut inside at
most one of them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl

from nenrin.core.digest import digest
from nenrin.core.instants import DAY, from_us
from nenrin.core.store import ContentStore
from nenrin.data.content import RowContent, digest_rows
from nenrin.data.times import EVENT, KNOWN


class FileRef(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file.

    Attributes:
        day: UTC date on which its rows became known, ``2013-07-01``.
        digest: of its bytes, the name in the content store.
        content: digest of its rows, whatever the bytes (:mod:`nenrin.data.content`).
        rows: how many.
        known_min, known_max: its first and last known instant.
    """

    day: str
    digest: str
    content: str
    rows: int
    known_min: int
    known_max: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a version of a dataset consists of, itself kept in the content store as JSON.

    Attributes:
        dataset: its name.
        schema: type by column, in the order of the columns; types are spelled as polars does.
        header: digest of a Parquet file without rows that has this schema.
        files: in order of known day, files of one day in the order of their loads.
        bound: the newest known instant.
        rows: sum over the files; every (row, known) that ever was.
    """

    dataset: str
    schema: dict[str, str]
    header: str
    files: tuple[FileRef, ...]
    bound: int
    rows: int


def write_files(frame: pl.DataFrame, store: ContentStore) -> list[FileRef]:
    """Keep rows with ``__known__`` as files by known day; their order within one instant stays.

    A column without a value in a file is left out of it, and comes back on reading.
    """
    frame = frame.sort(KNOWN, maintain_order=True)
    known = frame[KNOWN].to_numpy()
    days = known // DAY
    starts = np.flatnonzero(np.diff(days, prepend=days[:1] - 1)) if len(days) else days
    content = RowContent(frame)
    refs = []
    for start, stop in zip(starts.tolist(), [*starts.tolist()[1:], frame.height], strict=True):
        refs.append(
            FileRef(
                day=from_us(int(known[start])).date().isoformat(),
                digest=store.put(parquet(_with_values(frame.slice(start, stop - start)))),
                content=content.digest(start, stop),
                rows=stop - start,
                known_min=int(known[start]),
                known_max=int(known[stop - 1]),
            )
        )
    return refs


def parquet(frame: pl.DataFrame) -> bytes:
    """The frame as Parquet bytes."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=False)
    return buffer.getvalue()


def _with_values(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(series for series in frame if series.null_count() < frame.height)


def read_header(manifest: Manifest, store: ContentStore) -> pl.DataFrame:
    """The columns of a version, without rows."""
    return pl.read_parquet(store.file(manifest.header), hive_partitioning=False)


def read_files(
    manifest: Manifest, store: ContentStore, known_by: int, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """The rows known by ``known_by``, sorted by known instant, then by load and order in the load.

    Args:
        columns: the user's columns wanted, all if left out; ``__event__`` and ``__known__`` always
            come.
    """
    header = read_header(manifest, store)
    wanted = header.columns if columns is None else [*columns, EVENT, KNOWN]
    refs = [ref for ref in manifest.files if ref.known_min <= known_by]
    if not refs:
        return header.select(wanted)
    rows = (
        pl.scan_parquet(
            [store.file(ref.digest) for ref in refs],
            schema=header.schema,
            missing_columns="insert",
            hive_partitioning=False,
        )
        .select(wanted)
        .collect()
    )
    if any(ref.known_max > known_by for ref in refs):
        rows = rows.filter(pl.col(KNOWN) <= known_by)
    if len({ref.day for ref in refs}) < len(refs):
        rows = rows.sort(KNOWN, maintain_order=True)
    return rows.rechunk()


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a version that follow one another, in the order of its files.

    Attributes:
        files: digests of the files that hold them.
        start: how many rows of the first file come before.
        rows: how many they are.
        place: how many rows of the version come before.
    """

    files: tuple[str, ...]
    start: int
    rows: int
    place: int


def stretches(manifest: Manifest, most: int) -> list[Stretch]:
    """All rows of a version, in stretches of at most ``most`` rows: many small files, or a part of one."""
    found: list[Stretch] = []
    files: list[str] = []
    place = rows = 0
    for ref in manifest.files:
        if files and rows + ref.rows > most:
            found.append(Stretch(files=tuple(files), start=0, rows=rows, place=place))
            files, place, rows = [], place + rows, 0
        if ref.rows <= most:
            files, rows = [*files, ref.digest], rows + ref.rows
            continue
        for start in range(0, ref.rows, most):
            part = min(most, ref.rows - start)
            found.append(Stretch(files=(ref.digest,), start=start, rows=part, place=place))
            place += part
    if files:
        found.append(Stretch(files=tuple(files), start=0, rows=rows, place=place))
    return found


def read_stretch(
    manifest: Manifest, store: ContentStore, stretch: Stretch, columns: Sequence[str]
) -> pl.DataFrame:
    """The ``columns`` of a stretch, in the order of the files.

    :func:`read_files` gives the rows of all stretches sorted by known instant; where several loads share a
    day, these are not.
    """
    header = read_header(manifest, store)
    rows = pl.scan_parquet(
        [store.file(name) for name in stretch.files],
        schema=header.schema,
        missing_columns="insert",
        hive_partitioning=False,
    )
    return rows.select(columns).slice(stretch.start, stretch.rows).collect()


def digest_as_of(manifest: Manifest, store: ContentStore, known_by: int) -> str:
    """The name of the rows known by ``known_by``: equal where they are, whatever is known later.

    Whole files are named by the manifest; only a file that the instant cuts is read.
    """
    parts = []
    for ref in manifest.files:
        if ref.known_max <= known_by:
            parts.append([ref.day, ref.content])
        elif ref.known_min <= known_by:
            rows = pl.read_parquet(store.file(ref.digest), hive_partitioning=False)
            parts.append([ref.day, digest_rows(rows.filter(pl.col(KNOWN) <= known_by))])
    return digest([manifest.dataset, parts])
