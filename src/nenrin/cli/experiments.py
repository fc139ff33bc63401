"""``nenrin experiments``: versions of a deployment side by side, and what they have shown."""

from __future__ import annotations

from typing import Annotated

import typer

from nenrin.cli.console import facts, show
from nenrin.cli.session import AsJson, Env, commands, session

app = commands()

Name = Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="The deployment's name.")]


@app.command()
def start(
    name: Name,
    version: Annotated[
        list[str], typer.Option(metavar="VERSION", help="Answers beside the champion; repeatable.")
    ],
    weight: Annotated[
        int, typer.Option(metavar="PERCENT", help="Percent of the keys for the versions together.")
    ] = 50,
    strategy: Annotated[
        str, typer.Option(metavar="NAME", help="fixed weights, or bandit: by delayed rewards.")
    ] = "fixed",
    outcome: Annotated[
        str,
        typer.Option(
            metavar="DATASET.COLUMN",
            help="What is compared, joined by key; left out: the model's loss.",
        ),
    ] = "",
    lower: Annotated[
        bool | None,
        typer.Option("--lower/--higher", help="What is better; left out: a lower loss, or higher."),
    ] = None,
    days: Annotated[
        int, typer.Option(metavar="N", help="Closed days before no difference is said.")
    ] = 14,
    effect: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="The smallest difference that matters, for power."),
    ] = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Let versions answer side by side, sticky by key. The loop changes nothing until it is stopped.

    [bold]Example[/]

    nenrin experiments start delay --version version-3f9ac27d51e0 --weight 50 --effect 0.01
    """
    body = {
        "versions": version,
        "weight": weight,
        "strategy": strategy,
        "outcome": outcome,
        "lower": lower,
        "days": days,
        "effect": effect,
    }
    with session(env) as client:
        show(client.post(f"/api/experiments/{name}/start", body), as_json, facts)


@app.command()
def weigh(
    name: Name,
    weight: Annotated[
        int, typer.Option(metavar="PERCENT", help="Percent of the keys for the versions together.")
    ],
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Move the weight of a running experiment: keys that need not move stay with their version.

    [bold]Example[/]

    nenrin experiments weigh delay --weight 70
    """
    with session(env) as client:
        show(client.post(f"/api/experiments/{name}/weigh", {"weight": weight}), as_json, facts)


@app.command("show")
def show_(
    name: Name,
    exposures: Annotated[
        bool, typer.Option("--exposures", help="Every key, the version it got first, and when.")
    ] = False,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Exposures, whether the split is sound, power, and differences whose intervals hold at every look.

    [bold]Example[/]

    nenrin experiments show delay
    """
    path = f"/api/experiments/{name}" + ("/exposures" if exposures else "")
    with session(env) as client:
        show(client.get(path), as_json, facts)


@app.command()
def stop(
    name: Name,
    promote: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Then make it the champion, if the gates let it."),
    ] = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Let the champion answer everything again, and the loop go on; or promote a version.

    [bold]Example[/]

    nenrin experiments stop delay --promote version-3f9ac27d51e0
    """
    with session(env) as client:
        told = client.post(f"/api/experiments/{name}/stop")
        if promote is not None:
            told["promoted"] = client.post(f"/api/deployments/{name}/promote", {"version": promote})
        show(told, as_json, facts)
