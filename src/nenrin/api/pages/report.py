"""The page of a backtest: what the loop would have done, gained and cost, and where it does not pay."""

from __future__ import annotations

from nenrin.api import figures
from nenrin.api.figures import OURS, Report
from nenrin.api.markup import Child, Markup, join, tag
from nenrin.api.pages import accounts, ageing, answers, decisions, mixing
from nenrin.api.pages.document import commands, document, masthead, section, tiles


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
        decisions.differences(report),
        decisions.bad_week(report),
        answers.losses(report),
        mixing.mixing(report),
        decisions.doings(report),
        answers.months(report),
        answers.reliability(report),
        ageing.ageing(report),
        accounts.labels(report),
        accounts.cost(report),
        _next(report),
        _foot(report),
    )


def _lead(report: Report) -> str:
    project, window, zone = report["project"], report["window"], report["project"]["zone"]
    first, last = figures.window(report)
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
            ("trainings", f"{counts['trainings']:,}", figures.count(counts["looks"], "look")),
            ("promotions", f"{counts['promotions']:,}", f"{counts['refusals']:,} refused"),
            ("roll-backs", f"{counts['rollbacks']:,}", figures.count(counts["alarms"], "alarm")),
        ]
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
