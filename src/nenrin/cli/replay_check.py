"""``nenrin predictions check``: logged answers beside what the data says."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.cli.console import number, plain, show, table
from nenrin.cli.session import AsJson, Env, Since, Until, Which, session

DIFFERENT = 1
"""The exit code where something differs."""


def check(
    deployment: Which = None,
    from_: Since = None,
    until: Until = None,
    sample: Annotated[
        int, typer.Option(min=0, help="At most so many, the same ones each time; 0: all.")
    ] = 1_000,
    grace: Annotated[
        str, typer.Option(metavar="TIME", help="What a plane may take to bring newer data in.")
    ] = "1m",
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Compute logged predictions anew from the data, and tell every difference by feature.

    A feature is stale (what was read was older than what had been known by then), missing (nothing was read
    where there is a value), or a mismatch. Ends with 1 where something differs.

    [bold]Example[/]

    nenrin predictions check --deployment delay --sample 5000
    """
    asked = {"deployment": deployment, "from": from_, "until": until}
    with session(env) as client:
        found = client.get("/api/predictions/check", **asked, sample=sample, grace=grace)
    show(found, as_json, _told)
    if found["differ"]:
        raise typer.Exit(DIFFERENT)


def _told(found: dict[str, Any]) -> RenderableType:
    parts: list[RenderableType] = [Text(_said(found))]
    if found["features"]:
        parts.append(
            table(
                found["features"],
                ("deployment", "deployment", plain),
                ("feature", "feature", plain),
                ("mismatch", "mismatch", number),
                ("missing", "missing", number),
                ("stale", "stale", number),
                ("worst", "worst", _known),
                ("behind", "behind, s", _known),
                ("examples", "for example", _first),
                empty="",
            )
        )
    parts += [
        Text(
            f"{number(each['differ'])} answers of {each['deployment']} are not what their versions say of "
            f"these features, by {each['worst']:.3g} at most: {', '.join(each['examples'])}"
        )
        for each in found["answers"]
    ]
    parts += [
        Text(f"{number(each['count'])} were not checked: {each['why']}")
        for each in found["not checked"]
    ]
    return Group(*parts)


def _said(found: dict[str, Any]) -> str:
    if not found["logged"]:
        return "no prediction is logged there: nenrin up answers requests"
    checked = f"{number(found['checked'])} of {number(found['logged'])} predictions were checked"
    later = found["came later"]
    after = f"; for {number(later)} other data came later, which is no difference" if later else ""
    return f"{checked}, {number(found['differ'])} differ{after}"


def _known(value: float | None) -> str:
    return "" if value is None else plain(value)


def _first(examples: list[str]) -> str:
    return examples[0]
