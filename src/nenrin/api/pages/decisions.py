"""What the loop decided, whether it pays, and how it met a fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nenrin.api import charts, figures
from nenrin.api.figures import HINDSIGHT, Report
from nenrin.api.markup import Markup, tag
from nenrin.api.pages.document import (
    bullets,
    cell,
    fold,
    heading,
    section,
    table,
)


def differences(report: Report) -> Markup | None:
    """The paired differences with their intervals: the answer that the page is for."""
    titles = figures.titles(report)
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


def bad_week(report: Report) -> Markup | None:
    """What an injected fault did to each policy."""
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


def doings(report: Report) -> Markup | None:
    """Every decision on one axis of time, and the list with the reasons."""
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
                lanes,
                figures.window(report),
                label="Decisions of the loop",
                gutter=names,
                width=width,
            )
        ),
        fold(
            f"All {len(events)} with their reasons",
            table([heading("when"), heading("what", "text"), heading("why", "text")], rows),
        ),
    )


def _happening(event: Mapping[str, Any], zone: str) -> charts.Happening:
    return charts.Happening(at=figures.local(event["at"], zone), text=event["text"])
