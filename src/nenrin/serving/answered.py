"""Answered requests: what the hot path hands to the log, and a line of the log says as it came.

Requests that were answered together are one here, whose rows follow each other. A line is made by one call of
the encoder. Numbers stay the block that the model was given, the little-endian bytes of float64 in Base64, so
that they come back to the last bit; only a reader spells rows out. Elsewhere a line has NaN and infinities as
Python's JSON has them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from blake3 import blake3

from nenrin.serving.prediction import Prediction
from nenrin.serving.router import Variant
from nenrin.training.records import Records

Rows = Sequence[Mapping[str, Any]]
"""Rows: records, or a dict each."""

FORMAT = 2
"""Of lines; those of format 1, which do not say so, hold a prediction each."""

_ID_BYTES = 10
_FLOAT = np.dtype("<f8")
_ROWS = b'"rows":'
_WORDS = {math.inf: msgspec.Raw(b"Infinity"), -math.inf: msgspec.Raw(b"-Infinity")}
_NAN = msgspec.Raw(b"NaN")
_LONG = 8  # values, from which on it is quicker to add them up than to look at each
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


class AnsweredRequest(
    msgspec.Struct, kw_only=True, omit_defaults=True, gc=False, tag_field="format", tag=FORMAT
):
    """One answered request of n rows, or several that were answered together.

    Attributes:
        deployment: who was asked.
        variants: those of the route that answered it; at the end the declared constant and the version that
            the champion replaced, whose places are -2 and -1.
        first: the number of the first row; the others follow.
        at: calendar instant of the answers.
        ids: of each row.
        values: the answers.
        rows: the raw columns of the request.
        features: what the model saw; None: the rows themselves, of ``seen`` these columns alone.
        seen: see ``features``; None: all.
        picked: for each row, the place of who answered among ``variants``; empty: 0 for all.
        dealt: for each row, the place of the version that it was dealt to; empty: who answered.
        keys: of each row; empty where the client sent none, for all or for one.
        asked: instant of each row's question, microseconds UTC; empty: ``at``.
        forced: whether the client named the version.
        latency: seconds from the read request to its answer, for all rows or for each; None: not measured.
        ages: of each row, how old (seconds) what each feature view read was when asked; None: not told.
        beside: of a shadow's answers, for each row who answered the client, and what; else empty.
    """

    deployment: str
    variants: Sequence[Variant]
    first: int
    at: int
    ids: list[str]
    values: Sequence[Any]
    rows: Any
    features: Any = None
    seen: Sequence[str] | None = None
    picked: Sequence[int] = ()
    dealt: Sequence[int] = ()
    keys: Sequence[str] = ()
    asked: Sequence[int] = ()
    forced: bool = False
    latency: float | Sequence[float] | None = None
    ages: Sequence[Mapping[str, float | None]] | None = None
    beside: Sequence[tuple[str, Any]] = ()

    @property
    def answerers(self) -> Sequence[int]:
        """For each row, the place of who answered."""
        return self.picked or [0] * len(self.ids)


def prediction_ids(deployment: str, at: int, worker: str, first: int, rows: int) -> list[str]:
    """The ids of a request's rows: 80 bits of the digest of what came before, and each row's place.

    The number of the first row makes them different from all others of the process ``worker``. A key is
    not part of it: whoever has the log could try keys until the id fits.
    """
    asked = f"{deployment}\n{at}\n{worker}\n{first}".encode()
    start = blake3(asked).hexdigest(length=_ID_BYTES)
    head = f"prediction-{start}"
    return [head + tail for tail in (_TAILS[:rows] if rows <= len(_TAILS) else _tails(rows))]


def _tails(rows: int) -> list[str]:
    return [f"{row:04x}" for row in range(rows)]


_TAILS = _tails(1_024)  # spelled once: that takes longer than all else of an id


def predictions_of(answered: AnsweredRequest) -> Iterator[Prediction]:
    """A request's predictions, as they came: nothing is masked.

    Raises:
        ValueError: a line was damaged: its rows are none, or not as many as its answers.
    """
    latency = answered.latency
    latencies = latency if isinstance(latency, Sequence) else [latency] * len(answered.ids)
    rows = _dicts(answered.rows)
    if answered.features is not None:
        features = _dicts(answered.features)
    elif answered.seen is not None:
        features = [{name: row[name] for name in answered.seen} for row in rows]
    else:
        features = rows
    parts = zip(
        answered.ids, answered.answerers, answered.values, rows, features, latencies, strict=True
    )
    for place, (prediction_id, picked, value, row, seen, seconds) in enumerate(parts):
        variant = answered.variants[picked]
        dealt = answered.dealt[place] if answered.dealt else picked
        yield Prediction(
            number=answered.first + place,
            id=prediction_id,
            deployment=answered.deployment,
            version=variant.version,
            variant=picked,
            key=answered.keys[place] if answered.keys else "",
            asked=answered.asked[place] if answered.asked else answered.at,
            at=answered.at,
            answer=value,
            row=row,
            features=seen,
            members=variant.members,
            recalibration=variant.recalibration,
            latency_ms=None if seconds is None else round(seconds * 1e3, 3),
            forced=answered.forced,
            instead_of="" if dealt == picked else answered.variants[dealt].version,
            ages={} if answered.ages is None else dict(answered.ages[place]),
            beside=answered.beside[place] if answered.beside else None,
        )


class _Columns(msgspec.Struct, omit_defaults=True, gc=False):
    """Records on a line: names with a block of numbers or a list a row, and nulls; or values by column."""

    size: int
    nulls: Sequence[str] = ()
    names: Sequence[str] = ()
    block: bytes = b""
    rows: Sequence[Sequence[Any]] | None = None
    columns: Mapping[str, Sequence[Any]] | None = None


def _plain(value: Any) -> Any:
    """What the encoder does not know by itself."""
    if type(value) is Records:
        if value.gaps:
            return list(value)
        if value.tuples is not None:
            rows: Any = value.tuples
            if value.text:  # line breaks in valid JSON are white space
                rows = msgspec.Raw(value.text.translate(_ONE_LINE))
            return _Columns(len(value), value.nulls, value.names, rows=rows)
        if value.block is None:
            return _Columns(len(value), columns=value.columns)
        block = value.block.astype(_FLOAT, copy=False).tobytes()
        return _Columns(len(value), value.nulls, value.names, block)
    return value.item() if hasattr(value, "item") else str(value)


def _dicts(rows: Any) -> list[dict[str, Any]]:
    """Rows as one dict each: as they were handed over, or as they stand on a line."""
    if isinstance(rows, Mapping):
        kept = msgspec.convert(rows, _Columns)
        if kept.columns is not None:
            rows = Records(kept.columns, kept.size)
        elif kept.rows is not None:
            rows = Records.of_tuples(tuple(kept.names), [*map(tuple, kept.rows)], tuple(kept.nulls))
        else:
            block = np.frombuffer(kept.block, _FLOAT)
            block = block.reshape(kept.size, len(kept.names))
            rows = Records.of_block(tuple(kept.names), block, tuple(kept.nulls))
    return [row if isinstance(row, dict) else dict(row) for row in rows]


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


def encode(value: AnsweredRequest | Prediction) -> bytes:
    """A line of the log, without its end."""
    line = _encode(value)
    asked = value.row if isinstance(value, Prediction) else value.rows
    loose = [*_loose(asked), *_loose(value.features)]
    # where a number is lost, null stands for it; a variant has nulls of its own
    if loose and line.find(b"null", max(line.find(_ROWS), 0)) > 0 and _has_nonfinite(loose):
        names = ("row" if isinstance(value, Prediction) else "rows"), "features"
        words = {name: _in_words(getattr(value, name)) for name in names}
        return _encode(msgspec.structs.replace(value, **words))
    return line


def _in_words(rows: Any) -> Any:
    """Rows whose numbers that JSON has no words for are the words of Python's."""
    if isinstance(rows, Mapping):
        return {name: _word(value) for name, value in rows.items()}
    if type(rows) is not Records:
        return None if rows is None else [*map(_in_words, rows)]
    if rows.block is not None or rows.tuples is not None:
        return rows
    if rows.gaps:
        return [*map(_in_words, rows)]
    columns = {
        name: values if _is_finite(values) else [*map(_word, values)]
        for name, values in rows.columns.items()
    }
    return _Columns(len(rows), columns=columns)


def _word(value: Any) -> Any:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return _WORDS.get(value, _NAN)


def _loose(rows: Any) -> Iterable[Collection[Any]]:
    """The values of rows by column or by row, unless they are kept as bytes, or were JSON."""
    if rows is None:
        return ()
    if type(rows) is Records:
        return () if rows.block is not None or rows.tuples is not None else rows.columns.values()
    return (rows.values(),) if isinstance(rows, Mapping) else (row.values() for row in rows)


def _has_nonfinite(parts: Iterable[Collection[Any]]) -> bool:
    """Whether some values are NaN or an infinity, which the encoder loses."""
    return any(
        isinstance(each, float) and not math.isfinite(each)
        for values in parts
        if not _is_finite(values)
        for each in values
    )


def _is_finite(values: Collection[Any]) -> bool:
    """Whether that can be told at once, as of a long column of plain numbers."""
    if len(values) < _LONG:
        return False
    try:
        return math.isfinite(sum(values))
    except (TypeError, OverflowError):
        return False
