"""``nenrin deployments``: what clients address by name, and which version answers."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import RenderableType

from nenrin.cli.console import facts, plain, show, table, when
from nenrin.cli.session import AsJson, Env, commands, session

app = commands()

Name = Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="The deployment's name.")]


@app.command("list")
def list_(env: Env = None, as_json: AsJson = False) -> None:
    """Every deployment, and the version that answers.

    [bold]Example[/]

    nenrin deployments list
    """
    with session(env) as client:
        show(client.get("/api/deployments"), as_json, _deployments)


@app.command("show")
def show_(name: Name, env: Env = None, as_json: AsJson = False) -> None:
    """One deployment: its route, its anchor, and what a request holds.

    [bold]Example[/]

    nenrin deployments show delay
    """
    with session(env) as client:
        show(client.get(f"/api/deployments/{name}"), as_json, facts)


@app.command()
def promote(
    name: Name,
    version: Annotated[str, typer.Argument(help="The version to serve; the gates judge it first.")],
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Judge a version and, if the gates let it, make it the champion.

    [bold]Example[/]

    nenrin deployments promote delay version-3f9ac27d51e0
    """
    with session(env) as client:
        body = {"version": version}
        show(client.post(f"/api/deployments/{name}/promote", body), as_json, facts)


@app.command()
def rollback(name: Name, env: Env = None, as_json: AsJson = False) -> None:
    """Serve the version that served before again, at once.

    [bold]Example[/]

    nenrin deployments rollback delay
    """
    with session(env) as client:
        show(client.post(f"/api/deployments/{name}/rollback"), as_json, facts)


@app.command()
def freeze(name: Name, env: Env = None, as_json: AsJson = False) -> None:
    """Stop every automatic change of a deployment.

    [bold]Example[/]

    nenrin deployments freeze delay
    """
    with session(env) as client:
        show(client.post(f"/api/deployments/{name}/freeze"), as_json, facts)


@app.command()
def unfreeze(name: Name, env: Env = None, as_json: AsJson = False) -> None:
    """Let the loop act on a deployment again.

    [bold]Example[/]

    nenrin deployments unfreeze delay
    """
    with session(env) as client:
        show(client.post(f"/api/deployments/{name}/unfreeze"), as_json, facts)


def _deployments(deployments: list[dict[str, Any]]) -> RenderableType:
    def champion(route: dict[str, Any]) -> str:
        return plain(route["variants"][0]["version"])

    def challengers(frozen: bool) -> str:
        return "frozen" if frozen else ""

    return table(
        deployments,
        ("name", "deployment", plain),
        ("model", "model", plain),
        ("route", "champion", champion),
        ("at", "since", when),
        ("frozen", "", challengers),
        empty="nothing is deployed yet: nenrin run, or nenrin adopt after a backtest",
    )
