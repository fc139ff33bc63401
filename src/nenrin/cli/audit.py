"""``nenrin audit``: whether the ledger is what was written, and heads to keep outside."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.cli.console import note, show
from nenrin.cli.keeping import check_webhook, keep_in_git, post
from nenrin.cli.session import AsJson, commands, session
from nenrin.core.errors import IntegrityError, RequestError

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
    checkpoint: Annotated[
        str | None, typer.Option(metavar="FILE", help="A checkpoint kept outside; - reads it.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="The key that was printed with it; else the folder's."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Walk the chain of events: every changed, removed, reordered or inserted one is found.

    With a checkpoint, also an end that was cut off or rewritten together with the state beside it.

    [bold]Examples[/]

    nenrin audit verify --env dev

    nenrin audit verify --checkpoint /elsewhere/monday.note --key nenrin+1a2b3c4d+AbCd
    """
    if checkpoint is None and key is not None:
        raise RequestError("--key goes with --checkpoint", where="--key", hint="name its file too")
    if checkpoint is not None and head is not None:
        raise RequestError("a head or a checkpoint, not both", hint="leave --head out")
    body = None if checkpoint is None else {"checkpoint": _read(checkpoint), "key": key}
    with session() as client:
        if body is None:
            found = client.get("/api/audit/verify", environment=env, head=head)
        else:
            found = client.post("/api/audit/verify", body, environment=env)
    show(found, as_json, _chains)
    if body is not None and key is None:
        note(
            "the key is the one in this folder, which whoever rewrites the ledger may replace: --key"
        )
    if not found["holds"]:
        raise typer.Exit(IntegrityError.exit_code)


@app.command()
def checkpoint(
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it to this file.")] = None,
    git_note: Annotated[
        bool,
        typer.Option("--git-note", help="Attach it to the newest commit, in refs/notes/nenrin."),
    ] = False,
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="Send it there as JSON.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign the heads of all chains, to be kept where the ledger is not.

    The first one makes a key, which stays in .nenrin/keys. Keep the public key, which is printed, with it.

    [bold]Examples[/]

    nenrin audit checkpoint --to /elsewhere/monday.note

    nenrin audit checkpoint --git-note --webhook https://example.org/checkpoints
    """
    if to is None and not git_note and webhook is None:
        raise RequestError(
            "a checkpoint beside the ledger shows nothing: say where it is to be kept",
            hint="--to FILE, --git-note or --webhook URL; --to - prints it",
        )
    if webhook is not None:
        check_webhook(webhook)
    with session() as client:
        made = client.post("/api/audit/checkpoint")
    kept = []
    if to is not None and str(to) != "-":
        _write(to, made["note"])
        kept.append(str(to))
    if git_note:
        kept.append(keep_in_git(made["note"]))
    if webhook is not None:
        kept.append(post(webhook, made))
    if str(to) == "-" and not as_json:
        typer.echo(made["note"], nl=False)
        return
    show({**made, "kept": kept}, as_json, _made)


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            f"the checkpoint cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}",
            where=name,
            hint="name the file that nenrin audit checkpoint wrote",
        ) from None


def _write(path: Path, text: str) -> None:
    """The whole note, or what stood there before."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise RequestError(
            f"the checkpoint cannot be written: {error.strerror}",
            where=str(path),
            hint="name a file in a folder that is there",
        ) from None


def _made(made: dict[str, Any]) -> RenderableType:
    return Group(
        Text.assemble(("checkpoint", "bold"), f"  {made['at']}"),
        *(
            Text(f"  {head['environment']}  {head['sequence']:,} events, {head['hash'][:12]}")
            for head in made["heads"]
        ),
        *(Text.assemble(("kept", "bold"), f"  {place}") for place in made["kept"]),
        Text.assemble(("key", "bold"), f"  {made['key']}"),
        Text("keep the key with it: nenrin audit verify --checkpoint FILE --key KEY", style="dim"),
    )


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
    if chain["outside"] == "holds":
        yield Text("  the head that was kept outside is in the chain", style="green")
    if chain["outside"] == "missing":
        yield Text("  the head that was kept outside is not in the chain", style="red")
