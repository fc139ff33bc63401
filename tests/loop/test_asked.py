"""What a backtest may be asked."""

from __future__ import annotations

from typing import Any

import pytest

from nenrin.core.errors import RequestError
from nenrin.loop.asked import Asked, read_asked


def test_what_is_left_out_is_empty() -> None:
    assert read_asked() == Asked()
    asked = read_asked("2013-04-01", "2013-06-01", ["shifted_fit:2013-04-01"], ["watch"])
    assert (asked.from_, asked.until) == ("2013-04-01", "2013-06-01")
    assert (asked.inject, asked.without) == (("shifted_fit:2013-04-01",), ("watch",))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"from_": "yesterday"}, "'yesterday' is not a date"),
        ({"until": "2013-13-01"}, "'2013-13-01' is not a date"),
        ({"from_": "2013-04-01", "until": "2013-04-01"}, "has no day to replay"),
        ({"without": ["zz"]}, "'zz' is no part"),
        ({"inject": ["flood:2013-04-01"]}, "'flood:2013-04-01' is not a fault"),
        ({"inject": ["shifted_fit"]}, "has no date"),
        ({"from_": "2013-04-01", "inject": ["shifted_fit:2013-03-31"]}, "lies before the window"),
        ({"until": "2013-04-01", "inject": ["shifted_fit:2013-04-01"]}, "lies after the window"),
    ],
)
def test_what_cannot_be_done_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said) as refused:
        read_asked(**asked)
    assert refused.value.hint
