"""What a load adds to a dataset, and the record of it.

A row is identified by its key columns (with a ``known=`` column by that too, so that a table may
bring every version of a row), without a key by its content and how often it occurred. A load adds
rows that are new or differ from the newest stored version; it takes none away: a row that a load
lacks stays.

When a row was known, from its load:

- first load: the ``known=`` column; event + delay; the event; without a time the load instant;
- new in a later load: the declared (column or delay) if it is later than all that was known before,
  else the load instant;
- changed: the load instant, and always after the version it replaces.

So a load never changes what was known before it.
"""

from __future__ import annotations

import msgspec
import polars as pl

from nenrin.core.errors import DataError
from nenrin.data.spec import DatasetSpec
from nenrin.data.times import EVENT, KNOWN, row_name

_OLD = "__stored__"
_OCCURRENCE = "__occurrence__"
_NEW = "__new__"
_CHANGED = "__changed__"


class DatasetVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A load that changed a dataset.

    Attributes:
        id: derived from the dataset's name and the digests of its rows, in any environment the
            same.
        dataset: its name.
        environment: where it was loaded; content is shared, records are not.
        number: 1, 2, 3 … for the dataset in this environment.
        manifest: digest of the :class:`~nenrin.data.files.Manifest`.
        rows: stored rows, each (row, known) once.
        added, changed, unchanged: rows of this load that were new, differed, or were there already.
        bound: the newest known instant of the rows.
        at: instant of the load.
    """

    id: str
    dataset: str
    environment: str
    number: int
    manifest: str
    rows: int
    added: int
    changed: int
    unchanged: int
    bound: int
    at: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that a load adds (with the right ``__known__``, in load order), and the counts."""

    rows: pl.DataFrame
    added: int
    changed: int
    unchanged: int


def difference(
    loaded: pl.DataFrame,
    stored: pl.DataFrame | None,
    spec: DatasetSpec,
    at: int,
    *,
    backfill: bool = False,
) -> Difference:
    """What ``loaded`` adds to ``stored``.

    Args:
        loaded: a load with its instants (:func:`nenrin.data.times.with_instants`), in the stored
            schema.
        stored: everything stored so far, in order of known instant; None before the first load.
        at: instant of the load.
        backfill: the rows belong to the past: they are known when they could have been, as in a first
            load, and not from this load on.

    Raises:
        DataError: a key is null, or two rows of the load have one identity and differ.
    """
    loaded = _once(loaded, spec)
    if stored is None:
        return Difference(rows=loaded, added=loaded.height, changed=0, unchanged=0)
    stored = stored.cast(loaded.schema)  # a column without values so far has a new type
    user = [name for name in loaded.columns if name not in (EVENT, KNOWN)]
    if spec.key:
        identity = identity_of(spec)
    else:
        identity = [*user, _OCCURRENCE]
        loaded, stored = _numbered(loaded, user), _numbered(stored, user)
    newest = stored.unique(identity, keep="last", maintain_order=True)
    both = loaded.join(
        newest.rename({KNOWN: _OLD}).drop(EVENT),
        on=identity,
        how="left",
        nulls_equal=True,
        maintain_order="left",
        suffix=_OLD,
    )
    differs = [
        pl.col(name).ne_missing(pl.col(name + _OLD)) for name in user if name not in identity
    ]
    new = pl.col(_OLD).is_null()
    marked = both.with_columns(
        new.alias(_NEW), (~new & pl.any_horizontal(False, *differs)).alias(_CHANGED)
    )
    known = _known(stored, spec, at, backfill=backfill)
    rows = marked.filter(pl.col(_NEW) | pl.col(_CHANGED)).with_columns(known.alias(KNOWN))
    added, changed = int(marked[_NEW].sum()), int(marked[_CHANGED].sum())
    return Difference(
        rows=rows.select(*user, EVENT, KNOWN),
        added=added,
        changed=changed,
        unchanged=marked.height - added - changed,
    )


def _known(stored: pl.DataFrame, spec: DatasetSpec, at: int, *, backfill: bool) -> pl.Expr:
    """When each new or changed row of a later load became known."""
    fresh = pl.lit(at, pl.Int64)
    if backfill:
        fresh = pl.col(KNOWN)
    elif spec.known is not None:
        bound = pl.lit(stored[KNOWN].max(), pl.Int64)
        fresh = pl.when(pl.col(KNOWN) > bound).then(KNOWN).otherwise(fresh)
    again = pl.col(KNOWN) if backfill else pl.lit(at)
    return pl.when(_NEW).then(fresh).otherwise(pl.max_horizontal(again, pl.col(_OLD) + 1))


def identity_of(spec: DatasetSpec) -> list[str]:
    """The columns that tell one row of a keyed dataset from another."""
    extra = [spec.known_column] if spec.known_column and spec.known_column not in spec.key else []
    return [*spec.key, *extra]


def _once(loaded: pl.DataFrame, spec: DatasetSpec) -> pl.DataFrame:
    """``loaded`` with exact doubles taken once; a keyed dataset's keys are checked."""
    for key in spec.key:
        if loaded[key].null_count():
            row = loaded[key].is_null().arg_true()[0]
            raise DataError(
                f"dataset {spec.name}: key column {key} is null in row {row + 1}",
                hint="fill or leave out rows without a key, or declare another key=",
                where=spec.where,
            )
    if not spec.key:
        return loaded
    identity = identity_of(spec)
    if loaded.select(identity).n_unique() == loaded.height:
        return loaded
    once = loaded.unique(maintain_order=True, keep="first")
    twice = once.select(pl.struct(identity).is_duplicated()).to_series()
    if twice.any():
        row = twice.arg_true()[0]
        same = once.filter(twice)
        raise DataError(
            f"dataset {spec.name} has {same.height} rows that share a key and differ, "
            f"first {row_name(once, row, spec)}",
            hint="add the column that tells them apart to key=, or name known= of versions",
            where=spec.where,
        )
    return once


def _numbered(frame: pl.DataFrame, user: list[str]) -> pl.DataFrame:
    """Equal rows, numbered 0, 1, 2 … in their order."""
    return frame.with_columns(pl.int_range(pl.len()).over(user).alias(_OCCURRENCE))
