"""``nenrin up``: deployments, API and loop from one folder."""

from __future__ import annotations

import json
import shlex
from typing import Annotated, Any

import typer
from rich.text import Text

from nenrin.api.serve import serve
from nenrin.cli.console import note, results_only, show
from nenrin.cli.loop import stands
from nenrin.cli.session import AsJson, Env, commands, settings_of
from nenrin.core.settings import Settings
from nenrin.platform import Platform

app = commands()


@app.command()
def up(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where to listen; 127.0.0.1 unless set.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The public port; 0 is any free one.")
    ] = None,
    planes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes that answer; one, and for other machines one a core, unless set."
        ),
    ] = None,
    grpc_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="A port for gRPC beside it; off unless set."),
    ] = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Serve the deployments, the API and the loop from this folder, until Ctrl-C.

    Any host but this machine's own needs a token in NENRIN_TOKEN.

    [bold]Example[/]

    nenrin up --port 8321
    """
    settings = settings_of(env, host=host, port=port, planes=planes, grpc_port=grpc_port)

    def ready(url: str, platform: Platform) -> None:
        served = {
            "url": url,
            "revision": _revision(platform, settings.environment),
            "environment": settings.environment,
            "deployments": [
                {"name": deployment.name, "curl": _curl(url, deployment.name, platform, settings)}
                for deployment in platform.serving.list(settings.environment)
            ],
            "status": platform.loop.status(settings.environment),
        }
        show(served, as_json, _served, wrap=False)  # commands are to be copied whole

    with results_only():
        serve(settings, ready, say=note)
    note("stopped")


def _revision(platform: Platform, environment: str) -> str | None:
    found = platform.projects.follows(environment)
    if found is None:
        note(f"nothing was applied to {environment} yet: nenrin apply --env {environment}")
    return found.id if found else None


def _curl(url: str, name: str, platform: Platform, settings: Settings) -> str:
    """A command that asks the deployment about a real row."""
    records = platform.serving.example(settings.environment, name)["records"]
    token = ' -H "Authorization: Bearer $NENRIN_TOKEN"' if settings.token else ""
    body = shlex.quote(json.dumps(records))
    address = shlex.quote(f"{url}/invocations?deployment={name}")
    return f'curl -s {address} -H "Content-Type: application/json"{token} -d {body}'


def _served(served: dict[str, Any]) -> Text:
    text = Text.assemble(
        *("serving ", (served["environment"], "bold"), " at ", (served["url"], "bold")),
        f", revision {served['revision'] or 'none'}, at {stands(served['status'])}\n",
    )
    for name in ("docs", "metrics", "v2/health/ready"):
        text.append(f"  {served['url']}/{name}\n", style="dim")
    frozen = {each["name"] for each in served["status"]["deployments"] if each["frozen"]}
    for deployment in served["deployments"]:
        text.append(f"\n{deployment['name']}\n", style="bold")
        if deployment["name"] in frozen:
            text.append("frozen, nothing changes by itself: nenrin status\n", style="yellow")
        text.append(f"{deployment['curl']}\n")
    if not served["deployments"]:
        text.append("nothing is deployed yet: nenrin run in another terminal\n", style="yellow")
    return text
