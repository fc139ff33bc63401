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
        bullets(figures.beyond(report)),
        fold("In words", bullets(each["sentence"] for each in report["differences"])),
    )


def bad_week(report: Report) -> Markup | None:
    """What an injected fault did to each policy."""
    bad = report.get("bad_week")
    if not bad:
        return None
    rows = [
        charts.Change(
            name=policy["title"],
            before=harm["undisturbed"],
            after=harm["loss"],
            tone=policy["color_index"],
            note=f"{figures.signed(harm['loss'] - harm['undisturbed'])} for {harm['hours'] / 24:.1f} days",
        )
        for policy, harm in figures.hit(report)
    ]
    loss = figures.loss_of(report["project"])
    chart = charts.responsive(
        lambda width: charts.changes(rows, label=f"{loss} of what the fault answered", width=width)
    )
    return section(
        "The bad week",
        [
            "A broken fit was slipped in (",
            tag("code", {}, bad["inject"]),
            f"). {_course(report)} Below, for each policy that it hit and for as long as it answered: "
            f"its {loss}, from what the same fit would have had without the fault.",
        ],
        chart if rows else None,
        bullets(bad["sentences"]),
    )


def _course(report: Report) -> str:
    """When the loop served the fault, and when it stopped."""
    bad, zone = report["bad_week"], report["project"]["zone"]
    if not bad["first_served"]:
        return "The loop never served it."
    served = figures.moment_name(figures.local(bad["first_served"], zone))
    if not bad["rolled_back"]:
        return f"The loop first served it on {served} and never rolled it back."
    ended = figures.moment_name(figures.local(bad["rolled_back"], zone))
    return (
        f"The loop first served it on {served} and rolled it back on {ended}, after "
        f"{bad['served_hours']:.0f} hours."
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
