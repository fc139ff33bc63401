"""How a report's figures are read: names, decimals, the best of a row, weeks out of days.

Pages and the terminal write figures the same way because both ask here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from nenrin.core.figures import figure

Report = Mapping[str, Any]
"""The dict that ``nenrin backtest --json`` prints."""

TITLES = {
    "accuracy": "accuracy", "average_precision": "average precision", "bias": "bias",
    "brier": "Brier score", "f1": "F1", "log_loss": "log loss", "mae": "MAE",
    "r2": "R²", "rmse": "RMSE", "roc_auc": "ROC AUC", "value": "value a row",
}  # fmt: skip
HIGHER_IS_BETTER = frozenset({"accuracy", "average_precision", "f1", "r2", "roc_auc", "value"})
KINDS = {
    "training": ("trainings", "neutral"),
    "promotion": ("promotions", "good"),
    "canary": ("canaries", "neutral"),
    "recipe_switch": ("recipe switches", "neutral"),
    "refusal": ("refusals", "neutral"),
    "alarm": ("alarms", "bad"),
    "rollback": ("roll-backs", "bad"),
    "fault": ("injected faults", "bad"),
    "fit": ("refused fits", "neutral"),
    "look": ("blocked looks", "bad"),
}
ROUTINE = frozenset({"training", "promotion"})
COUNTS = (
    ("looks", "looks"), ("trainings", "trainings"), ("promotions", "promotions"),
    ("refusals", "refusals"), ("rollbacks", "roll-backs"), ("alarms", "alarms"),
)  # fmt: skip
OURS, HINDSIGHT = "loop", "hindsight"
_WEEKLY_FROM = 70  # days; below, a point a day is readable


def title_of(column: str) -> str:
    """The field's name of a metric."""
    return TITLES.get(column, column.replace("_", " "))


def spell(column: str, value: float | None) -> str:
    """A figure with the decimals its metric deserves, a bias with its sign; nothing is a dash."""
    if value is None or not math.isfinite(value):
        return "–"
    if column == "bias":
        return signed(value)
    return figure(value).replace("-", "−")


def signed(value: float) -> str:
    """A difference with its sign: ``+0.0031``, ``−12.40``; nothing has none."""
    if round(value, 4) == 0:
        return figure(0.0)
    return figure(value, plus=True).replace("-", "−")


def best(column: str, values: Mapping[str, float | None]) -> frozenset[str]:
    """The names with the best value of a column: highest, lowest, or for a bias nearest to zero.

    The best in hindsight is nobody's to choose and takes no part.
    """

    def badness(value: float) -> float:
        if column == "bias":
            return abs(value)
        return -value if column in HIGHER_IS_BETTER else value

    told = {
        name: badness(value)
        for name, value in values.items()
        if name != HINDSIGHT and value is not None and math.isfinite(value)
    }
    least = min(told.values(), default=0.0)
    return frozenset(name for name, value in told.items() if value == least)


def loss_of(project: Mapping[str, Any]) -> str:
    """What the row loss of the daily figures is called."""
    metric = project["metric"]
    if metric in ("mae", "brier"):
        return {"mae": "absolute error", "brier": "squared error"}[metric]
    return "log loss" if project["task"] == "binary" else "squared error"


def role_of(difference: Mapping[str, Any]) -> str:
    """How a difference is coloured: good where the loop pays, bad where it is surely worse."""
    if difference["pays"]:
        return "good"
    return "bad" if difference["low"] > 0 else "neutral"


