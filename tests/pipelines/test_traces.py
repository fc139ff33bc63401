"""Errors of users' functions, their own lines first."""

from __future__ import annotations

import faulthandler
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nenrin.core.errors import DataError, StepError
from nenrin.pipelines.traces import explained, own_line, standing, told


def raised(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError


HERE = Path(__file__).parent


def outer() -> object:
    return json.loads("{")


LINE = f"{__file__}:{outer.__code__.co_firstlineno + 1}"


@pytest.mark.parametrize("project", [HERE, None])
def test_the_users_last_line_is_where_it_happened(project: Path | None) -> None:
    error = raised(outer)
    assert own_line(error, project) == LINE
    own, whole = told(error, project).split("Whole traceback:")
    assert "decoder.py" not in own
    assert "decoder.py" in whole


def test_without_lines_of_the_users_the_whole_is_told(tmp_path: Path) -> None:
    error = raised(outer)
    assert own_line(error, tmp_path) == ""
    assert told(error, tmp_path).startswith("Traceback")


def test_a_cause_has_the_line_where_the_error_has_none(tmp_path: Path) -> None:
    error = DataError("wrapped")
    error.__cause__ = raised(outer)
    assert own_line(error, HERE) == LINE


def test_a_folder_of_a_longer_name_is_another(tmp_path: Path) -> None:
    assert own_line(raised(outer), Path(str(HERE)[:-1])) == ""


def test_errors_of_nenrins_stay_what_they_are() -> None:
    error = DataError("broken", where="a.py:1")
    assert explained(error, "report", HERE) is error
    step = StepError("raised", where="a.py:1")
    assert explained(step, "report", HERE) is step
    assert "StepError: raised" in step.trace


def test_others_are_explained() -> None:
    found = explained(raised(outer), "report", HERE)
    assert isinstance(found, StepError)
    assert found.message.startswith("report raised JSONDecodeError: Expecting")
    assert found.where == LINE
    assert found.raised == ("JSONDecodeError", "ValueError", "Exception")


def test_a_stack_says_where_the_users_code_stands(tmp_path: Path) -> None:
    with (tmp_path / "stack").open("w+") as file:
        faulthandler.dump_traceback(file, all_threads=False)
        file.seek(0)
        stack = file.read()
    assert standing(stack, HERE).startswith(f"{__file__}:")
    assert standing(stack, tmp_path) == ""
