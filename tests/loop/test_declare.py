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


def test_the_log_is_fast_or_durable() -> None:
    assert deployment(late).declared.log == "fast"
    assert deployment(late, log="durable").declared.log == "durable"
    with pytest.raises(ProjectError, match="log='slow' is not known") as raised:
        deployment(late, log="slow")
    assert raised.value.hint == "one of fast, durable"


def test_an_unseen_text_is_null_or_refused() -> None:
    assert deployment(late).declared.unseen == "null"
    assert deployment(late, unseen="refuse").declared.unseen == "refuse"
    with pytest.raises(ProjectError, match="unseen='error' is not known") as raised:
        deployment(late, unseen="error")
    assert raised.value.hint == "one of null, refuse"


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
