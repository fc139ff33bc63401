"""``nenrin init``, ``plan``, ``run``, ``why``, ``apply``: the project file and its graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.cli.console import facts, joined, plain, show, table
from nenrin.cli.session import AsJson, Env, commands, session, work
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


@app.command()
def plan(env: Env = None, as_json: AsJson = False) -> None:
    """Show the graph derived from the declarations, and what would run, before it runs.

    [bold]Example[/]

    nenrin plan
    """
    with session(env) as client:
        show(client.get("/api/plan"), as_json, _plan)


@app.command()
def run(env: Env = None, as_json: AsJson = False) -> None:
    """Snapshot the folder, then load, train, judge, register and deploy what is declared.

    What has been done already, on the same data with the same code, is not done again.

    [bold]Example[/]

    nenrin run
    """
    with session(env) as client:
        show(work(client, "/api/run"), as_json, facts)


@app.command()
def apply(env: Env = None, as_json: AsJson = False) -> None:
    """Make this folder's revision the one that an environment follows, and say what changes.

    [bold]Example[/]

    nenrin apply --env prod
    """
    with session(env) as client:
        show(work(client, "/api/apply"), as_json, facts)


@app.command()
def why(
    what: Annotated[str, typer.Argument(help="A step, a version, a verdict or a ring.")],
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Why a step ran or was reused; what stands behind a version, a verdict or a ring.

    [bold]Example[/]

    nenrin why delay
    """
    with session(env) as client:
        show(client.get(f"/api/why/{what}"), as_json, facts)


def _written(written: dict[str, Any]) -> RenderableType:
    return Group(
        Text.assemble("wrote ", (written["project"], "bold")),
        *(Text(f"  {said}") for said in written["notes"]),
        Text.assemble("next: ", ("nenrin run", "bold"), ", then ", ("nenrin up", "bold")),
    )


def _plan(made: dict[str, Any]) -> RenderableType:
    return Group(*(part for each in made["deployments"] for part in _graph(each)))


def _graph(deployment: dict[str, Any]) -> Iterator[RenderableType]:
    def runs(cached: bool) -> str:
        return "kept" if cached else "runs"

    yield Text.assemble(
        (deployment["name"], "bold"),
        f"  model {deployment['model']}, {deployment['metric']}, recipes ",
        ", ".join(deployment["recipes"]),
    )
    yield table(
        deployment["nodes"],
        ("name", "step", plain),
        ("stage", "stage", plain),
        ("inputs", "from", joined),
        ("cached", "", runs),
        ("why", "why", plain),
    )
