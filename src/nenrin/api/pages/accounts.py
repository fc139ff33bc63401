"""What a backtest rests on and what it used: labels and machine time."""

from __future__ import annotations

from nenrin.api import charts, figures
from nenrin.api.figures import Report
from nenrin.api.markup import Markup
from nenrin.api.pages.document import (
    section,
)


def labels(report: Report) -> Markup:
    """How many labels came in time, late, or not at all."""
    counted = report["labels"]
    named = [("closed in time", "closed", 0), ("late", "late", 3), ("never came", "never", 1),
             ("still open", "open", 5)]  # fmt: skip
    parts = [
        charts.Part(name=name, value=counted[key], tone=tone, note=f"{counted[key]:,}")
        for name, key, tone in named
    ]
    return section(
        "Labels",
        f"99 % of labels come within {report['settle_age']}; only what is older is judged. A late "
        "label corrects this report, never a past decision; rows that never get one are counted.",
        charts.responsive(lambda width: charts.shares(parts, label="Labels", width=width)),
    )


def cost(report: Report) -> Markup:
    """CPU and wall time, split into fit, predict and nenrin itself."""
    spent = report["cost"]
    cpu = spent["cpu"]
    parts = [
        charts.Part(name=name, value=cpu[key], tone=tone, note=figures.took(cpu[key]))
        for name, key, tone in (
            ("fit", "fit", 0),
            ("predict", "predict", 4),
            ("nenrin", "platform", 5),
        )
    ]
    return section(
        "What it cost",
        f"{figures.took(cpu['total'])} of CPU in {figures.took(spent['wall']['total'])}; "
        f"{spent['fits']:,} fits, {spent['fits_reused']:,} used again.",
        charts.responsive(lambda width: charts.shares(parts, label="CPU seconds", width=width)),
    )
