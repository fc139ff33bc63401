"""Regret, spread and bar of a report, and whether its sentences are true to its figures."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.regret import regret, unpaid, untrue

TITLES = {"never": "never retraining", "weekly": "weekly, all history"}


def report(
    loop: float, low: float, high: float, *, best: float = 0.5, worst: float = 0.6
) -> dict[str, Any]:
    """Two fixed policies; the interval is that against the better one."""
    gaps = [
        {"against": "never", "mean": loop - worst, "low": -0.2, "high": -0.05},
        {"against": "weekly", "mean": loop - best, "low": low, "high": high},
        {"against": "hindsight", "mean": loop - 0.4, "low": 0.0, "high": 0.2},
    ]
    for gap in gaps:
        gap["title"] = TITLES.get(str(gap["against"]), "best in hindsight")
        gap["pays"] = gap["high"] < 0  # type: ignore[operator]
    said = [
        f"The loop {'pays' if gap['pays'] else 'does not pay'} against {gap['title']}: so much a row"
        for gap in gaps
    ]
    losses = {"loop": loop, "never": worst, "weekly": best, "hindsight": 0.4}
    return {
        "policies": [{"name": name} for name in losses],
        "total": {name: {"log_loss": loss} for name, loss in losses.items()},
        "differences": gaps,
        "sentences": said,
        "settle_age": "9h",
    }


@pytest.mark.parametrize(
    ("loop", "low", "high", "met"),
    [
        (0.509, 0.001, 0.02, True),  # small, if surely above zero
        (0.520, 0.001, 0.04, False),
        (0.520, -0.01, 0.05, True),  # covers zero, narrower than the spread
        (0.520, -0.05, 0.09, False),  # covers zero, but says nothing
        (0.480, -0.04, -0.01, True),  # better than every one of them
    ],
)
def test_the_bar(loop: float, low: float, high: float, met: bool) -> None:
    found = regret(report(loop, low, high))
    assert (found.best, found.worst) == ("weekly", "never")
    assert found.regret == pytest.approx(loop - 0.5)
    assert found.spread == pytest.approx(0.1)
    assert found.met == met


def test_the_best_in_hindsight_is_no_fixed_policy() -> None:
    assert regret(report(0.51, 0.0, 0.02)).best == "weekly"


def test_roots_of_squared_errors_are_squared() -> None:
    told = report(4.5, 0.0, 1.0, best=4.0, worst=9.0)
    told["total"] = {n: {"rmse": t["log_loss"] ** 0.5} for n, t in told["total"].items()}
    found = regret(told)
    assert (found.regret, found.spread) == (pytest.approx(0.5), pytest.approx(5.0))


def test_totals_and_differences_that_contradict_each_other_are_refused() -> None:
    told = report(0.51, 0.0, 0.02)
    told["differences"][1]["mean"] = 0.02
    with pytest.raises(ValueError, match="do not differ by"):
        regret(told)


def test_a_report_that_is_true_to_its_figures() -> None:
    told = report(0.51, 0.0, 0.02)
    assert untrue(told) == []
    assert unpaid(told) == ["weekly, all history"]


def test_a_sentence_that_says_otherwise_is_found() -> None:
    told = report(0.51, 0.0, 0.02)
    told["sentences"][1] = told["sentences"][1].replace("does not pay", "pays")
    assert len(untrue(told)) == 1


def test_late_labels_must_be_told_of() -> None:
    told = report(0.51, 0.0, 0.02) | {"settle_age": "14d 6h"}
    assert untrue(told) == ["labels settle in 14d 6h, and that is unsaid"]
    told["sentences"].append("Labels settle in 14d 6h: between two looks …")
    assert untrue(told) == []
    assert len(untrue(told | {"settle_age": "4d"})) == 1
