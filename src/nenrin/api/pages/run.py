"""The page of a run: how good the model is, beside the baseline, and what that rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nenrin.api import charts, figures, findings
from nenrin.api.findings import Run
from nenrin.api.markup import Child, Markup, tag
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

_SHOWN = 12  # columns; the others say less


def run_page(run: Mapping[str, Any]) -> str:
    """The newest run's findings as one HTML file that needs nothing else.

    Args:
        run: what ``GET /api/runs/latest`` answers.
    """
    found = run["deployments"]
    return document(
        "; ".join(findings.headline(each) for each in found),
        *(part for each in found for part in _deployment(each)),
        section("What to do next", None, commands(findings.next_steps(found))),
        tag("footer", {}, f"environment {run['environment']}"),
    )


def _deployment(run: Run) -> Iterator[Child]:
    yield masthead(f"run of {run['deployment']}", findings.headline(run), _lead(run))
    yield _tiles(run)
    yield bullets(findings.warnings(run))
    yield _against_baseline(run)
    yield _reliability(run)
    yield _columns(run)
    yield _checks(run)
    yield _data(run)


def _lead(run: Run) -> str:
    decided = findings.decision(run)
    return f"{findings.rests_on(run).capitalize()}. {decided[0].upper()}{decided[1:]}."


def _tiles(run: Run) -> Markup:
    metric = figures.title_of(run["evaluation"]["metric"])
    (_, value, interval), (_, baseline, _), (_, gap, _) = findings.measures(run)
    return tiles(
        [
            (metric, value, interval),
            ("of the baseline", baseline, "the mean of the labels"),
            ("difference", gap, findings.direction(run)),
            *((name, figure, "") for name, figure in findings.others(run)),
        ]
    )


def _against_baseline(run: Run) -> Markup | None:
    found = run["evaluation"]
    gap, metric = found["difference"], figures.title_of(found["metric"])
    if gap["low"] is None or gap["high"] is None:
        return None
    is_up = found["metric"] in figures.HIGHER_IS_BETTER
    surely_worse = gap["high"] < 0 if is_up else gap["low"] > 0
    role = "good" if found["beats_baseline"] else "bad" if surely_worse else "neutral"
    note = findings.measures(run)[-1][1]
    row = charts.Interval(
        name="model − baseline", mean=gap["mean"], low=gap["low"], high=gap["high"],
        role=role, note=note,
    )  # fmt: skip
    ends = ("← worse", "better →") if is_up else ("← better", "worse →")
    return section(
        "Does it beat the baseline?",
        f"Its {metric} minus the baseline's on the same rows, with a 95 % interval. It does where the "
        "whole interval lies on one side of zero.",
        charts.responsive(
            lambda width: charts.intervals(
                [row], label=f"{metric} of the model minus the baseline's", ends=ends, width=width
            )
        ),
    )


def _reliability(run: Run) -> Markup | None:
    bins = run["evaluation"].get("reliability")
    if not bins or not bins["p"]:
        return None
    curve = charts.Reliability(
        name=run["deployment"], p=bins["p"], y=bins["y"], n=bins["n"], tone=0
    )
    rows = [
        tag("tr", {}, cell(f"{p:.3f}"), cell(f"{y:.3f}"), cell(f"{n:,}"))
        for p, y, n in zip(bins["p"], bins["y"], bins["n"], strict=True)
    ]
    return section(
        "Can its probabilities be taken at their word?",
        "Of the rows that were given a probability, the share that came true. On the diagonal both "
        "agree; a dot's area is its number of rows.",
        tag(
            "div",
            {"class": "pair"},
            charts.reliability([curve], label="Reliability of the probabilities"),
            table([heading("predicted"), heading("came true"), heading("rows")], rows),
        ),
    )


def _columns(run: Run) -> Markup | None:
    told = {name: auc for name, auc in run["column_aucs"].items() if auc is not None}
    if not told:
        return None
    leaking = set(run["leaking"])
    rows = [
        charts.Change(
            name=name,
            before=findings.NEAR_COIN,
            after=auc,
            tone=1 if name in leaking else 0,
            note=f"{auc:.3f}{'  leaks?' if name in leaking else ''}",
        )
        for name, auc in list(told.items())[:_SHOWN]
    ]
    rest = [f"{name}: {auc:.3f}" for name, auc in list(told.items())[_SHOWN:]]
    of = "" if run["task"] == "binary" else ", for labels above the median against the others"
    return section(
        "What each column tells alone",
        f"The AUC that a column reaches by itself{of}: .5 tells nothing. One that reaches .99 was hardly "
        "known when the question was asked.",
        charts.responsive(
            lambda width: charts.changes(
                rows, label="AUC of each column alone", spell="{:.3f}".format, width=width
            )
        ),
        fold(f"{figures.count(len(rest), 'more column')} that tell less", bullets(rest))
        if rest
        else None,
    )


def _checks(run: Run) -> Markup | None:
    verdict = run["verdict"]
    if not verdict:
        return None
    rows = [
        tag(
            "tr",
            {},
            cell(check["name"], "text"),
            cell(
                check["outcome"] if check["blocks"] else f"{check['outcome']}, does not block",
                "text",
            ),
            cell(check["message"], "text dim"),
            cell(tag("code", {}, check["rule"]), "text"),
        )
        for check in verdict["checks"]
    ]
    head = [heading(name, "text") for name in ("check", "outcome", "figures", "rule")]
    reason = verdict["reason"]
    said = f"{reason[0].upper()}{reason[1:]}."
    if "[" in reason:
        said += (
            " In brackets are the one-sided 5 % bounds of the mean difference in loss, by which the gate "
            f"decides. The 95 % interval above comes from a bootstrap of the {_metric(run)}."
        )
    return section("What the gates checked", said, table(head, rows))


def _metric(run: Run) -> str:
    return figures.title_of(run["evaluation"]["metric"])


def _outcome(check: Mapping[str, Any]) -> str:
    warns = check["outcome"] != "pass" and not check["blocks"]
    return f"{check['outcome']}, does not block" if warns else check["outcome"]


def _data(run: Run) -> Markup:
    rows = [
        tag(
            "tr",
            {},
            cell(each["dataset"], "text"),
            cell(str(each["number"])),
            cell(f"{each['rows']:,}"),
            cell(tag("code", {}, each["manifest"][:12])),
        )
        for each in run["datasets"]
    ]
    head = [heading("dataset", "text"), heading("version"), heading("rows"), heading("content")]
    return section(
        "What it rests on",
        f"{run['revision']}, evaluated at {run['now']} as {run['run']}.",
        table(head, rows),
    )
