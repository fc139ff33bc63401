"""``nenrin predictions``: what was answered, as the log has it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from nenrin.api.client import Client
from nenrin.cli.console import facts, note, plain, show, show_line
from nenrin.cli.replay_check import check
from nenrin.cli.session import AsJson, Env, Since, Until, Which, commands, session
from nenrin.core.errors import RequestError
from nenrin.core.instants import from_us, iso
from nenrin.core.timer import SystemTimer

app = commands()
app.command()(check)

_LOOK = 0.5  # seconds between two looks of --follow
_FORMS = ("parquet", "csv", "ndjson")


@app.command()
def tail(
    number: Annotated[int, typer.Option("-n", min=0, max=1000, help="How many.")] = 10,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with those that come, until Ctrl-C.")
    ] = False,
    deployment: Which = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """The newest logged predictions, oldest first. With -f and --json, one object a line.

    [bold]Examples[/]

    nenrin predictions tail -n 20

    nenrin predictions tail -f --deployment delay
    """
    with session(env) as client:
        found = client.get("/api/predictions", number=number, deployment=deployment)
        if as_json and not follow:
            show(found["predictions"], as_json, facts)
            return
        if not found["predictions"]:
            note("nothing is logged yet: nenrin up answers requests")
        _told(found, as_json)
        if follow:
            _follow(client, found, deployment, as_json)


@app.command("show")
def show_(
    prediction: Annotated[str, typer.Argument(metavar="ID", help="As the answer gave it.")],
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """One logged prediction; nenrin why says what stands behind it.

    [bold]Example[/]

    nenrin predictions show prediction-6bc231e28ceaf1ce76c20000
    """
    with session(env) as client:
        show(client.get(f"/api/predictions/{prediction}"), as_json, _one)


@app.command()
def export(
    to: Annotated[Path, typer.Option(metavar="FILE", help="Written as .parquet, .csv or .ndjson.")],
    deployment: Which = None,
    version: Annotated[
        str | None, typer.Option(metavar="ID", help="Answered by it, or with a share of it.")
    ] = None,
    from_: Since = None,
    until: Until = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Write logged predictions to one file, however many there are.

    [bold]Example[/]

    nenrin predictions export --to july.parquet --from 2026-07-01 --until 2026-08-01
    """
    form = to.suffix.removeprefix(".")
    if form not in _FORMS or not to.absolute().parent.is_dir():
        raise RequestError(
            f"{to} cannot be written",
            where="--to",
            hint="name a file in a folder that is there, ending in .parquet, .csv or .ndjson",
        )
    asked = {"deployment": deployment, "version": version, "from": from_, "until": until}
    with session(env) as client:
        said = client.download("/api/predictions/export", to, form=form, **asked)
    show({**said, "path": str(to)}, as_json, facts)


def _follow(client: Client, found: Any, deployment: str | None, as_json: bool) -> None:
    timer = SystemTimer()
    with suppress(KeyboardInterrupt):
        while True:
            timer.sleep(_LOOK)
            found = client.get("/api/predictions", since=found["cursor"], deployment=deployment)
            _told(found, as_json)


def _told(found: Any, as_json: bool) -> None:
    for prediction in found["predictions"]:
        show_line(prediction, as_json, _line)


def _line(prediction: dict[str, Any]) -> str:
    """Whole ids, however narrow the screen: they are copied."""
    took = prediction.get("latency_ms")
    said = [
        f"{from_us(prediction['at']):%Y-%m-%d %H:%M:%S}Z",
        prediction["id"],
        f"{prediction['deployment']} {prediction['version']}",
        f"{plain(prediction['answer'])} for {prediction['key'] or 'no key'}",
        *([] if took is None else [f"{took:.3g} ms"]),
    ]
    return "  ".join(said)


def _one(found: dict[str, Any]) -> RenderableType:
    return facts({**found, "asked": iso(found["asked"]), "at": iso(found["at"])})
