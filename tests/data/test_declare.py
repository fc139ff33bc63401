from __future__ import annotations

import copy
import inspect
from pathlib import Path

import pytest

from nenrin.core.errors import ProjectError
from nenrin.core.instants import HOUR, MINUTE
from nenrin.data.declare import Column, Comparison, columns_hidden_by_words, dataset, file


@dataset(key=["origin", "seen"], time="seen", tz="America/New_York", known="30m")
def weather():
    return {"origin": ["JFK"]}


def line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_a_function_becomes_a_dataset_that_can_still_be_called():
    spec = weather.declared
    assert (spec.name, spec.key, spec.time) == ("weather", ("origin", "seen"), "seen")
    assert spec.where.startswith(f"{__file__}:")
    assert weather() == {"origin": ["JFK"]}


def test_known_is_a_delay_or_a_column():
    assert weather.declared.delay == 30 * MINUTE
    assert weather.declared.known_column is None
    by_column = file("x.csv", known="loaded_at").declared
    assert by_column.delay is None
    assert by_column.known_column == "loaded_at"
    assert file("x.csv").declared.known_column is None


def test_columns_are_attributes_and_items():
    column = weather.origin
    assert isinstance(column, Column)
    assert (column.dataset, column.name) == (weather, "origin")
    assert weather["declared"].name == "declared"
    assert columns_hidden_by_words(["a", "declared", "named"]) == ["declared", "named"]


def test_a_comparison_is_a_label():
    compared = weather.origin == "JFK"
    assert isinstance(compared, Comparison)
    assert (compared.op, compared.value) == ("==", "JFK")
    assert [c.op for c in (weather.t != 1, weather.t < 1, weather.t <= 1, weather.t > 1)] == [
        "!=",
        "<",
        "<=",
        ">",
    ]
    assert (weather.t >= 2.5).value == 2.5


def test_columns_hash_by_identity():
    first, second = weather.origin, weather.origin
    assert len({first: 1, second: 2}) == 2
    assert hash(first) == hash(first)


def test_instants_are_moved_by_durations():
    assert (weather.seen - "2h").us == -2 * HOUR
    assert (weather.seen + "30m").us == 30 * MINUTE


@pytest.mark.parametrize(
    "use",
    [
        lambda: bool(weather.origin),
        lambda: 1 < weather.temp < 3,
        lambda: weather.origin == weather.dest,
        lambda: weather.origin == ["JFK"],
        lambda: weather.seen - 2,
        lambda: weather.seen - "soon",
    ],
)
def test_what_is_no_declaration_is_refused(use):
    with pytest.raises(ProjectError) as raised:
        use()
    assert raised.value.hint


def test_python_and_notebooks_find_no_columns_where_they_look_for_methods():
    assert not hasattr(weather, "_repr_html_")
    assert not hasattr(weather, "__wrapped__")
    assert copy.copy(weather).declared == weather.declared


def test_a_file_is_named_by_the_project_and_read_beside_it():
    customers = file("data/customers.csv", key="id")
    label = customers.churned == "yes"
    assert customers.declared.name == ""
    assert customers.named("customers", Path("/shop")) is customers
    assert customers.named("other", Path("/shop")).declared.name == "customers"
    assert customers() == Path("/shop/data/customers.csv")
    assert label.column.dataset is customers
    assert customers.declared.path == "data/customers.csv"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"key": 5}, "key=5"),
        ({"key": ["a", "a"]}, "key="),
        ({"key": ["a", 1]}, "key="),
        ({"key": "a", "time": 3}, "time=3"),
        ({"key": "a", "tz": "Mars/Olympus"}, "Mars/Olympus"),
        ({"key": "a", "tz": "../etc"}, "time zone"),
        ({"key": "a", "known": "30m"}, "delay"),
    ],
)
def test_a_wrong_argument_names_the_line_of_the_declaration(arguments, said):
    with pytest.raises(ProjectError, match=said) as raised:
        file("x.csv", **arguments)
    assert raised.value.where == f"{__file__}:{line() - 1}"


def test_a_dataset_function_takes_nothing():
    with pytest.raises(ProjectError, match="without parameters") as raised:

        @dataset(key="a")
        def orders(since):
            return since

    assert raised.value.where.startswith(__file__)


@pytest.mark.parametrize(
    ("personal", "said"),
    [
        ({"email": "md5"}, "does not say how columns are masked"),
        ({"email": None}, "does not say how columns are masked"),
        ({"": "hash"}, "does not say how columns are masked"),
        (["email"], "does not say how columns are masked"),
        ({"id": "drop"}, "drops 'id', which is the key"),
    ],
)
def test_wrong_words_for_what_is_personal_are_refused(personal, said):
    with pytest.raises(ProjectError, match=said) as raised:
        file("x.csv", key="id", personal=personal)
    assert raised.value.hint
    assert raised.value.where.startswith(f"{__file__}:")


def test_what_is_personal_is_kept():
    personal = {"id": "hash", "name": "drop"}
    assert file("x.csv", key="id", personal=personal).declared.personal == personal
    assert weather.declared.personal == {}
