"""Under which paths health and predictions are asked, beside the Open Inference Protocol."""

from __future__ import annotations

import msgspec


class Doors(msgspec.Struct, frozen=True, kw_only=True):
    """The paths of a plane's app that a platform may choose, and whether they need a token.

    Attributes:
        health: what load balancers ask, always without a token; it tells nothing about the data.
        predict: where predictions are asked as MLflow, SageMaker and Vertex AI ask them.
        open: predictions are answered without a token: whoever stands in front asks for its own.
    """

    health: frozenset[str] = frozenset({"/ping", "/health"})
    predict: frozenset[str] = frozenset({"/invocations"})
    open: bool = False


DOORS = Doors()
