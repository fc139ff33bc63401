"""``nenrin demo``: a year of real flights through the whole loop, step by step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from nenrin.api.client import Client
from nenrin.cli.backtest import replay
from nenrin.cli.console import err, show, tell
from nenrin.cli.outcome import adopted
from nenrin.cli.report import render
from nenrin.cli.session import AsJson, commands, session
from nenrin.core.errors import ConflictError
from nenrin.loop.asked import read_asked
from nenrin.project.init import write_example

app = commands()


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where it is made.")] = Path("nenrin-demo"),
    from_: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day that is served.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="The day after the last one served.")
    ] = None,
    inject: Annotated[
        str, typer.Option(metavar="FAULT:DATE", help="What goes wrong in the bad week.")
    ] = "scrambled_fit:2013-07-29",
    as_json: AsJson = False,
) -> None:
    """A year of real flights through the whole loop: first as it was, then with one bad fit.

    It makes a folder and does four commands there, which you could type yourself.

    [bold]Example[/]

    nenrin demo
    """
    read_asked(from_, until, [inject])  # before the first replay, which has no fault
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    _say(f"$ mkdir {folder}; cd {folder}")
    if not Path("project.py").exists():
        _say("$ nenrin init --example flights")
        write_example(Path.cwd(), "flights")
    days: dict[str, Any] = {"from": from_, "until": until}
    typed = "".join(f" --{name} {day}" for name, day in days.items() if day)
    with session() as client:
        _say(f"$ nenrin backtest{typed}")
        clean = replay(client, days)
        _tell(clean, as_json)
        _say(f"$ nenrin backtest{typed} --inject {inject}")
        bad = replay(client, {**days, "inject": [inject]})
        _tell(bad, as_json)
        _say(f"$ nenrin adopt {clean['id']} --into dev")
        adopted = _adopt(client, clean["id"])
    done = {"clean": clean, "bad_week": bad, "adopted": adopted}
    show(done, as_json, lambda done: _adopted(done["adopted"]))
    _say(f"next: cd {folder} && nenrin up")


def _adopt(client: Client, backtest: str) -> Any:
    try:
        return client.post(f"/api/backtests/{backtest}/adopt", {"into": "dev"})
    except ConflictError as error:  # the demo was run before
        return {"adopted": error.message}


def _adopted(found: dict[str, Any]) -> RenderableType:
    return adopted(found) if "champion" in found else Text(found["adopted"])


def _tell(report: dict[str, Any], as_json: bool) -> None:
    if not as_json:
        tell(render(report))


def _say(text: str) -> None:
    """On the standard error: what is printed there is no result."""
    err.print(Text(f"\n{text}", style="bold cyan"), soft_wrap=True)
