"""How a run's findings are told: figures that fit their metric, decisions, warnings, what is next."""

from __future__ import annotations

from typing import Any

import pytest

from nenrin.api import findings
from nenrin.api.pages import run_page
from tests.api.fakes import Projects, ran


def _run(**changed: Any) -> dict[str, Any]:
    return {**ran("dev"), **changed}


def _evaluated(**changed: Any) -> dict[str, Any]:
    return _run(evaluation={**ran("dev")["evaluation"], **changed})


def test_a_leak_is_the_headline() -> None:
    assert findings.headline(_run()) == "refund_reason alone all but tells what delay predicts"
    told = findings.headline(_run(leaking=[]))
    assert told == "delay beats the baseline by 0.0500 of log loss"
    assert "not shown" in findings.headline(
        _run(leaking=[], evaluation={**ran("dev")["evaluation"], "beats_baseline": False})
    )


def test_what_has_a_unit_gets_four_digits() -> None:
    gap = {"mean": -1234.5, "low": -1400.0, "high": -1100.0}
    run = _evaluated(
        metric="rmse", value=23456.7, low=2e4, high=3e4, baseline=24691.2, difference=gap
    )
    (_, value, interval), _, (_, difference, _) = findings.measures(run)
    assert (value, interval) == ("23,457", "20,000 … 30,000")
    assert difference == "−1,234"
    small = {**gap, "mean": -0.00002}
    run = _evaluated(metric="mae", value=0.00123, baseline=0.00125, difference=small)
    assert findings.measures(run)[0][1] == "0.001230"


def test_an_interval_that_cannot_be_told_says_so() -> None:
    run = _evaluated(low=None, high=None)
    assert findings.measures(run)[0][2] == "too few days to say"


ROUTE = [
    {"version": "version-0", "weight": 80, "revision": "revision-1"},
    {"version": "version-1", "weight": 20, "revision": "revision-2"},
]


@pytest.mark.parametrize("revision", ["revision-1", "revision-2"])
def test_code_that_goes_out_already_was_judged_before(revision: str) -> None:
    route = {"champion": "version-0", "canary": "version-1", "route": ROUTE}
    run = {**_evaluated(), "verdict": None, **route, "revision": revision}
    assert findings.is_judged(run) == (revision == "revision-2")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "admitted: version-1 serves"),
        (
            {"champion": "version-0", "canary": "version-1"},
            "admitted: version-1 goes out as a canary beside version-0",
        ),
        ({"champion": "version-9"}, "admitted: version-9 serves"),  # a mixture of what ships
        ({"verdict": None}, "version-1 goes on serving"),
        ({"verdict": None, "champion": None}, "nothing serves yet"),
        (
            {"verdict": None, "champion": "version-0", "canary": "version-1", "route": ROUTE},
            "version-1 of revision-2 is a canary at 20 % beside version-0",
        ),
    ],
)
def test_the_decision_says_who_serves(changed: dict[str, Any], said: str) -> None:
    assert findings.decision(_run(**changed)) == said


def test_the_page_holds_all_that_was_found() -> None:
    page = run_page(Projects().last_run("dev"))
    for text in (
        "refund_reason alone all but tells what delay predicts",
        "Judged on 7,000 rows: 5 folds by key.",
        "0.4900 … 0.5100",
        "Can its probabilities be taken at their word?",
        "refund_reason alone all but tells the label (AUC 1.000)",
        "loss differs by -0.05",
        "revision-1",
        "nenrin up",
    ):
        assert text in page, text
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page


def test_the_page_says_what_the_gates_interval_is() -> None:
    found = Projects().last_run("dev")
    verdict = found["deployments"][0]["verdict"]
    verdict["reason"] = (
        "admitted: better against the baseline, loss -0.08 [-0.11, -0.06] over 600 rows"
    )
    assert "In brackets are the one-sided 5 % bounds" in run_page(found)
    verdict["reason"] = "admitted: nothing to compare with the baseline yet"
    assert "In brackets" not in run_page(found)


def test_a_regression_has_no_reliability() -> None:
    found = Projects().last_run("dev")
    evaluation = found["deployments"][0]["evaluation"]
    del evaluation["reliability"]
    assert "Can its probabilities" not in run_page(found)
