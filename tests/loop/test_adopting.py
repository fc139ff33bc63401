"""What was broken on purpose is not adopted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nenrin.core.errors import RefusedError
from nenrin.loop.adopting import Adopting, _check
from nenrin.loop.state import Artefact, State


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


def test_bad_marks_of_the_backtest_are_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def state(champion: str, bad: list[str]) -> State:
        fit = Artefact(version=champion, model="m", recipe="history", look=0, cutoff=0)
        return State(
            settle=0,
            next_block=0,
            next_day=0,
            next_look=0,
            champion=champion,
            artefacts={champion: fit},
            bad=bad,
        )

    class OpenedError(Exception):
        pass

    def opened(prepared: Any, now: int, options: Any, both: State) -> None:
        raise OpenedError(both.bad)

    monkeypatch.setattr("nenrin.loop.adopting.open_deployed", opened)
    rooms = dict.fromkeys(("units", "registry", "gates", "serving", "states"))
    adopting = Adopting(SimpleNamespace(now=lambda prepared: 0), **rooms)  # type: ignore[arg-type]
    there, here = state("new", ["old", "flawed"]), state("old", ["gone", "flawed"])
    with pytest.raises(OpenedError) as found:
        adopting._challenge({"id": "bt-1"}, "dev", None, there, here)  # type: ignore[arg-type]
    assert found.value.args[0] == ["gone", "flawed", "old"]


def test_one_without_is_not() -> None:
    _check({"id": "bt-1", "inject": [], "without": []})
