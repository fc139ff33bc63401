"""A person's command that a turn of the loop overtook is tried again, as long as its premise holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nenrin.core.errors import ConflictError, OvertakenError
from nenrin.loop.insisting import TIMES, insist


def overtaken(times: int) -> tuple[Callable[[], str], list[int]]:
    """A command that loses so often; and when it was tried."""
    tried: list[int] = []

    def command() -> str:
        tried.append(len(tried))
        if len(tried) <= times:
            raise OvertakenError("the loop went on meanwhile")
        return "done"

    return command, tried


def test_it_is_done_when_the_loop_lets_it() -> None:
    command, tried = overtaken(TIMES - 1)
    assert insist(command, lambda: "a") == "done"
    assert len(tried) == TIMES


def test_it_ends() -> None:
    command, tried = overtaken(TIMES)
    with pytest.raises(OvertakenError):
        insist(command, lambda: "a")
    assert len(tried) == TIMES


def test_what_was_decided_on_something_else_is_not_done() -> None:
    command, tried = overtaken(1)
    served = iter([("a",), ("b",)])
    with pytest.raises(OvertakenError):
        insist(command, lambda: next(served))
    assert tried == [0]


def test_another_conflict_is_nothing_to_insist_on() -> None:
    tried = []

    def command() -> None:
        tried.append(1)
        raise ConflictError("it serves that version already")

    with pytest.raises(ConflictError, match="already"):
        insist(command, lambda: "a")
    assert tried == [1]
