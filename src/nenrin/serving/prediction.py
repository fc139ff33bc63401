"""A prediction as the log keeps it, and the request that it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from blake3 import blake3

from nenrin.serving.deployments import Deployment
from nenrin.serving.masks import Masks
from nenrin.serving.router import Member, Variant
from nenrin.training.records import Records

Rows = Sequence[Mapping[str, Any]] | Mapping[str, Any]
"""Rows, or columns of equal length: lists, or arrays with ``tolist``."""

_ID_BYTES = 10
_encode = msgspec.json.Encoder().encode


class AnsweredRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One answered request: what the hot path hands to the log, as it came. Of n rows.

    Attributes:
        deployment: who was asked, with its rules for the log.
        variants: those of the route that answered it; at the end the declared constant and the version that
            the champion replaced, whose places are -2 and -1.
        picked: for each row, the place of who answered among ``variants``.
        dealt: for each row, the place of the version that it was dealt to.
        forced: whether the client named the version.
        first: the number of the first row; the others follow.
        ids, keys: of each row; a key is empty where the client sent none.
        asked: instant of each row's question, microseconds UTC.
        at: calendar instant of the answers.
        values: the answers.
        rows: the raw columns of the request.
        features: what the model saw; None: the rows themselves.
        latency: seconds from the read request to its answer.
        ages: of each row, how old (seconds) what each feature view read was when asked; None: not told.
        beside: of a shadow's answers, for each row who answered the client, and what; else empty.
    """

    deployment: Deployment
    variants: Sequence[Variant]
    picked: Sequence[int]
    dealt: Sequence[int] = ()
    forced: bool = False
    first: int
    ids: Sequence[str]
    keys: Sequence[str]
    asked: Sequence[int]
    at: int
    values: Sequence[Any]
    rows: Rows
    features: Rows | None
    latency: float | None
    ages: Sequence[Mapping[str, float | None]] | None = None
    beside: Sequence[tuple[str, Any]] = ()


class Prediction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answered row.

    Attributes:
        number: 1, 2, 3 … within the folder of the process that answered; a gap is a loss.
        id: the prediction's id, as the client got it.
        deployment: who was asked.
        version: who answered.
        variant: index of the version in the route; -1: the version that the champion replaced, -2: the
            declared constant.
        key: text of the row's key, personal parts hashed; empty when the client sent none.
        asked: the instant of the question, microseconds UTC.
        at: calendar instant of the answer, microseconds UTC.
        answer: the answer.
        row: the raw columns of the request, personal ones masked.
        features: what the model saw, masked likewise.
        members: of a mixture, who answered with which share.
        recalibration: what the answer went through (see :class:`nenrin.serving.router.Variant`).
        latency_ms: milliseconds from the read request to its answer; None where it was not measured.
        ages: seconds by feature view: how old what it read was when asked; None: nothing was found.
        masked: the columns and features that are not as they were.
        forced: the client named the version: such answers are no sample of the route's.
        instead_of: the version that the row was dealt to, where it failed or was left out.
        beside: in the log of shadows alone, which has neither ``row`` nor ``features``: who answered the
            client, and what.
    """

    number: int
    id: str
    deployment: str
    version: str
    variant: int
    key: str
    asked: int
    at: int
    answer: float | str
    row: dict[str, Any]
    features: dict[str, Any]
    members: tuple[Member, ...] = ()
    recalibration: tuple[float, float] | None = None
    latency_ms: float | None = None
    ages: dict[str, float | None] = {}
    masked: tuple[str, ...] = ()
    forced: bool = False
    instead_of: str = ""
    beside: tuple[str, float | str] | None = None


def prediction_ids(deployment: str, at: int, worker: str, first: int, rows: int) -> list[str]:
    """The ids of a request's rows: 80 bits of the digest of what came before, and each row's place.

    The number of the first row makes them different from all others of the process ``worker``. A key is
    not part of it: whoever has the log could try keys until the id fits.
    """
    asked = f"{deployment}\n{at}\n{worker}\n{first}".encode()
    start = blake3(asked).hexdigest(length=_ID_BYTES)
    return [f"prediction-{start}{row:04x}" for row in range(rows)]


def _dicts(rows: Rows) -> list[dict[str, Any]]:
    """Rows or columns as one dict a row."""
    if not isinstance(rows, Mapping):
        return [row if isinstance(row, dict) else dict(row) for row in rows]
    columns = [column.tolist() if hasattr(column, "tolist") else column for column in rows.values()]
    return [dict(zip(rows, values, strict=True)) for values in zip(*columns, strict=True)]


def _both(answered: AnsweredRequest) -> Iterable[tuple[Any, Any]]:
    """What each row holds, and what the model saw of it.

    Where the features are a request's numbers as they came, and nothing is masked, they are written once.
    """
    rows, features = answered.rows, answered.features
    if (
        isinstance(rows, Records)
        and isinstance(features, Records)
        and rows.block is not None
        and rows.block is features.block
        and not answered.deployment.log.masked
    ):
        nulls = _encode(dict.fromkeys(rows.nulls))[:-1] + b"," if rows.nulls else b"{"
        for values in rows.block.tolist():  # in JSON a NaN is a null
            seen = _encode(dict(zip(rows.names, values, strict=True)))
            yield msgspec.Raw(nulls + seen[1:]), msgspec.Raw(seen)
        return
    plain = _dicts(rows)
    yield from zip(plain, plain if features is None else _dicts(features), strict=True)


def predictions_of(answered: AnsweredRequest, masks: Masks) -> Iterator[Prediction]:
    """A request's predictions, ready to be written.

    Raises:
        OSError: the secret for personal fields cannot be read or made.
    """
    latency = None if answered.latency is None else round(answered.latency * 1e3, 3)
    for place, (row, features) in enumerate(_both(answered)):
        variant = answered.variants[answered.picked[place]]
        plain = Prediction(
            number=answered.first + place,
            id=answered.ids[place],
            deployment=answered.deployment.name,
            version=variant.version,
            variant=answered.picked[place],
            key=answered.keys[place],
            asked=answered.asked[place],
            at=answered.at,
            answer=answered.values[place],
            row=row,
            features=features,
            members=variant.members,
            recalibration=variant.recalibration,
            latency_ms=latency,
            forced=answered.forced,
            instead_of=_instead_of(answered, place),
            ages={} if answered.ages is None else dict(answered.ages[place]),
            beside=answered.beside[place] if answered.beside else None,
        )
        yield masked(plain, answered.deployment, masks) if answered.deployment.log.masked else plain


def _instead_of(answered: AnsweredRequest, place: int) -> str:
    if not answered.dealt or answered.dealt[place] == answered.picked[place]:
        return ""
    return answered.variants[answered.dealt[place]].version


def masked(prediction: Prediction, deployment: Deployment, masks: Masks) -> Prediction:
    """A prediction without what its deployment's rules call personal; what is masked already stays.

    Raises:
        OSError: the secret for personal fields cannot be read or made.
    """
    rules, done = deployment.log, prediction.masked
    if {*rules.masked} <= {*done}:
        return prediction
    row = {name: mask for name, mask in rules.row.items() if name not in done}
    both = {**row, **{name: mask for name, mask in rules.features.items() if name not in done}}
    return msgspec.structs.replace(
        prediction,
        key=masks.key(prediction.key, deployment.request.key, prediction.row, row),
        row=masks.values(prediction.row, row),
        features=masks.values(prediction.features, both),
        masked=tuple(sorted({*done, *both})),
    )
