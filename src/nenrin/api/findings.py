"""How a run's findings are read: one set of sentences and decimals for its page and the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from nenrin.api import figures

Run = Mapping[str, Any]
"""What a run found of one deployment: an item of ``deployments`` in ``nenrin run --json``."""

_IN_UNITS = frozenset({"mae", "rmse"})  # as large as the label is: digits that count, not decimals
_DIGITS = 4
NEAR_COIN = 0.5


def headline(run: Run) -> str:
    """What was found, in one sentence."""
    name, found = run["deployment"], run["evaluation"]
    metric = figures.title_of(found["metric"])
    if run["leaking"]:
        return f"{run['leaking'][0]} alone all but tells what {name} predicts"
    if found["beats_baseline"]:
        gap = _spelled(abs(found["difference"]["mean"]), places(found))
        return f"{name} beats the baseline by {gap} of {metric}"
    return f"{name} is not shown to beat the baseline"


def decision(run: Run) -> str:
    """What the gates said, and who serves now."""
    verdict, champion = run["verdict"], run["champion"]
    if not verdict:
        if out := goes_out(run):
            what = f"{out['version']} of {out['revision']}"
            return f"{what} is a canary at {out['weight']} % beside {champion}"
        return f"{champion} goes on serving" if champion else "nothing serves yet"
    if not verdict["admitted"]:
        stays = f"{champion} goes on serving" if champion else "nothing serves yet"
        return f"{verdict['reason']}; {stays}"
    if canary := run.get("canary"):
        return f"admitted: {canary} goes out as a canary beside {champion}"
    return f"admitted: {champion} serves"


def goes_out(run: Run) -> Mapping[str, Any] | None:
    """The canary's version, weight and revision; None where there is none."""
    route: Iterable[Mapping[str, Any]] = run.get("route", ())
    return next((each for each in route if each["version"] == run.get("canary")), None)


def is_judged(run: Run) -> bool:
    """Whether the loop took this code before the run did: what goes out is of its revision."""
    out = goes_out(run)
    return bool(out and not run["verdict"] and out["revision"] == run["revision"])


def direction(run: Run) -> str:
    """Which values of the metric are good."""
    higher = run["evaluation"]["metric"] in figures.HIGHER_IS_BETTER
    return "higher is better" if higher else "lower is better"


def places(found: Mapping[str, Any]) -> int:
    """Decimals that an evaluation's figures deserve: four, or four digits of what has a unit."""
    if found["metric"] not in _IN_UNITS:
        return _DIGITS
    size = max(abs(found["value"] or 0.0), abs(found["baseline"] or 0.0))
    return _DIGITS if size == 0.0 else min(9, max(0, _DIGITS - 1 - math.floor(math.log10(size))))


def measures(run: Run) -> list[tuple[str, str, str]]:
    """Model, baseline and their difference: name, figure, 95 % interval."""
    found = run["evaluation"]
    few, gap = places(found), found["difference"]
    return [
        ("model", _spelled(found["value"], few), _interval(found, few)),
        ("baseline", _spelled(found["baseline"], few), ""),
        ("difference", _spelled(gap["mean"], few, "+"), _interval(gap, few, "+")),
    ]


def rests_on(run: Run) -> str:
    """The rows that it was judged on."""
    found = run["evaluation"]
    return f"judged on {found['rows']:,} rows: {found['how']}"


def others(run: Run) -> list[tuple[str, str]]:
    """Further metrics, those that could be told."""
    found = run["evaluation"]
    return [
        (figures.title_of(name), _spelled(value, places({**found, "metric": name})))
        for name, value in found["others"].items()
        if value is not None and math.isfinite(value)
    ]


def warnings(run: Run) -> list[str]:
    """What makes the figures look too good: a label without age, columns that all but tell it."""
    return [
        *run["warnings"],
        *_leaks(run),
    ]


def _leaks(run: Run) -> list[str]:
    return [
        f"{name} alone all but tells the label (AUC {run['column_aucs'][name]:.3f}): was it known when "
        f'the question was asked? If not, leave it out: drop=["{name}"]'
        for name in run["leaking"]
    ]


def next_steps(runs: Iterable[Run]) -> list[str]:
    """Commands that make sense after a run."""
    runs = list(runs)
    refused = [each for each in runs if each["verdict"] and not each["verdict"]["admitted"]]
    checks = [f"nenrin gates check {each['deployment']}" for each in refused]
    return [*checks, *(["nenrin up"] if any(each["champion"] for each in runs) else [])]


def _interval(found: Mapping[str, Any], few: int, sign: str = "") -> str:
    if found["low"] is None or found["high"] is None:
        return "too few days to say"
    return f"{_spelled(found['low'], few, sign)} … {_spelled(found['high'], few, sign)}"


def _spelled(value: float | None, few: int, sign: str = "") -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return f"{round(value, few) + 0.0:{sign},.{few}f}".replace("-", "−")
