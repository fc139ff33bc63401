"""``nenrin gates``: what the gates would say."""

from __future__ import annotations

from typing import Annotated

import typer

from nenrin.cli.console import show
from nenrin.cli.outcome import verdict
from nenrin.cli.session import AsJson, Env, commands, session

app = commands()


@app.callback()
def gates() -> None:
    """What the gates would say."""


@app.command()
def check(
    deployment: Annotated[str, typer.Argument(help="The deployment's name.")],
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Every check of the gate policy now, with its outcome and the numbers that it used.

    [bold]Example[/]

    nenrin gates check delay
    """
    with session(env) as client:
        show(client.get(f"/api/gates/{deployment}"), as_json, verdict)
