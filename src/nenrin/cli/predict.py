"""``nenrin predict``: a deployment's answers for whole files."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import RenderableType

from nenrin.cli.console import facts, note, results_only, show
from nenrin.cli.progress import Shown
from nenrin.cli.session import AsJson, Env, commands, settings_of
from nenrin.core.importing import importing
from nenrin.serving.batch.service import Predicted, Wanted

app = commands()


class Bad(StrEnum):
    """What is done about a row that has no answer."""

    refuse = "refuse"
    skip = "skip"


@app.command()
def predict(
    name: Annotated[str, typer.Argument(help="A deployment, or a version that one serves.")],
    input_: Annotated[
        str,
        typer.Option(
            "--input", metavar="PLACE", help="A file, a folder, a glob in quotes, or s3://…"
        ),
    ],
    output: Annotated[Path, typer.Option(metavar="FILE", help="Written as .parquet or .csv.")],
    version: Annotated[
        str | None, typer.Option(metavar="ID", help="Have this version of it answer all rows.")
    ] = None,
    bad: Annotated[
        Bad,
        typer.Option(help="A row without an answer: stop there, or skip it to FILE.bad.ndjson."),
    ] = Bad.refuse,
    log: Annotated[
        bool, typer.Option("--log", help="Log the answers as a data plane would, with ids.")
    ] = False,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Answer every row of Parquet, CSV or JSON lines, of any size. What was killed goes on where it was.

    [bold]Examples[/]

    nenrin predict delay --input july.parquet --output answers.parquet

    nenrin predict delay --input "months/*.csv" --output answers.csv --bad skip
    """
    wanted = Wanted(name=name, input=input_, output=output, version=version, bad=bad.value, log=log)
    with results_only():
        settings = settings_of(env)
        with importing():
            platform: Any = import_module("nenrin.platform")
        try:
            with Shown() as shown, platform.batch_prediction(settings) as prediction:
                done: Predicted = prediction.predict(wanted, _told(shown))
        except KeyboardInterrupt:
            note("stopped; the same command goes on where it was")
            raise
    show(done, as_json, _drawn)


def _told(shown: Shown) -> Any:
    def tell(stage: str, done: int, total: int, note: str = "") -> None:
        shown({"stage": stage, "done": done, "total": total, "note": note})

    return tell


def _drawn(done: Predicted) -> RenderableType:
    return facts(msgspec.to_builtins(done))
