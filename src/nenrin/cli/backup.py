"""``nenrin backup`` and ``restore``: a verified copy of a folder's state and content, and back."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.api.wire import decode, encode
from nenrin.cli.console import note, results_only, show
from nenrin.cli.progress import Shown
from nenrin.cli.session import AsJson, commands, session, work
from nenrin.core.errors import IntegrityError
from nenrin.core.lock import FolderLock
from nenrin.core.settings import Settings

app = commands()


@app.command()
def backup(
    to: Annotated[
        Path,
        typer.Option(metavar="PATH", help="A folder, or a file whose name ends in .tar."),
    ],
    as_json: AsJson = False,
) -> None:
    """Copy state, ledger, content and predictions as they are at one instant, while everything runs.

    Everything is verified on its way. A folder that holds an older backup is brought up to date. Your own
    files of data, and the private key of checkpoints, are not in it.

    [bold]Examples[/]

    nenrin backup --to /backups/monday.tar

    nenrin backup --to /backups/daily
    """
    with session() as client:
        made = work(client, "/api/backups", {"to": str(to.absolute())})
    show({**made, "to": str(to)}, as_json, _made)


@app.command()
def restore(
    source: Annotated[
        Path, typer.Argument(metavar="FROM", help="The folder or file that nenrin backup wrote.")
    ],
    as_json: AsJson = False,
) -> None:
    """Bring a backup back into a folder that has no state yet, verified; nothing is written over.

    Where the folder has no project.py, that of the active revision comes too.

    [bold]Example[/]

    nenrin restore /backups/monday.tar
    """
    settings = Settings.read()
    lock = FolderLock(settings.state_folder)
    lock.acquire(note)
    with results_only(), lock, Shown() as shown:
        restored = _restored(source.absolute(), settings, shown)
    show(restored, as_json, _back)
    if not restored["audit"]["holds"]:
        raise typer.Exit(IntegrityError.exit_code)


def _restored(source: Path, settings: Settings, shown: Shown) -> Any:
    """Only this needs the platform, and everything that it stands on."""

    def told(stage: str, done: int, total: int, note: str) -> None:
        shown({"stage": stage, "done": done, "total": total, "note": note})

    found = import_module("nenrin.platform").restore_folder(source, settings, told)
    return decode(encode(found))


def _made(made: dict[str, Any]) -> RenderableType:
    return Group(Text.assemble(("backup", "bold"), f"  {made['to']}"), *_held(made))


def _back(restored: dict[str, Any]) -> RenderableType:
    chains, sources = restored["audit"]["chains"], restored["sources"]
    held = "holds" if restored["audit"]["holds"] else "BROKEN: nenrin audit verify"
    return Group(
        Text.assemble(("restored", "bold"), f"  as of {restored['manifest']['made']}"),
        *_held(restored["manifest"]),
        Text(f"  ledger of {len(chains)} environments {held}"),
        *([Text(f"  {len(sources)} files of the project")] if sources else []),
    )


def _held(manifest: dict[str, Any]) -> list[Text]:
    return [
        Text(f"  {manifest['content']:,} pieces of content, {manifest['bytes'] / 1e6:,.1f} MB"),
        *(
            Text(f"  {environment} at event {head.partition(':')[0]}", style="dim")
            for environment, head in manifest["heads"].items()
        ),
    ]
