"""Predictions for the log's tests, without a plane."""

from __future__ import annotations

from typing import Any

from nenrin.serving.answered import AnsweredRequest, prediction_ids, predictions_of
from nenrin.serving.deployments import Deployment
from nenrin.serving.livelog import LiveLog
from nenrin.serving.masks import LogRules
from nenrin.serving.prediction import Prediction
from nenrin.serving.router import Variant
from tests.serving.fakes import deployment


def answered(log: LiveLog, number: int = 1, **said: Any) -> AnsweredRequest:
    """An answered request of a number of rows, its numbers issued."""
    at = said.pop("at", 6)
    first = log.issue(number)
    usual: dict[str, Any] = {
        "deployment": "delay",
        "variants": (Variant(version="v1"),),
        "picked": [0] * number,
        "ids": prediction_ids("delay", at, log.worker, first, number),
        "keys": ["UA-1"] * number,
        "asked": [5] * number,
        "values": [0.25] * number,
        "rows": [{"flight_id": "UA-1", "distance": 1400.0} for _ in range(number)],
        "features": [{"far": False} for _ in range(number)],
        "latency": 0.0012,
    }
    return AnsweredRequest(first=first, at=at, **{**usual, **said})


def ruled(rules: LogRules | None = None) -> Deployment:
    """The deployment that they asked, with its rules for the log."""
    return deployment("v1", log=rules or LogRules())


def predict(log: LiveLog, number: int = 1, **said: Any) -> list[Prediction]:
    """Have a request logged; what the log should hold of it."""
    request = answered(log, number, **said)
    log.append(request, ruled())
    return list(predictions_of(request))
