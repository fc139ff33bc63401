"""``nenrin audit``: whether the ledger is what was written."""

from __future__ import annotations

from typing import Annotated

import typer

from nenrin.cli.console import facts, show
from nenrin.cli.session import AsJson, commands, session
from nenrin.core.errors import IntegrityError

app = commands()


@app.callback()
def audit() -> None:
    """Whether the ledger is what was written."""


@app.command()
def verify(
    env: Annotated[
        str | None, typer.Option(metavar="NAME", help="One environment; all if left out.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(metavar="HASH", help="A head kept outside, to compare with.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Walk the chain of events: every changed, removed, reordered or inserted one is found.

    [bold]Example[/]

    nenrin audit verify --env dev
    """
    with session() as client:
        found = client.get("/api/audit/verify", environment=env, head=head)
    show(found, as_json, facts)
    if found["breaks"]:
        raise typer.Exit(IntegrityError.exit_code)
