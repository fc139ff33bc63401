"""The turns of several deployments."""

from __future__ import annotations

import logging

import pytest

from nenrin.loop.living import one_by_one
from nenrin.serving.deployments import Deployment
from nenrin.serving.router import Route, Variant
from nenrin.serving.signature import RequestSignature


def named(name: str) -> Deployment:
    return Deployment(
        name=name,
        environment="dev",
        model=name,
        revision="r",
        route=Route(deployment=name, variants=(Variant(version="v1"),)),
        anchor="v1",
        request=RequestSignature(fields=(), key=()),
        at=0,
    )


def test_a_turn_that_fails_keeps_no_other_from_its_own(caplog: pytest.LogCaptureFixture) -> None:
    taken = []

    def turn(deployment: Deployment) -> int:
        taken.append(deployment.name)
        if deployment.name in ("b", "c"):
            raise ValueError(deployment.name)
        return 2

    with caplog.at_level(logging.ERROR), pytest.raises(ValueError, match="b"):
        one_by_one([named(name) for name in "abcd"], turn)
    assert taken == ["a", "b", "c", "d"]
    assert "the turn of c failed" in caplog.text
    assert one_by_one([named(name) for name in "ad"], turn) == 4
