"""``nenrin models``: registered versions of every kind."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import RenderableType

from nenrin.cli.console import facts, plain, short, show, table, when
from nenrin.cli.session import AsJson, Env, commands, session

app = commands()


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="Versions of this name only.")] = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Every registered version, newest last.

    [bold]Example[/]

    nenrin models list delay
    """
    with session(env) as client:
        show(client.get("/api/models", name=name), as_json, _versions)


@app.command("show")
def show_(
    version: Annotated[str, typer.Argument(help="Id of a version.")],
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """One version: its kind, content, parents and facts.

    [bold]Example[/]

    nenrin models show version-3f9ac27d51e0
    """
    with session(env) as client:
        show(client.get(f"/api/models/{version}"), as_json, facts)


@app.command("bad")
def bad(
    version: Annotated[str, typer.Argument(help="Id of a version.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the ledger.")],
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Mark a version bad: it is never served again, and leaves a mixture at once.

    [bold]Example[/]

    nenrin models bad version-3f9ac27d51e0 --reason "it answers one number for every row"
    """
    with session(env) as client:
        show(client.post(f"/api/models/{version}/bad", {"reason": reason}), as_json, facts)


def _versions(versions: list[dict[str, Any]]) -> RenderableType:
    return table(
        versions,
        ("id", "version", plain),
        ("name", "name", plain),
        ("kind", "kind", plain),
        ("status", "status", plain),
        ("at", "registered", when),
        ("content", "content", short),
        empty="nothing is registered yet: nenrin run",
    )
