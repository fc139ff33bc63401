"""``nenrin export``: what containers, Kubernetes and KServe run an environment from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from nenrin.cli.console import show
from nenrin.cli.session import AsJson, Env, commands, session
from nenrin.core.errors import RequestError
from nenrin.integrations.image import build, fetch_wheels, find_buildah
from nenrin.pipelines.packages import from_folders

app = commands()

To = Annotated[Path, typer.Option(metavar="DIR", help="The folder that is written.")]
Image = Annotated[
    str, typer.Option(metavar="IMAGE", help="The image of the revision, as the cluster pulls it.")
]

Wheels = Annotated[
    bool,
    typer.Option("--wheels", help="Fetch the packages here, so that the build needs no index."),
]
Oci = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        help="Build the image too, as an OCI archive, with buildah.",
    ),
]
Base = Annotated[
    str | None,
    typer.Option(metavar="IMAGE", help="What that image begins from: a name, or oci-archive:FILE."),
]


@app.command()
def container(
    to: To = Path("container"),
    wheels: Wheels = False,
    oci: Oci = None,
    base: Base = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """A Dockerfile and its build context: the active revision, its locked packages, a user without rights.

    With [bold]--oci[/] buildah makes an image of it, without Docker.

    [bold]Examples[/]

    nenrin export container --env prod

    docker build --tag registry.example.com/team/delay:1 container

    nenrin export container --env prod --wheels --oci delay.tar
    """
    if oci is not None:
        find_buildah()
    elif base:
        hint = f"docker build --build-arg BASE={base} {to}, or --oci FILE"
        raise RequestError("a base is for an image that is built here", where="base", hint=hint)
    made = _write("container", to, "", env)
    if wheels:
        fetch_wheels(to, from_folders())
        made["notes"] = []
    if oci is not None:
        made |= {"image": str(oci), "digest": build(to, oci, base, index=not wheels)}
    show(made, as_json, _exported)


@app.command()
def kubernetes(
    image: Image, to: To = Path("kubernetes"), env: Env = None, as_json: AsJson = False
) -> None:
    """Deployment, service, autoscaler, disruption budget, backups, and a job that applies the revision.

    [bold]Example[/]

    nenrin export kubernetes --env prod --image registry.example.com/team/delay:1
    """
    show(_write("kubernetes", to, image, env), as_json, _exported)


@app.command()
def kserve(image: Image, to: To = Path("kserve"), env: Env = None, as_json: AsJson = False) -> None:
    """An InferenceService whose predictor is the environment's image.

    [bold]Example[/]

    nenrin export kserve --env prod --image registry.example.com/team/delay:1
    """
    show(_write("kserve", to, image, env), as_json, _exported)


def _write(kind: str, to: Path, image: str, env: str | None) -> dict[str, Any]:
    with session(env) as client:
        asked = {"kind": kind, "to": str(to.absolute()), "image": image}
        return {**client.post("/api/exports", asked), "to": str(to)}


def _exported(made: dict[str, Any]) -> Text:
    text = Text(f"{made['revision']} as {made['to']}\n")
    for name, said in made["files"].items():
        text.append(f"  {name}  {said}\n", style="dim" if said == "same" else "")
    if "digest" in made:
        text.append(f"{made['image']}  {made['digest']}\n")
    for note in made["notes"]:
        text.append(f"{note}\n", style="yellow")
    return text
