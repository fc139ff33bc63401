"""What every command begins with: common options, and a client of the control process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nenrin.api.client import Client, Detached, Stopped, connect
from nenrin.cli.console import note, results_only
from nenrin.cli.progress import Shown
from nenrin.core.errors import ProjectError
from nenrin.core.importing import importing
from nenrin.core.lock import FolderLock
from nenrin.core.settings import Settings

if TYPE_CHECKING:
    from nenrin.api.holder import Holder

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Env = Annotated[
    str | None, typer.Option("--env", metavar="NAME", help="The environment; dev unless set.")
]
Since = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="Answered at or after it, UTC.")
]
Until = Annotated[str | None, typer.Option(metavar="DATE", help="Answered before it, UTC.")]
Which = Annotated[
    str | None, typer.Option("--deployment", metavar="NAME", help="Of this deployment only.")
]


def commands(**options: Any) -> typer.Typer:
    """A group of commands, or one command, as every file of this folder makes it."""
    shared = {"rich_markup_mode": "rich", "add_completion": False, "no_args_is_help": True}
    return typer.Typer(**{**shared, **options})


def settings_of(env: str | None = None, **given: Any) -> Settings:
    """The settings of this folder.

    Raises:
        ProjectError: it is no project's folder.
    """
    settings = Settings.read(environment=env, **given)
    if not (settings.folder / "project.py").is_file():
        raise ProjectError(
            "there is no project.py here",
            where=str(settings.folder.absolute()),
            hint="go to the project's folder, or begin one: nenrin init --example flights",
        )
    return settings


@contextmanager
def session(env: str | None = None, **given: Any) -> Iterator[Client]:
    """A client of the process that holds this folder, which may be this one."""
    with results_only(), connect(settings_of(env, **given), _hold) as client:
        yield client
        if client.own:
            _say_what_goes_on(client)


def _hold(settings: Settings, lock: FolderLock) -> Holder:
    """Hold the folder here; only this needs the platform, and everything that it stands on."""
    with importing():
        holder: type[Holder] = import_module("nenrin.api.holder").Holder
    return holder(settings, lock)


def _say_what_goes_on(client: Client) -> None:
    for each in client.get("/api/work"):
        if each["state"] in ("waiting", "running"):
            note(f"{each['what']} of another command goes on in this process; Ctrl-C ends it")
        elif each["state"] == "cut off":
            note(
                f"{each['what']} was cut off: nenrin up goes on with it, and so does the same command"
            )


def work(client: Client, path: str, body: dict[str, Any] | None = None, **params: Any) -> Any:
    """Do long work and show its progress; gives its result."""
    with following(client) as shown:
        return client.work(path, body, shown, **params)


def upload(client: Client, path: str, file: Path, **params: Any) -> Any:
    """Send a file, and show the progress of taking it in; gives the result."""
    with following(client) as shown:
        return client.upload(path, file, shown, **params)


def write_page(client: Client, path: str, name: str, to: Path | None = None) -> Path:
    """Write the page at ``path`` to the file ``to``, or as ``name`` among the folder's reports."""
    page = to or Path(".nenrin", "reports", f"{name}.html")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(client.text(path), encoding="utf-8")
    return page


@contextmanager
def following(client: Client) -> Iterator[Shown]:
    """Progress on the screen, and a word to whoever stopped it."""
    try:
        with Shown() as shown:
            yield shown
    except Stopped:
        note("stopped; what was finished is kept")
        raise
    except Detached as work:
        if client.own:
            note("ended before its end; the next run goes on from what was finished")
        else:
            note(f"{work} has not stopped yet: it does at its next step, without this command")
        raise
