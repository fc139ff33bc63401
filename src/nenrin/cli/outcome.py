"""What came of a run, and what the gates said, as a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nenrin.cli.console import plain

_MARKS = {"pass": ("pass", "green"), "fail": ("fail", "bold red")}


def ran(done: Mapping[str, Any]) -> RenderableType:
    """What a run or an apply brought: for each deployment the evaluation and the verdict."""
    lines: list[RenderableType] = [Text(change) for change in done.get("changes", [])]
    lines.append(Text(f"revision {done['revision']}", style="dim"))
    for deployment in done["deployments"]:
        lines += ["", *_deployment(deployment)]
    return Group(*lines)


def checks(given: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The gates' checks, one a line: outcome, rule, and what it says with its numbers."""
    return Group(*(_check(check) for check in given))


def _deployment(deployment: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield Text.assemble(
        (deployment["deployment"], "bold"), f"  serves {deployment['champion'] or 'nothing yet'}"
    )
    parts: list[RenderableType] = []
    if deployment["evaluation"]:
        parts += _evaluation(deployment["evaluation"])
    if deployment["leaking"]:
        names = ", ".join(deployment["leaking"])
        parts.append(Text(f"alone these tell the label: {names}", style="yellow"))
    if deployment["verdict"]:
        parts += [Text(deployment["verdict"]["reason"]), checks(deployment["verdict"]["checks"])]
    else:
        parts.append(Text("nothing was due", style="dim"))
    yield Padding(Group(*parts), (0, 0, 0, 2))


def _evaluation(found: Mapping[str, Any]) -> Iterator[RenderableType]:
    gap = found["difference"]
    metric = found["metric"].replace("_", " ")
    beats = found["beats_baseline"]
    yield Text.assemble(
        (f"{metric} {_span(found, 'value')}", "bold"),
        f", baseline {plain(found['baseline'])}, difference {_span(gap, 'mean')}: ",
        ("beats the baseline", "green") if beats else ("does not beat the baseline", "bold red"),
    )
    others = ", ".join(
        f"{name.replace('_', ' ')} {plain(value)}" for name, value in found["others"].items()
    )
    yield Text(f"{found['rows']:,} rows: {found['how']}; {others}", style="dim")


def _span(found: Mapping[str, Any], name: str) -> str:
    return f"{plain(found[name])} [{plain(found['low'])}, {plain(found['high'])}]"


def _check(check: Mapping[str, Any]) -> RenderableType:
    word, style = _MARKS.get(check["outcome"], (check["outcome"], "yellow"))
    text = Text.assemble((word, style), f"  {check['name']}", (f"  {check['message']}", "dim"))
    if not check["blocks"]:
        text.append("  (does not block)", style="dim")
    if check["waived_by"]:
        text.append(f"  waived by {check['waived_by']}", style="yellow")
    return text


def verdict(found: Mapping[str, Any]) -> RenderableType:
    """What ``nenrin gates check`` found for a deployment."""
    given = found["verdict"]
    now = Text("would be admitted", "green") if found["admitted"] else Text("refused", "bold red")
    return Group(
        Text.assemble(
            (found["deployment"], "bold"), f"  {given['ships']} by {given['judged']}: ", now
        ),
        Padding(checks(found["checks"]), (0, 0, 0, 2)),
        Text(f"as given: {given['reason']}", style="dim"),
    )
