"""What tuning may choose from."""

from __future__ import annotations

from typing import Any

import pytest

from nenrin.core.errors import ProjectError
from nenrin.training.spaces import choice, contains, floats, integers


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: integers(3, 2),
        lambda: integers(1.5, 2),  # type: ignore[arg-type]
        lambda: integers(True, 2),
        lambda: floats(2.0, 1.0),
        lambda: floats(0.0, 1.0, log=True),
        lambda: floats(float("nan"), 1.0),
        lambda: choice([]),
        lambda: choice("l1"),
        lambda: choice([object()]),  # type: ignore[list-item]
    ],
)
def test_refuses_what_is_no_space(wrong: Any) -> None:
    with pytest.raises(ProjectError) as caught:
        wrong()
    assert caught.value.hint


def test_contains_its_bounds_only() -> None:
    assert contains(integers(7, 63), 63)
    assert not contains(integers(7, 63), 64)
    assert not contains(integers(7, 63), 7.5)
    assert contains(floats(0.1, 1), 1)
    assert not contains(floats(0.1, 1), None)
    assert contains(choice(["l1", None]), None)
