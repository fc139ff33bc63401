"""``nenrin migrate``: state that moves to another database."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.api.wire import decode, encode
from nenrin.cli.console import note, results_only, show
from nenrin.cli.session import AsJson, commands
from nenrin.core.errors import IntegrityError, RequestError
from nenrin.core.lock import FolderLock
from nenrin.core.settings import Settings

app = commands()


@app.callback()
def migrate() -> None:
    """Move state to another database."""


@app.command()
def sqlite_to_postgres(
    to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The empty database; NENRIN_DATABASE_URL unless given."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy the folder's state and ledger into PostgreSQL, all or nothing.

    What came is compared with what was there, rows and heads, before it is kept, and the ledger is walked.
    Nothing is removed here: set NENRIN_DATABASE_URL from then on, for the file goes on as it is without it.

    [bold]Example[/]

    nenrin migrate sqlite-to-postgres --to postgresql://nenrin@db.example.org/nenrin
    """
    settings = Settings.read()
    target = to or settings.database_url
    if not target:
        raise RequestError(
            "it is not said where the state goes",
            hint="set NENRIN_DATABASE_URL, or give --to postgresql://user@host/database",
            where="--to",
        )
    lock = FolderLock(settings.state_folder)
    lock.acquire(note)
    with results_only(), lock:
        # only this needs the platform, and everything that it stands on
        move = import_module("nenrin.platform").move_to_server
        done = decode(encode(move(settings, target)))
    show(done, as_json, _moved)
    if not done["audit"]["holds"]:
        raise typer.Exit(IntegrityError.exit_code)


def _moved(done: dict[str, Any]) -> RenderableType:
    rows, heads = done["moved"]["rows"], done["moved"]["heads"]
    holds = "holds" if done["audit"]["holds"] else "BROKEN, as it was: nenrin audit verify"
    return Group(
        Text.assemble(("moved", "bold"), f"  {sum(rows.values()):,} rows of {len(rows)} tables"),
        *(
            Text(f"  {environment} at event {head.partition(':')[0]}", style="dim")
            for environment, head in heads.items()
        ),
        Text(f"  ledger of {len(heads)} environments {holds}"),
        Text("  set NENRIN_DATABASE_URL to the new database from now on"),
    )
