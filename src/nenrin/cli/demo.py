"""``nenrin demo``: a year of real flights through the whole loop, step by step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from nenrin.cli.backtest import replay
from nenrin.cli.console import facts, out, show
from nenrin.cli.session import commands, session
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
) -> None:
    """A year of real flights through the whole loop: first as it was, then with one bad fit.

    It makes a folder and does four commands there, which you could type yourself.

    [bold]Example[/]

    nenrin demo
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    _say(f"mkdir {folder}; cd {folder}")
    if not Path("project.py").exists():
        _say("nenrin init --example flights")
        write_example(Path.cwd(), "flights")
    days: dict[str, Any] = {"from": from_, "until": until}
    typed = "".join(f" --{name} {day}" for name, day in days.items() if day)
    with session() as client:
        _say(f"nenrin backtest{typed}")
        clean = replay(client, days)
        _say(f"nenrin backtest{typed} --inject {inject}")
        replay(client, {**days, "inject": [inject]})
        name = clean["id"]
        _say(f"nenrin adopt {name} --into dev")
        show(client.post(f"/api/backtests/{name}/adopt", {"into": "dev"}), False, facts)
    out.print(Text.assemble("\nnext: ", (f"cd {folder} && nenrin up", "bold")))


def _say(command: str) -> None:
    out.print(Text(f"\n$ {command}", style="bold cyan"))
