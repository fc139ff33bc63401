"""Prompts: read strictly, filled plainly, answered by a callable of the project."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import DataError, NotFoundError, RequestError, StepError
from nenrin.registry.kinds import OpenContext, RowAnswerer
from nenrin.registry.kinds.prompt import Prompt, PromptKind
from nenrin.testing.stores import MemoryStore

POLITE = Prompt(template="Is {text} polite? {{yes}} or {{no}}, {name}.", model="judge")


def opened(prompt: Prompt, **project: Any) -> Any:
    context = OpenContext(store=MemoryStore(), project=project)
    return PromptKind().open(prompt.dumps(), context)


def test_describes_inputs_and_model() -> None:
    assert PromptKind().describe(POLITE.dumps()) == {"inputs": ["name", "text"], "model": "judge"}
    assert PromptKind().describe(Prompt(template="Hi!", model="m").dumps())["inputs"] == []


def test_the_same_prompt_has_the_same_bytes() -> None:
    assert POLITE.dumps() == Prompt(model="judge", template=POLITE.template).dumps()
    assert Prompt.loads(POLITE.dumps()) == POLITE


def test_fills_the_template_and_gives_texts() -> None:
    answerer = opened(POLITE, judge=str.upper)
    frame = pl.DataFrame({"text": ["{hi}", None], "name": ["Aki", "Bo"], "more": [1, 2]})
    assert answerer.answer(frame) == [
        "IS {HI} POLITE? {YES} OR {NO}, AKI.",
        "IS NONE POLITE? {YES} OR {NO}, BO.",
    ]
    assert answerer.answer(frame.head(0)) == []


def test_numbers_come_as_an_array() -> None:
    answers = opened(POLITE, judge=len).answer(pl.DataFrame({"text": ["a", "bb"], "name": "x"}))
    assert isinstance(answers, np.ndarray)
    assert answers.dtype == np.float64
    assert answers[1] - answers[0] == 1


def test_answers_rows_too() -> None:
    rows = [{"text": "a", "name": "x"}, {"name": "y", "text": 2}, {"name": "z"}]
    answers = RowAnswerer(opened(POLITE, judge=lambda text: text[3:7])).answer_rows(rows)
    assert answers == ["a po", "2 po", "None"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"no json", "no prompt"),
        (b'{"template": "Hi"}', "model"),
        (b'{"template": "Hi {", "model": "m"}', "template is wrong"),
        (b'{"template": "{a.__class__}", "model": "m"}', "a.__class__"),
        (b'{"template": "{a[0]}", "model": "m"}', "a\\[0\\]"),
        (b'{"template": "{}", "model": "m"}', "not a column"),
        (b'{"template": "{a!r}", "model": "m"}', "not a column"),
    ],
)
def test_refuses_what_is_no_prompt(content: bytes, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        PromptKind().describe(content)


@pytest.mark.parametrize("project", [{}, {"judge": "not callable"}])
def test_says_that_the_project_has_no_such_callable(project: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError, match="judge"):
        opened(POLITE, **project)


def test_says_which_column_is_missing() -> None:
    with pytest.raises(DataError, match="'name'"):
        opened(POLITE, judge=len).answer(pl.DataFrame({"text": ["a"]}))


def test_says_that_the_model_raised() -> None:
    def judge(text: str) -> str:
        raise ValueError("tired")

    with pytest.raises(StepError, match="judge raised ValueError: tired"):
        opened(POLITE, judge=judge).answer(pl.DataFrame({"text": ["a"], "name": ["b"]}))
