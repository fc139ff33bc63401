"""What came of a run, and what the gates said, as a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nenrin.api import figures, findings
from nenrin.api.findings import Run
from nenrin.cli.console import plain, table, when

_MARKS = {"pass": ("pass", "green"), "fail": ("fail", "bold red")}
_INDENT = "  "


def ran(done: Mapping[str, Any]) -> RenderableType:
    """What a run or an apply brought: for each deployment how good it is, and what the gates said."""
    return Group(*_ran(done))


def refused(done: Mapping[str, Any]) -> bool:
    """Whether the gates kept something out."""
    verdicts = [each["verdict"] for each in done["deployments"]]
    return any(verdict and not verdict["admitted"] for verdict in verdicts)


def _ran(done: Mapping[str, Any]) -> Iterator[RenderableType]:
    for change in done.get("changes", []):
        yield Text(change)
    for deployment in done["deployments"]:
        yield Text.assemble((deployment["deployment"], "bold"), f"  {done['revision']}")
        yield from _deployment(deployment)
    for name, shown in done.get("steps", {}).items():
        taken = "" if name in done["ran"] else "  (as before)"
        yield Text.assemble((name, "bold"), f"  {shown}", (taken, "dim"))
    for each in done.get("scores", []):
        yield Text.assemble((each["name"], "bold"), f"  {each['answered']:,} rows to {each['to']}")
    for said in done.get("notes", []):
        yield Text(said, style="yellow")
    if done.get("page"):
        yield Text.assemble(("report", "bold"), f"  {done['page']}")
    for line in findings.next_steps(done["deployments"]):
        yield Text.assemble(("next", "bold"), "    ", (line, "cyan"))


def _deployment(run: Run) -> Iterator[RenderableType]:
    if run["evaluation"]:
        yield _measures(run)
        yield Text(f"{_INDENT}{findings.rests_on(run)}", style="dim")
        others = ", ".join(f"{name} {figure}" for name, figure in findings.others(run))
        if others:
            yield Text(f"{_INDENT}{others}", style="dim")
    for warning in findings.warnings(run):
        yield Text(f"{_INDENT}{warning}", style="yellow")
    verdict = run["verdict"]
    for check in verdict["checks"] if verdict else ():
        if check["outcome"] != "pass" and check["blocks"]:
            yield Text.assemble(_INDENT, _check(check))
    admitted = "green" if verdict and verdict["admitted"] else "bold red" if verdict else ""
    yield Text(f"{_INDENT}{findings.decision(run)}", style=admitted)
    blocked = run["steps"].count("look.blocked")
    if blocked:
        looks = figures.count(blocked, "look")
        yield Text(
            f"{_INDENT}{looks} without training, for the data is broken: nenrin rings", "yellow"
        )
    if run.get("frozen"):
        name = run["deployment"]
        yield Text(f"{_INDENT}frozen, {run['frozen']}: nothing changes by itself", "yellow")
        yield Text(f"{_INDENT}nenrin status shows what is held; then unfreeze {name}", style="dim")
    elif not verdict and (before := run.get("refused")):
        told = f"this code was refused at {when(before['at'])}, {before['reason']}"
        yield Text(f"{_INDENT}{told}", style="yellow")
        yield Text(f"{_INDENT}{run['due']}", style="dim")
    elif findings.is_judged(run):
        name = run["deployment"]
        told = f"this code was judged before: nenrin rings {name}; {run['due']}"
        yield Text(f"{_INDENT}{told}", style="dim")
    elif not verdict:
        yield Text(f"{_INDENT}{'' if blocked else 'nothing was due: '}{run['due']}", style="dim")


def _measures(run: Run) -> Table:
    """Model, baseline and difference under each other, and whether the difference shows."""
    beats = run["evaluation"]["beats_baseline"]
    said = (
        Text("beats the baseline", "green") if beats else Text("not shown to be better", "bold red")
    )
    drawn = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    metric = figures.title_of(run["evaluation"]["metric"])
    drawn.add_column("")
    drawn.add_column(metric, justify="right")
    drawn.add_column("95 % interval")
    drawn.add_column(f"({findings.direction(run)})")
    for name, figure, interval in findings.measures(run):
        style = "bold" if name == "model" else ""
        drawn.add_row(
            f"{_INDENT}{name}",
            Text(figure, style),
            interval,
            said if name == "difference" else "",
        )
    return drawn


def _check(check: Mapping[str, Any]) -> Text:
    word, style = _MARKS.get(check["outcome"], (check["outcome"], "yellow"))
    text = Text.assemble((word, style), f"  {check['name']}", (f"  {check['message']}", "dim"))
    if not check["blocks"]:
        text.append("  (does not block)", style="dim")
    if check["waived_by"]:
        text.append(f"  waived by {check['waived_by']}", style="yellow")
    return text


def scores(found: Sequence[Mapping[str, Any]]) -> RenderableType:
    """What is answered on a schedule: the last file, and when the next is due."""
    rows = [{**each, "last": (each["last"] or {}).get("to")} for each in found]
    return table(
        rows,
        ("name", "scores", plain),
        ("model", "model", plain),
        ("rows", "rows", plain),
        ("when", "", plain),
        ("last", "last", plain),
        ("next", "next", when),
    )


def verdict(found: Mapping[str, Any]) -> RenderableType:
    """What ``nenrin gates check`` found for a deployment."""
    given = found["verdict"]
    if found["bad"]:
        now = Text(f"marked bad, never served again: nenrin why {given['ships']}", "bold red")
    elif found["admitted"]:
        now = Text("would be admitted", "green")
    else:
        now = Text("refused", "bold red")
    return Group(
        Text.assemble(
            (found["deployment"], "bold"), f"  {given['ships']} by {given['judged']}: ", now
        ),
        *(Text.assemble(_INDENT, _check(check)) for check in found["checks"]),
        Text(f"as given: {given['reason']}", style="dim"),
    )


def adopted(found: Mapping[str, Any]) -> RenderableType:
    """What came of an adoption."""
    return Text.assemble(
        (found["environment"], "bold"),
        f" serves {found['champion']} as ",
        (found["deployment"], "bold"),
        f", with {found['versions']:,} versions beside it; its calendar stands at "
        f"{when(found['stands_at'])}",
    )
