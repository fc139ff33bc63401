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


def ageing(report: Report) -> Markup | None:
    """Each model's loss in each week, against the best model of that week."""
    found = report.get("weeks_matrix")
    if not found or not found["weeks"]:
        return None
    shown = _shown(found)
    note = "" if len(shown) == len(found["artefacts"]) else " Only models that served are shown."
    zone = report["project"]["zone"]
    behind = _behind_the_best([found["loss"][index] for index in shown])
    outlined = [
        (shown.index(model), week) for week, model in enumerate(found["served"]) if model in shown
    ]
    return section(
        "How models age",
        "A row is a model by the end of its history, a column a week: the stronger its colour, the "
        f"further its {figures.loss_of(report['project'])} is behind that week's best. Framed: the "
        f"model that served.{note}",
        charts.responsive(
            lambda width: charts.matrix(
                [_cutoff(found["artefacts"][index], zone) for index in shown],
                [charts.short(date.fromisoformat(week)) for week in found["weeks"]],
                behind,
                label="Loss by model and week",
                outlined=outlined,
                most=_most(behind),
                width=width,
            )
        ),
    )


def _shown(found: Mapping[str, Any]) -> list[int]:
    """Indexes of all models, or of those that served when there are too many to tell apart."""
    if len(found["artefacts"]) <= _ROWS:
        return list(range(len(found["artefacts"])))
    return sorted({index for index in found["served"] if index is not None})


def _cutoff(artefact: Mapping[str, Any], zone: str) -> str:
    return charts.short(figures.local(artefact["cutoff"], zone))


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
