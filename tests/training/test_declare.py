"""The words ``nr.model``, ``nr.import_model`` and ``nr.predictor``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from nenrin.core.errors import ProjectError
from nenrin.data.declare import dataset, file
from nenrin.training.declare import Model, import_model, model, predictor
from nenrin.training.spaces import integers


@dataset(key="id", time="at")
def flights() -> None: ...


@dataset(key="id", time="landed", known="30m")
def arrivals() -> None: ...


def test_a_decorated_function_stays_a_function() -> None:
    @model(rows=flights, label=arrivals.late, features=[], metric="log_loss")
    def delay(rows: Any, depth: int = 3) -> Any:
        return rows, depth

    assert isinstance(delay, Model)
    assert delay("rows", depth=5) == ("rows", 5)
    assert delay.declared.name == "delay"
    assert delay.rows is flights
    assert delay.features == ()
    assert delay.label_column.name == "late"


def test_says_where_it_stands() -> None:
    line = inspect.currentframe().f_lineno + 2  # type: ignore[union-attr]

    @model(rows=flights, label=arrivals.late)
    def delay(rows: Any) -> Any: ...

    assert delay.declared.where == f"{__file__}:{line}"


def test_a_label_may_be_a_comparison() -> None:
    customers = file("customers.csv", key="customer_id")

    @model(rows=customers, label=customers.churned == "Yes", drop=["refund"])
    def churn(rows: Any) -> Any: ...

    assert churn.label_column.name == "churned"
    assert churn.features is None
    assert churn.declared.drop == ("refund",)


def test_at_may_be_earlier_than_the_event() -> None:
    @model(rows=flights, label=arrivals.late, features=[], at=flights.at - "2h")
    def delay(rows: Any) -> Any: ...

    assert delay.at is not None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"rows": "flights"}, "not a dataset"),
        ({"label": "late"}, "not a column"),
        ({"features": "sky"}, "not a list of feature views"),
        ({"drop": "notes"}, "not a list of columns"),
        ({"features": [], "drop": ["notes"]}, "without features="),
        ({"at": arrivals.landed}, "not an instant of the rows"),
        ({"at": "sched_dep"}, "not an instant of the rows"),
        ({"metric": "auc"}, "metric='auc' is not known"),
        ({"metric": "roc_auc", "task": "regression"}, "does not fit a regression model"),
        ({"task": "multiclass"}, "not built yet"),
        ({"task": "guess"}, "is not known"),
        ({"baseline": "last"}, "baseline='last'"),
        ({"tune": {"leaves": integers(1, 2)}}, "no parameter of delay"),
        ({"tune": {"depth": [1, 2]}}, "not a space"),
    ],
)
def test_wrong_arguments_are_refused_with_their_line(wrong: dict[str, Any], says: str) -> None:
    line = inspect.currentframe().f_lineno + 3  # type: ignore[union-attr]
    with pytest.raises(ProjectError, match=says) as caught:

        @model(**{"rows": flights, "label": arrivals.late, **wrong})
        def delay(rows: Any, depth: int = 3) -> Any: ...

    assert caught.value.where == f"{__file__}:{line}"
    assert caught.value.hint


def test_a_function_wants_rows() -> None:
    with pytest.raises(ProjectError, match="takes no rows"):

        @model(rows=flights, label=arrivals.late)
        def delay() -> Any: ...


def test_an_imported_model_is_named_by_the_project_and_cannot_be_called() -> None:
    brought = import_model("model.skops", rows=flights, label=arrivals.late)
    assert brought.named("brought").named("other").declared.name == "brought"
    with pytest.raises(ProjectError, match="nothing to call"):
        brought("rows")


@pytest.mark.parametrize(
    ("path", "changes", "says"),
    [("model.pkl", {}, "can run code"), ("model.skops", {"container": "list"}, "container='list'")],
)
def test_an_imported_model_must_be_vouched_for(
    path: str, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ProjectError, match=says):
        import_model(path, rows=flights, label=arrivals.late, **changes)
    import_model("model.pkl", rows=flights, label=arrivals.late, trust=True)


@pytest.mark.parametrize("given", [{"save": bytes}, {"load": bytes}, {"predict": 3}])
def test_a_predictor_wants_functions(given: dict[str, Any]) -> None:
    functions: dict[str, Callable[..., Any]] = {"predict": print, **given}
    with pytest.raises(ProjectError, match="wants functions"):
        predictor(object(), **functions)  # type: ignore[arg-type]
