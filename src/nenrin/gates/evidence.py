"""Evidence: what was found out about a challenger, and the names that gate rules know it by.

    change                  first, refresh, recipe, code, anchor or promote
    probation               whether its recipe was rolled back last
    rows                    closed rows that it was judged on
    X.verdict               better, worse, undecided or none; X is champion, anchor or baseline
    X.mean .se .low .high   loss of the judged minus X's over days, its error, one-sided 5 % bounds
    X.days                  days that count for both
    X.log_loss .roc_auc …   metrics of X, and of judged
    champion.slack          mean difference that probation forgives
    calibration.bias .se    mean of y - p over days, and its error; size is |bias|, floor what is
                            nobody's, champion the champion's |bias|, measured whether it was
    slices.checked .worse   slices that could be judged, and that are hurt; largest: worst mean
    sanity.failed           flaws of the fit that ships
    leak.auc .measured      greatest AUC of a single column, and whether it was looked for

Numbers have a point in rules: ``X.days >= 7.0``. One that is not known makes its rule "cannot decide".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from nenrin.gates.comparison import SLACK, Comparison, compare
from nenrin.gates.policy import Declared, Policy, Value
from nenrin.gates.sanity import Flaw
from nenrin.gates.slices import SliceResult
from nenrin.stats.metrics import METRICS

Change = Literal["first", "refresh", "recipe", "code", "anchor", "promote"]

_PARTS = ("champion", "anchor", "baseline")
_SCORED = ("judged", "champion", "anchor", "baseline")

DECLARED: Declared = MappingProxyType(
    {
        "change": str,
        "probation": bool,
        "rows": float,
        **{f"{part}.verdict": str for part in _PARTS},
        **{
            f"{part}.{number}": float
            for part in _PARTS
            for number in ("mean", "se", "low", "high", "days")
        },
        "champion.slack": float,
        **{f"{part}.{metric}": float for part in _SCORED for metric in METRICS},
        **{
            f"calibration.{number}": float for number in ("bias", "size", "se", "floor", "champion")
        },
        "calibration.measured": bool,
        "slices.checked": float,
        "slices.worse": float,
        "slices.largest": float,
        "sanity.failed": float,
        "leak.auc": float,
        "leak.measured": bool,
    }
)


class CalibrationEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Bias of the judged version on the judged days.

    Attributes:
        bias: mean over days of the day's mean of (y - p).
        se: its standard error over days.
        floor: size of a bias that nobody minds.
        champion: the champion's bias on the same days; 0 where there is no champion.
    """

    bias: float
    se: float
    floor: float = 0.02
    champion: float = 0.0


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a challenger.

    Attributes:
        change: how it differs from what is served.
        champion: its losses against the champion's on the same closed rows.
        anchor: against the anchor's.
        baseline: against the declared baseline's.
        probation: whether its recipe was rolled back last.
        slack: mean difference that probation forgives.
        rows: number of closed rows that it was judged on.
        metrics: metric values by part (``judged``, ``champion``, ``anchor``, ``baseline``) and
            name.
        calibration: its bias, where it was measured.
        slices: its losses against the champion's in each slice.
        flaws: what the sanity checks of the fit that ships found.
        leak: greatest AUC that a single column reaches; NaN where it was not looked for.
    """

    change: Change
    champion: Comparison = compare(None)
    anchor: Comparison = compare(None)
    baseline: Comparison = compare(None)
    probation: bool = False
    slack: float = SLACK
    rows: int = 0
    metrics: Mapping[str, Mapping[str, float]] = {}
    calibration: CalibrationEvidence | None = None
    slices: tuple[SliceResult, ...] = ()
    flaws: tuple[Flaw, ...] = ()
    leak: float = math.nan

    def numbers(self) -> dict[str, Value | None]:
        """Every word, and every number that is known and finite, sorted by their declared names."""
        values: dict[str, Value] = {
            "change": self.change,
            "probation": self.probation,
            "rows": float(self.rows),
            "champion.slack": self.slack,
            "sanity.failed": float(len(self.flaws)),
            "slices.checked": float(len(self.slices)),
            "slices.worse": float(sum(found.worse for found in self.slices)),
            "slices.largest": max((found.mean for found in self.slices), default=math.nan),
            "leak.auc": self.leak,
            "leak.measured": not math.isnan(self.leak),
            "calibration.measured": self.calibration is not None,
        }
        for part, found in zip(_PARTS, (self.champion, self.anchor, self.baseline), strict=True):
            values |= _compared(part, found)
        for part, metrics in self.metrics.items():
            values |= {f"{part}.{name}": value for name, value in metrics.items()}
        if self.calibration is not None:
            plain = msgspec.structs.asdict(self.calibration)
            values |= {f"calibration.{name}": value for name, value in plain.items()}
            values["calibration.size"] = abs(self.calibration.bias)
            values["calibration.champion"] = abs(self.calibration.champion)
        return {
            name: value
            for name, value in sorted(values.items())
            if isinstance(value, str | bool) or math.isfinite(value)
        }


def _compared(part: str, found: Comparison) -> dict[str, Value]:
    numbers = ("mean", "se", "low", "high")
    values: dict[str, Value] = {f"{part}.{number}": getattr(found, number) for number in numbers}
    return values | {f"{part}.days": float(found.days), f"{part}.verdict": found.verdict}


def read_policy(source: Any = None, where: str = "") -> Policy:
    """A deployment's policy over this module's names; the package's default where it declares none.

    Args:
        source: YAML text, or a list of rules or a mapping with one under ``gates``, or None.
        where: path of the text, or ``file:line`` of the declaration.

    Raises:
        ProjectError: the policy cannot be read.
    """
    if source is None:
        where = "nenrin/gates/default.yaml"
        source = resources.files("nenrin.gates").joinpath("default.yaml").read_text("utf-8")
    return Policy.read(source, DECLARED, where)
