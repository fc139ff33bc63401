"""How models of every age answered every week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from nenrin.api import charts, figures
from nenrin.api.figures import Report
from nenrin.api.markup import Markup
from nenrin.api.pages.document import section

_ROWS = 45  # more rows than this are lines nobody can tell apart
_PART = 0.1  # of a week's answers, from which on a fit is framed


def ageing(report: Report) -> Markup | None:
    """Each fit's loss in each week, against the best of that week."""
    found = report.get("matrix")
    if not found or not found["weeks"]:
        return None
    shown = _shown(found["fits"])
    note = "" if len(shown) == len(found["fits"]) else " Only fits that served are shown."
    zone = report["project"]["zone"]
    behind = _behind_the_best([fit["losses"] for fit in shown])
    outlined = [
        (row, week)
        for row, fit in enumerate(shown)
        for week, part in enumerate(fit["served"])
        if part >= _PART
    ]
    return section(
        "How models age",
        "A row is a fit by its look and its recipe, a column a week: the stronger its colour, the "
        f"further its {figures.loss_of(report['project'])} is behind that week's best. Framed: the "
        f"fits that answered, each a tenth of the week's rows at least.{note}",
        charts.responsive(
            lambda width: charts.matrix(
                [_title(fit, zone) for fit in shown],
                [charts.short(date.fromisoformat(week)) for week in found["weeks"]],
                behind,
                label="Loss by fit and week",
                outlined=outlined,
                most=_most(behind),
                width=width,
            )
        ),
    )


def _shown(fits: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """All fits, or those that served when there are too many to tell apart, by recipe and look."""
    kept = fits if len(fits) <= _ROWS else [fit for fit in fits if max(fit["served"]) >= _PART]
    return sorted(kept, key=lambda fit: (fit["recipe"], fit["look"]))


def _title(fit: Mapping[str, Any], zone: str) -> str:
    return f"{charts.short(figures.local(fit['look'], zone))} {fit['recipe']}"


def _behind_the_best(loss: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    weeks = list(zip(*loss, strict=True))
    best = [min((value for value in week if value is not None), default=0.0) for week in weeks]
    return [
        [None if value is None else value - best[week] for week, value in enumerate(row)]
        for row in loss
    ]


def _most(behind: Sequence[Sequence[float | None]]) -> float | None:
    """The value of the strongest colour: one outlier must not make all others pale."""
    drawn = sorted(value for row in behind for value in row if value is not None)
    return drawn[int(len(drawn) * 0.95)] if drawn else None
