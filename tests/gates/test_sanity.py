"""Sanity: what makes a fit unfit."""

from __future__ import annotations

import numpy as np

from nenrin.gates.sanity import check_predictions, check_schema, check_twin


def kinds(flaws) -> list[str]:
    return [flaw.kind for flaw in flaws]


def test_probabilities_are_finite_and_between_zero_and_one():
    assert check_predictions(np.array([0.0, 0.5, 1.0]), "binary") == ()
    assert kinds(check_predictions(np.array([0.5, np.nan, np.inf]), "binary")) == ["nan"]
    (flaw,) = check_predictions(np.array([0.5, 1.5, -0.1]), "binary")
    assert flaw.kind == "range"
    assert "2 of 3 predictions" in flaw.text


def test_a_regression_stays_near_its_labels():
    y = np.array([10.0, 20.0, np.nan])
    assert check_predictions(np.array([-90.0, 120.0]), "regression", y) == ()
    assert kinds(check_predictions(np.array([1e6]), "regression", y)) == ["range"]
    assert check_predictions(np.array([1e6]), "regression") == ()


def test_columns_are_those_that_the_artefact_reads():
    read = {"a": "number", "b": "string"}
    assert check_schema(read, {"b": "string", "a": "number"}) == ()
    flaws = check_schema(read, {"a": "integer", "c": "number"})
    assert [flaw.text for flaw in flaws] == [
        "column 'a' is integer, the artefact reads number",
        "column 'b' is absent, the artefact reads string",
        "column 'c' is number, the artefact reads none",
    ]


def test_worse_than_its_twin_in_sample_is_insane():
    e = np.array([0.02, 0.01, 0.03])
    assert kinds(check_twin(e)) == ["twin"]
    assert check_twin(-e) == ()
    assert check_twin(e[:2]) == ()
    assert check_twin(None) == ()
