"""``nenrin``: the commands, each in its own file, loaded only when it is called."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from nenrin.core.errors import NenrinError, RequestError
from nenrin.core.importing import importing


class Entry(NamedTuple):
    """A command as ``nenrin --help`` lists it: its file, what it does, its panel."""

    file: str
    help: str
    panel: str


_BEGIN, _LOOP, _ROOMS, _CARE = "Begin", "The loop", "The rooms", "Looking after a folder"

COMMANDS = {
    "init": Entry("init", "Write a project file: for your own table, or an example.", _BEGIN),
    "demo": Entry("demo", "A year of real flights through the whole loop, step by step.", _BEGIN),
    "plan": Entry("project", "Show the graph, and what would run, before it runs.", _BEGIN),
    "run": Entry("project", "Load, train, judge, register and deploy what is declared.", _BEGIN),
    "up": Entry("up", "Serve the deployments, the API and the loop from this folder.", _BEGIN),
    "backtest": Entry("backtest", "Replay the past through the loop: what it would gain.", _LOOP),
    "adopt": Entry("loop", "Propose a backtest's champion to an environment.", _LOOP),
    "status": Entry("loop", "Where the environment stands.", _LOOP),
    "rings": Entry("loop", "Every turn of the loop, and how it ended.", _LOOP),
    "why": Entry("project", "Why a step ran, or what stands behind a version.", _LOOP),
    "logs": Entry("project", "What a step of your own wrote when it last ran.", _LOOP),
    "apply": Entry("project", "Make this folder's revision an environment's.", _LOOP),
    "data": Entry("data", "Datasets: their versions, rows and profiles.", _ROOMS),
    "models": Entry("models", "Registered versions of every kind.", _ROOMS),
    "deployments": Entry("deployments", "What clients address: show, promote, roll back.", _ROOMS),
    "experiments": Entry("experiments", "Versions side by side: start, show, stop.", _ROOMS),
    "predictions": Entry("predictions", "What was answered: tail, show, export, check.", _ROOMS),
    "predict": Entry("predict", "Answer whole files: Parquet, CSV, JSON lines.", _ROOMS),
    "gates": Entry("gates", "What the gates would say.", _ROOMS),
    "audit": Entry("audit", "Whether the ledger is what was written.", _ROOMS),
    "export": Entry("export", "For containers, Kubernetes, KServe.", _CARE),
    "doctor": Entry("doctor", "What may keep this machine or folder from working.", _CARE),
    "prune": Entry("prune", "Make room: what nothing names, and old results of steps.", _CARE),
    "backup": Entry("backup", "Copy state and content, while everything runs.", _CARE),
    "restore": Entry("backup", "Bring a backup back, into a folder without state.", _CARE),
    "migrate": Entry("migrate", "Move state into PostgreSQL.", _CARE),
}

ALIASES = {"serve": "up"}  # SageMaker starts a container with this word


class LazyGroup(TyperGroup):
    """Lists commands from the table; imports a command's file when it is called."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.help), name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The list of commands as plain text: drawing it with Rich takes as long as all the rest."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.format_options(ctx, formatter)

    def format_commands(self, _: Any, formatter: Any) -> None:
        """A section for each panel of the table."""
        width = max(map(len, COMMANDS))
        for panel, entries in groupby(COMMANDS.items(), lambda item: item[1].panel):
            with formatter.section(panel):
                formatter.write_dl([(f"{name:<{width}}", entry.help) for name, entry in entries])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command in place of the one that only has a name."""
        args = [ALIASES.get(args[0], args[0]), *args[1:]]
        name, command, rest = super().resolve_command(ctx, args)
        if name == "up" and not {"-h", "--help"} & set(rest):
            from nenrin.api.forking import warm

            warm()  # planes' imports, while this process is at its own
        return name, load(name) if name in COMMANDS else command, rest


def load(name: str) -> Any:
    """The command ``name`` from its file: the only command or group there, or the one so called."""
    entry = COMMANDS[name]
    with importing():
        only = get_command(import_module(f"nenrin.cli.{entry.file}").app)
    command = getattr(only, "commands", {}).get(name, only)
    command.name = name
    command.help = command.help or entry.help
    return command


app = typer.Typer(
    cls=LazyGroup,
    name="nenrin",
    invoke_without_command=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"nenrin {version('nenrin')}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", "-C", help="The project's folder, if not this one.", metavar="DIR"
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Print the version."),
    ] = False,
) -> None:
    """nenrin closes the loop: data, features, training, gates, serving, watching and retraining.

    Begin with: nenrin demo

    Or with your own table: nenrin init --from data.csv --target column
    """
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(2)
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise RequestError(
                f"cannot go to the folder {folder}: {error.strerror}",
                where="--folder",
                hint="name a folder that is there",
            ) from None


def main() -> None:
    """Run the command line of this process and end it with the command's exit code."""
    args = sys.argv[1:]
    try:
        get_command(app).main(args, prog_name="nenrin")
    except NenrinError as error:
        sys.exit(_told(error, args))
    except Exception as error:  # noqa: BLE001 - nobody is shown a traceback
        sys.exit(_told(_logged(error), args))


def _told(error: NenrinError, args: list[str]) -> int:
    from nenrin.cli.console import show_error

    show_error(error, as_json="--json" in args)
    return error.exit_code


def _logged(error: Exception) -> NenrinError:
    """An error that nobody foresaw, its traceback in the log; where that cannot be written, on the screen."""
    import traceback

    from nenrin.api.folder import log_file
    from nenrin.api.wire import unexpected

    state = Path(".nenrin").absolute()
    log = log_file(state if state.is_dir() else Path.cwd())
    try:
        with log.open("a", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        traceback.print_exception(error)
    return unexpected(error, log)
