"""What a backtest's report says of the loop beside fixed policies: its regret, their spread, and the bar.

A fixed policy is one that could have been chosen before: the best in hindsight is none. All figures are mean
losses of a row as the loop reads them: log loss, or for a regression the squared error (whose root is the
``rmse`` of tables).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nenrin.core.instants import duration
from nenrin.loop.limits import LATE

HINDSIGHT = "hindsight"
PART = 0.1  # of the spread: a regret up to it meets the bar
ROUNDING = 1e-9
SETTLE = "Labels settle in"

Report = Mapping[str, Any]


@dataclass(frozen=True)
class Regret:
    """The loop against the best fixed policy.

    Attributes:
        best, worst: names of the fixed policies with the least and the greatest total loss.
        regret, low, high: the loop's mean loss of a row less the best one's, and its 95 % interval.
        spread: the worst one's mean loss of a row less the best one's.
    """

    best: str
    worst: str
    regret: float
    low: float
    high: float
    spread: float

    @property
    def small(self) -> bool:
        """Whether the regret is at most a tenth of the spread."""
        return self.regret <= PART * self.spread

    @property
    def level(self) -> bool:
        """Whether the interval covers zero and is narrower than the spread."""
        return self.low <= 0.0 <= self.high and self.high - self.low < self.spread

    @property
    def met(self) -> bool:
        """Whether the bar holds."""
        return self.small or self.level


def regret(report: Report) -> Regret:
    """Regret and spread of a report.

    Raises:
        ValueError: totals and differences of the report contradict each other.
    """
    losses = {name: row_loss(report, name) for name in fixed(report)}
    best, worst = min(losses, key=losses.__getitem__), max(losses, key=losses.__getitem__)
    gap = next(each for each in report["differences"] if each["against"] == best)
    if abs(row_loss(report, "loop") - losses[best] - gap["mean"]) > ROUNDING * (1 + losses[best]):
        raise ValueError(f"the totals of loop and {best} do not differ by {gap['mean']}")
    spread = losses[worst] - losses[best]
    return Regret(best, worst, gap["mean"], gap["low"], gap["high"], spread)


def fixed(report: Report) -> list[str]:
    """Names of the fixed policies, in the report's order."""
    names = [policy["name"] for policy in report["policies"]]
    return [name for name in names if name not in ("loop", HINDSIGHT)]


def row_loss(report: Report, policy: str) -> float:
    """A policy's mean loss of a row."""
    total = report["total"][policy]
    return float(total["log_loss"] if "log_loss" in total else total["rmse"] ** 2)


def untrue(report: Report) -> list[str]:
    """What the report's sentences say that its figures do not, or keep to themselves; empty: nothing."""
    found = []
    for gap in report["differences"]:
        pays = gap["high"] < 0
        said = f"The loop {'pays' if pays else 'does not pay'} against {gap['title']}:"
        if gap["pays"] != pays or not any(s.startswith(said) for s in report["sentences"]):
            found.append(f"no sentence begins {said!r}")
    late = duration(report["settle_age"]) > LATE
    if late != any(sentence.startswith(SETTLE) for sentence in report["sentences"]):
        found.append(f"labels settle in {report['settle_age']}, and that is {'un' * late}said")
    return found


def unpaid(report: Report) -> list[str]:
    """Titles of the fixed policies against which the report says that the loop does not pay."""
    gaps = [gap for gap in report["differences"] if gap["against"] != HINDSIGHT]
    return [gap["title"] for gap in gaps if not gap["pays"]]
