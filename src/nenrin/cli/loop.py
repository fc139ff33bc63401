"""``nenrin status``, ``rings``, ``adopt``: what the loop does and did."""

from __future__ import annotations

from typing import Annotated

import typer

from nenrin.cli.console import facts, show
from nenrin.cli.session import AsJson, Env, commands, session

app = commands()


@app.command()
def status(env: Env = None, as_json: AsJson = False) -> None:
    """Where the environment stands: its calendar, deployments, open alarms and watches.

    [bold]Example[/]

    nenrin status
    """
    with session(env) as client:
        show(client.get("/api/status"), as_json, facts)


@app.command()
def rings(
    deployment: Annotated[
        str | None, typer.Argument(help="Of this deployment only.", show_default=False)
    ] = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Every turn of the loop: what set it off, what was trained, the verdict, and how it ended.

    [bold]Example[/]

    nenrin rings delay
    """
    with session(env) as client:
        show(client.get("/api/rings", deployment=deployment), as_json, facts)


@app.command()
def adopt(
    backtest: Annotated[
        str, typer.Argument(help="Id of a backtest; the newest if left out.")
    ] = "newest",
    into: Annotated[str, typer.Option(metavar="NAME", help="The environment.")] = "dev",
    as_json: AsJson = False,
) -> None:
    """Propose a backtest's champion to an environment; where there is none it is deployed at once.

    [bold]Example[/]

    nenrin adopt --into dev
    """
    with session() as client:
        name = backtest.removeprefix("backtest/")
        show(client.post(f"/api/backtests/{name}/adopt", {"into": into}), as_json, facts)
