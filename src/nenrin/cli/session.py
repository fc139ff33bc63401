"""What every command begins with: common options, and a client of the control process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self

import typer

from nenrin.api.client import Client, Detached, Stopped, connect
from nenrin.cli.console import note, results_only
from nenrin.cli.progress import Shown
from nenrin.core import environment as environments
from nenrin.core.errors import ProjectError
from nenrin.core.importing import importing
from nenrin.core.lock import FolderLock

if TYPE_CHECKING:
    from nenrin.api.holder import Holder
    from nenrin.core.settings import Settings

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


class Here(NamedTuple):
    """This folder and the environment that is meant, as the settings have them.

    A command that finds the folder's process running needs no more of them: to read them all takes as long as
    all else that it does.
    """

    folder: Path
    environment: str

    @property
    def state_folder(self) -> Path:
        """As the setting of that name."""
        return self.folder.absolute() / ".nenrin"

    @classmethod
    def of(cls, env: str | None) -> Self:
        """From an option and the process' environment variables.

        Raises:
            RequestError: there can be no environment of that name.
            ProjectError: it is no project's folder.
        """
        told = {name.upper(): value for name, value in os.environ.items()}
        folder = Path(told.get("NENRIN_FOLDER", ""))
        named = told.get("NENRIN_ENVIRONMENT", environments.DEFAULT) if env is None else env
        environments.checked(named)
        _check_project(folder)
        return cls(folder, named)


def settings_of(env: str | None = None, **given: Any) -> Settings:
    """The settings of this folder.

    Raises:
        ProjectError: it is no project's folder.
    """
    settings = _settings(environment=env, **given)
    _check_project(settings.folder)
    return settings


def _settings(**given: Any) -> Settings:
    read: Callable[..., Settings] = import_module("nenrin.core.settings").Settings.read
    return read(**given)


def _check_project(folder: Path) -> None:
    if not (folder / "project.py").is_file():
        raise ProjectError(
            "there is no project.py here",
            where=str(folder.absolute()),
            hint="go to the project's folder, or begin one: nenrin init --example flights",
        )


@contextmanager
def session(env: str | None = None, **given: Any) -> Iterator[Client]:
    """A client of the process that holds this folder, which may be this one."""

    def hold(_: Here, lock: FolderLock) -> Holder:
        """Hold the folder here; only this needs the platform, and everything that it stands on."""
        try:
            with importing():
                holder: type[Holder] = import_module("nenrin.api.holder").Holder
            settings = _settings(environment=env, **given)
        except BaseException:
            lock.release()
            raise
        return holder(settings, lock)

    with results_only(), connect(Here.of(env), hold) as client:
        yield client
        if client.own:
            _say_what_goes_on(client)


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
