"""``nenrin init``: the first project file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.cli.console import show
from nenrin.cli.session import AsJson, commands
from nenrin.core.errors import RequestError
from nenrin.project.init import infer, write_example, write_project

app = commands()


@app.command()
def init(
    from_: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Your table: CSV or Parquet.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column to predict.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="When each row happened, if it says so.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="What identifies a row; else it is guessed."),
    ] = None,
    example: Annotated[
        str | None, typer.Option(metavar="NAME", help="Write an example instead, such as flights.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a project file that runs: for your own table, or an example.

    [bold]Example[/]

    nenrin init --from customers.csv --target churned

    nenrin init --example flights
    """
    folder = Path.cwd()
    if example is not None and from_ is None and target is None:
        written = {"project": str(write_example(folder, example)), "notes": []}
    elif from_ is not None and target is not None and example is None:
        inferred = infer(from_, target, time=time, key=key)
        written = {"project": str(write_project(folder, inferred)), "notes": list(inferred.notes)}
    else:
        raise RequestError(
            "init needs a table and its target, or the name of an example",
            where="nenrin init",
            hint="nenrin init --from data.csv --target column, or nenrin init --example flights",
        )
    show(written, as_json, _written)


def _written(written: dict[str, Any]) -> RenderableType:
    return Group(
        Text.assemble("wrote ", (written["project"], "bold")),
        *(Text(f"  {said}") for said in written["notes"]),
        Text.assemble("next: ", ("nenrin run", "bold"), ", then ", ("nenrin up", "bold")),
    )
