"""``nenrin export``: what containers, Kubernetes and KServe run an environment from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from nenrin.cli.console import show
from nenrin.cli.session import AsJson, Env, commands, session

app = commands()

To = Annotated[Path, typer.Option(metavar="DIR", help="The folder that is written.")]
Image = Annotated[
    str, typer.Option(metavar="IMAGE", help="The image of the revision, as the cluster pulls it.")
]


@app.command()
def container(to: To = Path("container"), env: Env = None, as_json: AsJson = False) -> None:
    """A Dockerfile and its build context: the active revision, its locked packages, a user without rights.

    [bold]Examples[/]

    nenrin export container --env prod

    docker build --tag registry.example.com/team/delay:1 container
    """
    _export("container", to, "", env, as_json)


@app.command()
def kubernetes(
    image: Image, to: To = Path("kubernetes"), env: Env = None, as_json: AsJson = False
) -> None:
    """Deployment, service, autoscaler, disruption budget, backups, and a job that applies the revision.

    [bold]Example[/]

    nenrin export kubernetes --env prod --image registry.example.com/team/delay:1
    """
    _export("kubernetes", to, image, env, as_json)


@app.command()
def kserve(image: Image, to: To = Path("kserve"), env: Env = None, as_json: AsJson = False) -> None:
    """An InferenceService whose predictor is the environment's image.

    [bold]Example[/]

    nenrin export kserve --env prod --image registry.example.com/team/delay:1
    """
    _export("kserve", to, image, env, as_json)


def _export(kind: str, to: Path, image: str, env: str | None, as_json: bool) -> None:
    with session(env) as client:
        asked = {"kind": kind, "to": str(to.absolute()), "image": image}
        show({**client.post("/api/exports", asked), "to": str(to)}, as_json, _exported)


def _exported(made: dict[str, Any]) -> Text:
    text = Text(f"{made['revision']} as {made['to']}\n")
    for name, said in made["files"].items():
        text.append(f"  {name}  {said}\n", style="dim" if said == "same" else "")
    for note in made["notes"]:
        text.append(f"{note}\n", style="yellow")
    return text
