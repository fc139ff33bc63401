"""Names of environments."""

from __future__ import annotations

import pytest

from nenrin.core import environment
from nenrin.core.errors import RequestError


@pytest.mark.parametrize("name", ["dev", "prod", "team-2_eu", "backtest/b-12ab"])
def test_takes_plain_names(name: str) -> None:
    assert environment.checked(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Prod",
        "1st",
        "a b",
        "a/b",
        "backtest",
        "backtest/",
        "backtest/a/b",
        "../dev",
        "dév",
        "d\n",
    ],
)
def test_refuses_others(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        environment.checked(name)
    assert "dev" in caught.value.hint


def test_knows_backtests() -> None:
    assert environment.of_backtest("b-1") == "backtest/b-1"
    assert environment.is_backtest("backtest/b-1")
    assert not environment.is_backtest("dev")
    with pytest.raises(RequestError):
        environment.of_backtest("B 1")
