"""``nenrin audit``: whether the ledger is what was written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.cli.console import show
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
    show(found, as_json, _chains)
    if not found["holds"]:
        raise typer.Exit(IntegrityError.exit_code)


def _chains(found: dict[str, Any]) -> RenderableType:
    """A line a chain, under it what is wrong with it, and at the end what cannot be known."""
    unknown = dict.fromkeys(chain["unknown"] for chain in found["chains"] if chain["unknown"])
    return Group(
        *(part for chain in found["chains"] for part in _chain(chain)),
        *(Text(f"not known: {each}", style="dim") for each in unknown),
    )


def _chain(chain: dict[str, Any]) -> Iterator[RenderableType]:
    holds = Text("holds", "green") if chain["holds"] else Text("BROKEN", "bold red")
    yield Text.assemble(
        (chain["environment"], "bold"), "  ", holds, f"  {chain['events']:,} events, head "
    ).append(chain["head"])
    for each in chain["breaks"]:
        yield Text(f"  event {each['sequence']}: {each['problem']}", style="red")
    if chain["outside"] == "missing":
        yield Text("  the head that was kept outside is not in the chain", style="red")
