"""``nenrin plan``, ``run``, ``why``, ``apply``: the project's graph, and what a run brings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.cli.console import facts, joined, plain, show, table
from nenrin.cli.outcome import ran
from nenrin.cli.session import AsJson, Env, commands, session, work

app = commands()


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
        show(work(client, "/api/run"), as_json, ran)


@app.command()
def apply(env: Env = None, as_json: AsJson = False) -> None:
    """Make this folder's revision the one that an environment follows, and say what changes.

    [bold]Example[/]

    nenrin apply --env prod
    """
    with session(env) as client:
        show(work(client, "/api/apply"), as_json, ran)


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
