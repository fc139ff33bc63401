"""``nenrin doctor``: what may keep a machine or a folder from working, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.cli.console import show
from nenrin.cli.session import AsJson, Env, commands
from nenrin.core.errors import USERS_ERRORS
from nenrin.core.health import Finding, folder, machine
from nenrin.core.settings import Settings

app = commands()
_STYLES = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("fail", "bold red")}


@app.command()
def doctor(env: Env = None, as_json: AsJson = False) -> None:
    """Look at machine, folder, database, ledger, clock and project; change nothing.

    Ends with code 1 where something fails.

    [bold]Example[/]

    nenrin doctor
    """
    settings = Settings.read(environment=env)
    findings = [*machine(), *folder(settings.state_folder), *_deeper(settings)]
    show(findings, as_json, lambda _: _drawn(findings))
    if any(finding.health == "fail" for finding in findings):
        raise typer.Exit(1)


def _deeper(settings: Settings) -> Iterator[Finding]:
    """What needs the rest of nenrin, which may be what is broken."""
    try:
        examine: Any = import_module("nenrin.platform").examine
        yield from examine(settings)
    except USERS_ERRORS as error:
        yield Finding(
            name="nenrin",
            health="fail",
            found=f"its own parts do not work: {type(error).__name__}: {error}",
            do="see to what is wrong above, then install nenrin anew",
        )


def _drawn(findings: list[Finding]) -> RenderableType:
    width = max(len(finding.name) for finding in findings)
    return Group(*(line for finding in findings for line in _lines(finding, width)))


def _lines(finding: Finding, width: int) -> Iterator[Text]:
    mark, style = _STYLES[finding.health]
    yield Text.assemble(
        (f"{mark:<4}  ", style), (f"{finding.name:<{width}}  ", "bold"), finding.found
    )
    if finding.do:
        yield Text(f"{'':<{width + 8}}do this: {finding.do}")
