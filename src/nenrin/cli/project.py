"""``nenrin plan``, ``run``, ``why``, ``apply``: the project's graph, and what a run brings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.cli.console import joined, plain, show, table
from nenrin.cli.lineage import lineage
from nenrin.cli.outcome import ran, refused, scores
from nenrin.cli.session import AsJson, Env, commands, session, work, write_page
from nenrin.core.errors import RefusedError

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

    What has been done already, on the same data with the same code, is not done again. Ends with 6 where
    the gates keep something out.

    [bold]Example[/]

    nenrin run
    """
    _do("/api/run", env, as_json)


@app.command()
def apply(env: Env = None, as_json: AsJson = False) -> None:
    """Make this folder's revision the one that an environment follows, and say what changes.

    Ends with 6 where the gates keep something out.

    [bold]Example[/]

    nenrin apply --env prod
    """
    _do("/api/apply", env, as_json)


@app.command()
def why(
    what: Annotated[
        str,
        typer.Argument(help="A prediction, a version, a load, a verdict, a deployment or a step."),
    ],
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """What stands behind a prediction, a version or a load of data, and what came of it; why a step ran.

    [bold]Example[/]

    nenrin why delay
    """
    with session(env) as client:
        show(client.get(f"/api/why/{what}"), as_json, lineage)


@app.command()
def logs(
    step: Annotated[str, typer.Argument(help="A step of your own.")],
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """What a step wrote when it last ran; of one that failed the traceback too.

    [bold]Example[/]

    nenrin logs report
    """
    with session(env) as client:
        found = client.get(f"/api/logs/{step}")
    show(found, as_json, lambda found: Text(found["log"].rstrip()), wrap=False)


def _do(path: str, env: str | None, as_json: bool) -> None:
    """Run the project, write the page of what it found, and say both."""
    with session(env) as client:
        done = work(client, path)
        runs = [each["run"] for each in done["deployments"] if each["evaluation"]]
        if runs:
            done["page"] = str(write_page(client, "/api/runs/latest/page", runs[0]))
    show(done, as_json, ran)
    if refused(done):
        raise typer.Exit(RefusedError.exit_code)


def _plan(made: dict[str, Any]) -> RenderableType:
    changes = [Text(change) for change in made.get("changes", [])]
    parts = [part for each in made["deployments"] for part in _graph(each)]
    if made["steps"]:
        parts += [Text("steps of your own", style="bold"), _nodes(made["steps"])]
    parts += [scores(made["scores"])] if made["scores"] else []
    return Group(*changes, *parts)


def _graph(deployment: dict[str, Any]) -> Iterator[RenderableType]:
    metric = deployment["metric"] or "the metric of its task"
    yield Text.assemble(
        (deployment["name"], "bold"),
        f"  model {deployment['model']}, {metric}, recipes ",
        ", ".join(deployment["recipes"]),
        f", looks {deployment['refresh']}",
    )
    yield _nodes(deployment["nodes"])
    yield from (Text(said, style="yellow") for said in deployment.get("limits", []))


def _nodes(nodes: list[dict[str, Any]]) -> RenderableType:
    return table(
        nodes,
        ("name", "step", plain),
        ("stage", "stage", plain),
        ("inputs", "from", joined),
        ("does", "", plain),
        ("why", "why", plain),
    )
