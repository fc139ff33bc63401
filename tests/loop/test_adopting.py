"""What was broken on purpose is not adopted."""

from __future__ import annotations

import pytest

from nenrin.core.errors import RefusedError
from nenrin.loop.adopting import _check


@pytest.mark.parametrize(
    ("inject", "without", "said"),
    [
        (["scrambled_fit:2013-07-29"], [], "scrambled_fit:2013-07-29"),
        ([], ["watch"], "without watch"),
    ],
)
def test_a_backtest_with_faults_is_refused(
    inject: list[str], without: list[str], said: str
) -> None:
    with pytest.raises(RefusedError, match=said):
        _check({"id": "bt-1", "inject": inject, "without": without})


def test_one_without_is_not() -> None:
    _check({"id": "bt-1", "inject": [], "without": []})
