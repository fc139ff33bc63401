from __future__ import annotations

from typing import Any

import pytest

from nenrin.features.code import check_code, named_columns
from nenrin.features.values import UntraceableError
from tests.features.makers import line_of


def inner(row: Any) -> Any:
    return row.wind


def outer(row: Any) -> dict[str, Any]:
    return {"a": row.temp, "b": row["visib"], "c": sum(inner(row) for _ in range(1))}


def test_columns_are_found_in_called_functions_too() -> None:
    known = dict.fromkeys(["wind", "other", "visib", "temp"], "number")
    assert list(named_columns(outer, known)) == ["wind", "visib", "temp"]
    check_code(outer)


def test_a_test_for_none_is_found_with_its_line() -> None:
    def view(row: Any) -> dict[str, Any]:
        temp = row.temp
        return {"a": 0 if temp is None else temp}  # the test

    with pytest.raises(UntraceableError) as caught:
        check_code(view)
    assert caught.value.where == f"{__file__}:{line_of('# the test', __file__)}"


def test_a_recursive_function_ends() -> None:
    check_code(recursive)


def recursive(row: Any) -> dict[str, Any]:
    return recursive(row)
