"""The page of a backtest: what the loop would have done, gained and cost, and where it does not pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from nenrin.api import charts, figures
from nenrin.api.markup import Child, Markup, join, tag
from nenrin.api.pages.document import (
    bullets,
    cell,
    commands,
    document,
    fold,
    heading,
    masthead,
    section,
    table,
    tiles,
)

Report = Mapping[str, Any]
OURS, HINDSIGHT = figures.OURS, figures.HINDSIGHT
_ROWS_OF_MATRIX = 45  # more rows than this are lines nobody can tell apart


def report_page(report: Report) -> str:
    """The report as one HTML file that needs nothing else.

    Args:
        report: the dict that ``nenrin backtest --json`` prints.
    """
    project = report["project"]
    return document(
        f"{project['deployment']}: {figures.headline(report)}",
        masthead(f"backtest of {project['deployment']}", figures.headline(report), _lead(report)),
        _tiles(report),
        _differences(report),
        _bad_week(report),
        _losses(report),
        _doings(report),
        _months(report),
        _reliability(report),
        _ageing(report),
        _labels(report),
        _cost(report),
        _next(report),
        _foot(report),
    )


def _lead(report: Report) -> str:
    project, window, zone = report["project"], report["window"], report["project"]["zone"]
    first, last = _ends(report)
    rows = report["total"][OURS]["rows"]
    return (
        f"{rows:,} rows of {project['rows_dataset']} from {figures.day_name(first)} to "
        f"{figures.day_name(last)}, answered as if that time were now: every model saw only what was "
        f"known at its moment, on history from "
        f"{figures.day_name(figures.local(window['train_from'], zone))} on."
    )


def _tiles(report: Report) -> Markup:
    total, columns, counts = report["total"], report["columns"], report["counts"]
    never = total.get("never", {})
    measured = [
        (
            figures.title_of(column),
            figures.spell(column, total[OURS][column]),
            f"{figures.spell(column, never[column])} never retraining" if column in never else "",
        )
        for column in columns
    ]
    return tiles(
        [
            *measured,
            ("trainings", f"{counts['trainings']:,}", f"{counts['looks']:,} looks"),
            ("promotions", f"{counts['promotions']:,}", f"{counts['refusals']:,} refused"),
            ("roll-backs", f"{counts['rollbacks']:,}", f"{counts['alarms']:,} alarms"),
        ]
    )


def _differences(report: Report) -> Markup | None:
    titles = _titles(report)
    rows = [
        charts.Interval(
            name=titles.get(each["against"], each["against"]),
            mean=each["mean"],
            low=each["low"],
            high=each["high"],
            role=figures.role_of(each),
            note=f"{figures.signed(each['mean'])}  {'pays' if each['pays'] else 'does not pay'}",
        )
        for each in report["differences"]
    ]
    if not rows:
        return None
    loss = figures.loss_of(report["project"])
    chart = charts.responsive(
        lambda width: charts.intervals(
            rows,
            label=f"Difference in {loss}: {figures.headline(report)}",
            ends=("← the loop is better", "worse →"),
            width=width,
        )
    )
    return section(
        "Does the loop pay?",
        f"Mean {loss} a row of the loop minus that of each other way to retrain, with 95 % intervals "
        "from blocks of seven days. It pays where the whole interval lies below zero.",
        chart,
        bullets(report["sentences"]),
    )


def _losses(report: Report) -> Markup:
    days, loss = report["days"], figures.loss_of(report["project"])
    # The best in hindsight is one of the others each month: its line would hide them.
    shown = [
        each for each in report["policies"] if each["name"] in days and each["name"] != HINDSIGHT
    ]
    x, _ = figures.weekly(days, OURS)
    unit = "week" if len(x) < len(days["day"]) else "day"
    span = 28 if unit == "week" else 7
    ends = _ends(report)
    levels = [_series(each, figures.weekly(days, each["name"])[1]) for each in shown]
    gaps = {
        each["name"]: figures.behind(days, each["name"], against=OURS, span=span) for each in shown
    }
    others = [_series(each, gaps[each["name"]][1]) for each in shown if each["name"] != OURS]
    return section(
        "How well it answered",
        f"Mean {loss} of each {unit}. All lines move with how hard the days were; what a policy "
        "adds is what lies between them.",
        charts.responsive(
            lambda width: charts.line(
                x,
                levels,
                label=f"{loss} a {unit} of each policy",
                marks=_marks(report),
                ends=ends,
                width=width,
            )
        ),
        tag("h3", {}, "How far the others are behind"),
        tag(
            "p",
            {"class": "lead"},
            f"Their {loss} minus the loop's, mean of the {span} days before. Above zero the loop is "
            "ahead.",
        ),
        charts.responsive(
            lambda width: charts.line(
                gaps[OURS][0],
                others,
                label=f"{loss} of each policy minus the loop's",
                ends=ends,
                zero=True,
                spell=figures.signed,
                width=width,
            )
        ),
    )


def _series(policy: Mapping[str, Any], y: Sequence[float | None]) -> charts.Series:
    return charts.Series(name=policy["title"], y=y, tone=policy["color_index"])


def _marks(report: Report) -> list[charts.Mark]:
    zone = report["project"]["zone"]
    return [
        charts.Mark(at=figures.local(each["at"], zone), text="rolled back", role="bad")
        for each in report["events"]
        if each["kind"] == "rollback"
    ]


def _doings(report: Report) -> Markup | None:
    events, zone = report["events"], report["project"]["zone"]
    if not events:
        return None
    lanes = [
        charts.Lane(name=name, events=found, role=role)
        for kind, (name, role) in figures.KINDS.items()
        if (found := [_happening(each, zone) for each in events if each["kind"] == kind])
    ]
    names = [each["title"] for each in report["policies"] if each["name"] != HINDSIGHT]
    rows = [
        tag(
            "tr",
            {},
            cell(f"{figures.moment_name(figures.local(each['at'], zone))}"),
            cell(each["kind"].replace("_", " "), "text dim"),
            cell(each["text"], "text"),
        )
        for each in events
    ]
    return section(
        "What it did",
        f"Each dot is one decision, in {zone} time.",
        charts.responsive(
            lambda width: charts.timeline(
                lanes, _ends(report), label="Decisions of the loop", gutter=names, width=width
            )
        ),
        fold(
            f"All {len(events)} with their reasons",
            table([heading("when"), heading("what", "text"), heading("why", "text")], rows),
        ),
    )


def _ends(report: Report) -> tuple[datetime, datetime]:
    window, zone = report["window"], report["project"]["zone"]
    until = figures.local(window["until"], zone) - timedelta(microseconds=1)
    return figures.local(window["from"], zone), until


def _happening(event: Mapping[str, Any], zone: str) -> charts.Happening:
    return charts.Happening(at=figures.local(event["at"], zone), text=event["text"])


def _bad_week(report: Report) -> Markup | None:
    bad = report.get("bad_week")
    if not bad:
        return None
    zone = report["project"]["zone"]
    rows = [
        charts.Change(
            name=each["title"],
            before=week["undisturbed"],
            after=week["loss"],
            tone=each["color_index"],
            note=figures.harm(week),
        )
        for each in report["policies"]
        if (week := bad["weeks"].get(each["name"]))
    ]
    served = f"{figures.local(bad['first_served'], zone):%d %B at %H:%M}"
    ended = (
        f"rolled back on {figures.local(bad['rolled_back'], zone):%d %B at %H:%M}, after "
        f"{bad['served_hours']:.0f} hours"
        if bad["rolled_back"]
        else "never rolled back"
    )
    loss = figures.loss_of(report["project"])
    return section(
        "The bad week",
        [
            "A broken fit was slipped in (",
            tag("code", {}, bad["inject"]),
            f"). The loop first served it on {served}; it was {ended}. Below: {loss} of that week, "
            "from a hollow dot without the fault to a full one with it.",
        ],
        charts.responsive(
            lambda width: charts.changes(rows, label=f"{loss} of the bad week", width=width)
        ),
        bullets(bad["sentences"]),
    )


def _months(report: Report) -> Markup:
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


def _reliability(report: Report) -> Markup | None:
    found = report.get("reliability") or {}
    curves = [
        charts.Reliability(
            name=each["title"], p=bins["p"], y=bins["y"], n=bins["n"], tone=each["color_index"]
        )
        for each in report["policies"]
        if (bins := found.get(each["name"])) and bins["p"]
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
        if each["name"] in report["reliability"]
    ]
    return table([heading("policy"), heading("came true − said")], rows)


def _ageing(report: Report) -> Markup | None:
    found = report.get("weeks_matrix")
    if not found or not found["weeks"]:
        return None
    kept = list(range(len(found["artefacts"])))
    note = ""
    if len(kept) > _ROWS_OF_MATRIX:
        kept = sorted({index for index in found["served"] if index is not None})
        note = f" Shown are the {len(kept)} of {len(found['artefacts'])} models that served."
    zone = report["project"]["zone"]
    names = [charts.short(figures.local(found["artefacts"][i]["cutoff"], zone)) for i in kept]
    columns = [charts.short(date.fromisoformat(week)) for week in found["weeks"]]
    outlined = [
        (kept.index(artefact), week)
        for week, artefact in enumerate(found["served"])
        if artefact in kept
    ]
    behind = _behind_the_best([found["loss"][index] for index in kept])
    drawn = sorted(value for row in behind for value in row if value is not None)
    most = drawn[int(len(drawn) * 0.95)] if drawn else None
    return section(
        "How models age",
        f"A row is a model by the end of its history, a column a week: the darker, the further its "
        f"{figures.loss_of(report['project'])} is behind that week's best. Framed: the model that "
        f"served.{note}",
        charts.responsive(
            lambda width: charts.matrix(
                names,
                columns,
                behind,
                label="Loss by model and week",
                outlined=outlined,
                most=most,
                width=width,
            )
        ),
    )


def _behind_the_best(loss: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    weeks = list(zip(*loss, strict=True))
    best = [min((value for value in week if value is not None), default=0.0) for week in weeks]
    return [
        [None if value is None else value - best[week] for week, value in enumerate(row)]
        for row in loss
    ]


def _labels(report: Report) -> Markup:
    labels = report["labels"]
    named = [("closed in time", "closed", 0), ("late", "late", 3), ("never came", "never", 1),
             ("still open", "open", 5)]  # fmt: skip
    parts = [
        charts.Part(name=name, value=labels[key], tone=tone, note=f"{labels[key]:,}")
        for name, key, tone in named
    ]
    return section(
        "Labels",
        f"99 % of labels come within {report['settle_age']}; only what is older is judged. A late "
        "label corrects this report, never a past decision; rows that never get one are counted.",
        charts.responsive(lambda width: charts.shares(parts, label="Labels", width=width)),
    )


def _cost(report: Report) -> Markup:
    cost = report["cost"]
    cpu = cost["cpu"]
    parts = [
        charts.Part(name=name, value=cpu[key], tone=tone, note=figures.took(cpu[key]))
        for name, key, tone in (
            ("fit", "fit", 0),
            ("predict", "predict", 4),
            ("nenrin", "platform", 5),
        )
    ]
    peak = f", {cost['peak_mb']:,} MB at most" if cost.get("peak_mb") else ""
    return section(
        "What it cost",
        f"{figures.took(cpu['total'])} of CPU in {figures.took(cost['wall']['total'])}{peak}; "
        f"{cost['fits']:,} fits, {cost['fits_reused']:,} used again.",
        charts.responsive(lambda width: charts.shares(parts, label="CPU seconds", width=width)),
    )


def _next(report: Report) -> Markup | None:
    return section("What to do next", None, commands(report["next"])) if report["next"] else None


def _foot(report: Report) -> Markup:
    injected = [f"injected {each}" for each in report["inject"]]
    left_out = [f"without {each}" for each in report["without"]]
    told: list[Child] = [
        report["id"],
        *(f" · {each}" for each in (*injected, *left_out)),
        f" · {report['ledger_events']:,} events, ledger head ",
        tag("code", {}, report["ledger_head"]),
    ]
    return tag("footer", {}, join(*told))


def _titles(report: Report) -> dict[str, str]:
    return {each["name"]: each["title"] for each in report["policies"]}
