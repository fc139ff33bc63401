"""``nenrin prune``: makes room by what nothing names any more, and by what can be computed again."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from nenrin.cli.console import show
from nenrin.cli.session import AsJson, Env, commands, session, work

app = commands()
_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


@app.command()
def prune(
    keep: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Results of steps that are older go too, such as 30d."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="The oldest results go until the rest fits, into 5GB."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Remove content that nothing names, and old results of steps, which run again where they are wanted.

    Versions, data, deployments and whatever the ledger names stay, and the newest result of each step.

    [bold]Examples[/]

    nenrin prune --dry-run

    nenrin prune --keep 30d --budget 5GB
    """
    asked = {"keep": keep, "budget": budget, "dry_run": dry_run}
    with session(env) as client:
        found = work(client, "/api/prune", asked)
    show(found, as_json, lambda found: _drawn(found, dry_run))


def _drawn(found: dict[str, Any], dry_run: bool) -> Text:
    goes = "would go" if dry_run else "gone"
    text = Text(
        f"{goes}: {_size(found['bytes'])} in {found['blobs']:,} files, "
        f"{found['results']:,} results of steps, {found['jobs']:,} records of jobs\n"
        f"stays: {_size(found['kept_bytes'])} in {found['kept_blobs']:,} files"
    )
    if found["over"]:
        text.append(
            f"\n{_size(found['over'])} over the budget: the rest is named by versions, data or the ledger",
            style="yellow",
        )
    return text


def _size(count: int) -> str:
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"
