"""The words of the loop in a project file, and what is said of wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nenrin.core.errors import ProjectError
from nenrin.core.instants import DAY, HOUR
from nenrin.data.declare import file
from nenrin.loop.declare import deployment, every, history, trailing
from nenrin.training.declare import model

orders = file("orders.csv", key="id", time="at")


@model(rows=orders, label=orders.late)
def late(rows: Any) -> Any: ...


WRONG: list[tuple[str, Callable[[], object]]] = [
    ("period='banana' is not a duration", lambda: every("banana")),
    ("period=7 is not a duration", lambda: every(7)),
    ("period='0d' is not a duration", lambda: every("0d")),
    ("'36h': a period is whole days", lambda: every("36h")),
    ("at='4 am' is not a local time", lambda: every("1d", at="4 am")),
    ("at=4 is not a local time", lambda: every("1d", at=4)),
    ("is not a local time", lambda: every("1d", at="04:00+02:00")),
    ("half_life='banana' is not a duration", lambda: history(half_life="banana")),
    ("half_life=60 is not a duration", lambda: history(half_life=60)),
    ("half_life='0d' is not a duration", lambda: history(half_life="0d")),
    ("window='banana' is not a duration", lambda: trailing("banana")),
    ("window=90 is not a duration", lambda: trailing(90)),
    ("settle='banana' is not a duration", lambda: deployment(late, settle="banana")),
    ("settle='' is not a duration", lambda: deployment(late, settle="")),
    ("refresh='7d' is not a schedule", lambda: deployment(late, refresh="7d")),
    ("is not a list of recipes", lambda: deployment(late, recipes=["history"])),
    ("is not a list of recipes", lambda: deployment(late, recipes=history())),
    ("sticky=7 is not a name", lambda: deployment(late, sticky=7)),
    ("fallback=nan is no answer", lambda: deployment(late, fallback=float("nan"))),
    ("fallback=True is no answer", lambda: deployment(late, fallback=True)),
    (r"fallback=\[1\] is no answer", lambda: deployment(late, fallback=[1])),
    ("missing='null' is neither", lambda: deployment(late, missing="null")),
    ('is neither "refuse" nor values', lambda: deployment(late, missing={"age": [1]})),
    ('is neither "refuse" nor values', lambda: deployment(late, missing={1: 1})),
]


@pytest.mark.parametrize(("said", "word"), WRONG, ids=[said for said, _ in WRONG])
def test_a_wrong_value_is_said_with_its_line(said: str, word: Callable[[], object]) -> None:
    with pytest.raises(ProjectError, match=said) as raised:
        word()
    assert raised.value.where == f"{Path(__file__)}:{word.__code__.co_firstlineno}"
    assert raised.value.hint.startswith("write ")


@pytest.mark.parametrize(
    ("name", "left_out", "other"), [("log", "fast", "durable"), ("unseen", "null", "refuse")]
)
def test_a_word_is_one_of_two(name: str, left_out: str, other: str) -> None:
    words: dict[str, Any] = {name: other}
    assert getattr(deployment(late).declared, name) == left_out
    assert getattr(deployment(late, **words).declared, name) == other
    words[name] = "slow"
    with pytest.raises(ProjectError, match=f"{name}='slow' is not known") as raised:
        deployment(late, **words)
    assert raised.value.hint == f"one of {left_out}, {other}"


def test_right_values() -> None:
    declared = deployment(
        late,
        recipes=[history("60d"), trailing("4w")],
        refresh=every("2d", at="04:30"),
        settle="12h",
        missing={"age": 40, "plan": None},
        sticky="user_id",
        fallback=1,
    ).declared
    assert declared.missing == {"age": 40, "plan": None}
    assert deployment(late).declared.missing is None
    assert (declared.sticky, declared.fallback) == ("user_id", 1.0)
    assert [recipe.name for recipe in declared.recipes] == ["history 60d", "trailing 28d"]
    assert (declared.refresh.period, declared.refresh.clock.minute) == (2 * DAY, 30)
    assert declared.settle == 12 * HOUR
