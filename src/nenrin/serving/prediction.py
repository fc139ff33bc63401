"""A prediction as readers of the log see it, and what of it is masked."""

from __future__ import annotations

from typing import Any

import msgspec

from nenrin.serving.deployments import Deployment
from nenrin.serving.masks import Masks
from nenrin.serving.router import Member


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
