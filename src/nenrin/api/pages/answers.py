"""How well each policy answered: over time, month by month, by probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nenrin.api import charts, figures
from nenrin.api.figures import HINDSIGHT, OURS, Report
from nenrin.api.markup import Markup, tag
from nenrin.api.pages.document import (
    cell,
    fold,
    heading,
    section,
    table,
)

Policy = Mapping[str, Any]


def losses(report: Report) -> Markup:
    """The loss of each policy over time, and how far the others are behind the loop."""
    loss = figures.loss_of(report["project"])
    # The best in hindsight is one of the others each month: its line would hide them.
    shown = [each for each in report["policies"] if each["name"] != HINDSIGHT]
    is_weekly = len(figures.weekly(report["days"], OURS)[0]) < len(report["days"]["day"])
    unit, span = ("week", 28) if is_weekly else ("day", 7)
    return section(
        "How well it answered",
        f"Mean {loss} of each {unit}. All lines move with how hard the days were; what a policy "
        "adds is what lies between them.",
        _levels(report, shown),
        tag("h3", {}, "How far the others are behind"),
        tag(
            "p",
            {"class": "lead"},
            f"Their {loss} minus the loop's, mean of the {span} days before. Above zero the loop "
            "is ahead.",
        ),
        _gaps(report, shown, span),
    )


def _levels(report: Report, policies: Sequence[Policy]) -> Markup:
    days = report["days"]
    x, _ = figures.weekly(days, OURS)
    series = [_series(each, figures.weekly(days, each["name"])[1]) for each in policies]
    return charts.responsive(
        lambda width: charts.line(
            x,
            series,
            label=f"Mean {figures.loss_of(report['project'])} of each policy over time",
            marks=_marks(report),
            ends=figures.window(report),
            width=width,
        )
    )


def _gaps(report: Report, policies: Sequence[Policy], span: int) -> Markup:
    days = report["days"]
    x, _ = figures.behind(days, OURS, against=OURS, span=span)
    series = [
        _series(each, figures.behind(days, each["name"], against=OURS, span=span)[1])
        for each in policies
        if each["name"] != OURS
    ]
    return charts.responsive(
        lambda width: charts.line(
            x,
            series,
            label=f"{figures.loss_of(report['project'])} of each policy minus the loop's",
            ends=figures.window(report),
            zero=True,
            spell=figures.signed,
            width=width,
        )
    )


def _series(policy: Policy, y: Sequence[float | None]) -> charts.Series:
    return charts.Series(name=policy["title"], y=y, tone=policy["color_index"])


def _marks(report: Report) -> list[charts.Mark]:
    zone = report["project"]["zone"]
    return [
        charts.Mark(at=figures.local(each["at"], zone), text="rolled back", role="bad")
        for each in report["events"]
        if each["kind"] == "rollback"
    ]


def months(report: Report) -> Markup:
    """One table a metric: policies side by side, month after month."""
    first, *others = report["columns"]
    return section(
        "Month by month",
        "A dot marks the best that could have been chosen beforehand; “rate” is the mean of what came "
        "true.",
        _month_table(report, first),
        [fold(figures.title_of(column), _month_table(report, column)) for column in others],
    )


def _month_table(report: Report, column: str) -> Markup:
    names = [each["name"] for each in report["policies"]]
    head = [
        heading("month"),
        heading("rows", "fact"),
        heading("rate", "fact"),
        *(
            heading(
                [each["title"], tag("span", {"class": f"key t{each['color_index']}"})],
                _roles(ours=each["name"] == OURS),
            )
            for each in report["policies"]
        ),
    ]
    rows = [
        _figure_row(
            figures.month_name(month["month"]),
            [f"{month['rows']:,}", f"{month['base_rate']:.3f}"],
            {name: month[name][column] for name in names},
            column,
        )
        for month in report["months"]
    ]
    total = report["total"]
    rows.append(
        _figure_row(
            "all",
            [f"{total[OURS]['rows']:,}", ""],
            {name: total[name][column] for name in names},
            column,
            role="total",
        )
    )
    return table(head, rows, caption=figures.title_of(column))


def _figure_row(
    name: str,
    facts: Sequence[str],
    values: Mapping[str, float | None],
    column: str,
    *,
    role: str | None = None,
) -> Markup:
    best = figures.best(column, values)
    return tag(
        "tr",
        {"class": role},
        heading(name, scope="row"),
        [cell(fact, "dim fact") for fact in facts],
        [
            cell(
                figures.spell(column, value),
                _roles(ours=policy == OURS, best=policy in best, dim=policy == HINDSIGHT),
            )
            for policy, value in values.items()
        ],
    )


def _roles(**roles: bool) -> str | None:
    return " ".join(role for role, holds in roles.items() if holds) or None


def reliability(report: Report) -> Markup | None:
    """Whether what was said with probability p came true with frequency p."""
    found = report.get("reliability") or {}
    curves = [
        charts.Reliability(
            name=each["title"], p=bins["p"], y=bins["y"], n=bins["n"], tone=each["color_index"]
        )
        for each in report["policies"]
        if each["name"] != HINDSIGHT and (bins := found.get(each["name"])) and bins["p"]
    ]
    if not curves:
        return None
    return section(
        "Can its probabilities be taken at their word?",
        "Of the rows that were given a probability, the share that came true. On the diagonal both "
        "agree. The strong line is the loop, a dot's area its number of rows.",
        tag(
            "div",
            {"class": "pair"},
            charts.reliability(curves, label="Reliability of each policy's probabilities"),
            _biases(report),
        ),
    )


def _biases(report: Report) -> Markup:
    """Under the curves' colours: how much more came true than was said, over all rows."""
    rows = [
        tag(
            "tr",
            {},
            heading(
                [tag("span", {"class": f"swatch t{each['color_index']}"}), each["title"]],
                "text",
                scope="row",
            ),
            cell(figures.spell("bias", report["total"][each["name"]].get("bias"))),
        )
        for each in report["policies"]
        if each["name"] != HINDSIGHT and each["name"] in report["reliability"]
    ]
    return table([heading("policy"), heading("came true − said")], rows)
