"""What part of an answer each slot of a mixture had, day by day."""

from __future__ import annotations

from datetime import date

from nenrin.api import charts, figures
from nenrin.api.figures import Report
from nenrin.api.markup import Markup
from nenrin.api.pages.document import section


def mixing(report: Report) -> Markup | None:
    """The shares of the mixture; None where one version served."""
    found = report.get("shares")
    if not found:
        return None
    days = [date.fromisoformat(day) for day in found["day"]]
    largest_first = sorted(found["slots"].items(), key=lambda slot: -sum(s or 0 for s in slot[1]))
    series = [
        charts.Series(name=slot, y=shares, tone=tone)
        for tone, (slot, shares) in enumerate(largest_first)
    ]
    recalibrated = sum(found["recalibrated"])
    return section(
        "Who answered",
        "Every answer is the recipes' fits and the anchor together, each with its share; when a day closes "
        "the shares follow what each lost on it. Answers went through a recalibration after "
        f"{figures.count(recalibrated, 'day')}.",
        charts.responsive(
            lambda width: charts.line(
                days,
                series,
                label="Share of each slot of the mixture by day",
                ends=figures.window(report),
                zero=True,
                spell="{:.0%}".format,
                width=width,
            )
        ),
    )