def hit(report: Report) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Each policy that an injected fault hit, with its harm: rows, hours, loss, undisturbed, cost."""
    harms = report["bad_week"]["policies"]
    found = [(policy, harms.get(policy["name"])) for policy in report["policies"]]
    return [(policy, harm) for policy, harm in found if harm and harm["rows"]]


def weekly(days: Mapping[str, Any], policy: str) -> tuple[list[date], list[float | None]]:
    """A policy's mean row loss a week (a day, when there are few days), weighted by rows.

    Args:
        days: the report's ``days``: ``day``, ``rows`` and one list of day means a policy.
        policy: whose losses.

    Returns:
        the first day of each week and its mean, ``None`` where no row has a loss.
    """
    calendar = [date.fromisoformat(day) for day in days["day"]]
    size = 7 if len(calendar) > _WEEKLY_FROM else 1
    starts = range(0, len(calendar) - size + 1, size)
    means = [mean(days[policy][i : i + size], days["rows"][i : i + size]) for i in starts]
    return [calendar[i] for i in starts], means


def behind(
    days: Mapping[str, Any], policy: str, *, against: str, span: int
) -> tuple[list[date], list[float | None]]:
    """Mean loss of ``policy`` minus that of ``against`` over the ``span`` days up to each day.

    Rows weigh alike; days before the first full span are left out.
    """
    calendar = [date.fromisoformat(day) for day in days["day"]]
    gaps = [
        None if ours is None or theirs is None else ours - theirs
        for ours, theirs in zip(days[policy], days[against], strict=True)
    ]
    ends = range(span, len(calendar) + 1)
    return (
        [calendar[end - 1] for end in ends],
        [mean(gaps[end - span : end], days["rows"][end - span : end]) for end in ends],
    )


def mean(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """The weighted mean of the values that exist."""
    pairs = [
        (value, weight)
        for value, weight in zip(values, weights, strict=True)
        if value is not None and math.isfinite(value)
    ]
    total = math.fsum(weight for _, weight in pairs)
    return math.fsum(value * weight for value, weight in pairs) / total if total else None


def local(instant: str, zone: str) -> datetime:
    """An instant of the report as a local time without its zone, for axes and tables."""
    moment = datetime.fromisoformat(instant.replace("Z", "+00:00"))
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def window(report: Report) -> tuple[date, datetime]:
    """The local day on which a report begins, and its last moment."""
    zone = report["project"]["zone"]
    until = local(report["window"]["until"], zone)
    return local(report["window"]["from"], zone).date(), until - timedelta(microseconds=1)


def titles(report: Report) -> dict[str, str]:
    """What each policy is called."""
    return {policy["name"]: policy["title"] for policy in report["policies"]}


def day_name(moment: date) -> str:
    """A day as people write it: ``1 April 2013``."""
    return f"{moment.day} {moment:%B %Y}"


def moment_name(moment: datetime) -> str:
    """A moment as a table names it: ``1 Apr 04:00``."""
    return f"{moment.day} {moment:%b %H:%M}"


def month_name(month: str) -> str:
    """A month of the report (``2013-04``) as a table names it: ``Apr 2013``."""
    return f"{date.fromisoformat(month + '-01'):%b %Y}"


def count(number: int, word: str) -> str:
    """A number of things: ``1 look``, ``1,204 looks``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def beyond(report: Report) -> list[str]:
    """The report's sentences that say more than its table of differences."""
    told = {each["sentence"] for each in report["differences"]}
    return [sentence for sentence in report["sentences"] if sentence not in told]


def took(seconds: float | None) -> str:
    """A duration for people: ``8.2 s``, ``2 min 28 s``, ``1 h 5 min``."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def headline(report: Report) -> str:
    """The report in one sentence: against how many of the policies one could choose the loop pays."""
    told = [each for each in report["differences"] if each["against"] != "hindsight"]
    pays = sum(bool(each["pays"]) for each in told)
    staged = ", ".join([*report["inject"], *(f"without {part}" for part in report["without"])])
    under = f", with {staged} played into history" if staged else ""
    if not told:
        return f"What the loop would have done with {report['project']['deployment']}{under}"
    if not pays:
        return f"The loop does not pay here{under}"
    if pays == len(told):
        return f"The loop pays against all {pays} alternatives{under}"
    return f"The loop pays against {pays} of {len(told)} alternatives{under}"
