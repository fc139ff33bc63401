"""Write docs/commands.md and docs/settings.md from the code: what is written there cannot be untrue."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.text import Text

from nenrin.cli.app import COMMANDS, load
from nenrin.core.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"
_EVERYWHERE = ("--help", "--json", "--env", "--install-completion", "--show-completion")


def commands() -> str:
    """The page of all commands, in the order and under the panels of ``nenrin --help``."""
    lines = [
        "# Commands",
        "",
        "Written by `make docs` from the commands' own help; `nenrin COMMAND --help` says the same.",
        "`--json` prints one JSON document in place of tables. `--env` names the environment, `dev` if",
        "left out. `nenrin -C DIR COMMAND` works in another folder. Exit codes are those of the error",
        "tree in `src/nenrin/core/errors.py`; 0 is success.",
    ]
    panel = ""
    for name, entry in COMMANDS.items():
        if entry.panel != panel:
            panel = entry.panel
            lines += ["", f"## {panel}"]
        for path, command in _walk(f"nenrin {name}", load(name)):
            lines += ["", *_command(path, command)]
    return "\n".join(lines) + "\n"


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """A command and those below it; a group that does nothing by itself is left out."""
    below = getattr(command, "commands", {})
    if not below or command.invoke_without_command:
        yield path, command
    for name in sorted(below):
        yield from _walk(f"{path} {name}", below[name])


def _command(path: str, command: Any) -> list[str]:
    arguments = " ".join(
        _bracketed(each) for each in command.params if each.param_type_name == "argument"
    )
    context = command.make_context(path, [], resilient_parsing=True)
    rows = [_row(each, context) for each in command.params if not _is_known(each)]
    table = ["", "| | |", "|---|---|", *rows] if rows else []
    return [f"### `{f'{path} {arguments}'.strip()}`", "", *_help(command.help or ""), *table]


def _bracketed(argument: Any) -> str:
    name = (argument.metavar or argument.name.upper()).strip("[]")
    return name if argument.required else f"[{name}]"


def _is_known(parameter: Any) -> bool:
    return parameter.opts[0] in _EVERYWHERE or getattr(parameter, "hidden", False)


def _row(parameter: Any, context: Any) -> str:
    if parameter.param_type_name == "argument":
        name = _bracketed(parameter)
    else:
        value = parameter.metavar or parameter.display_type(context).strip("<>").split()[0].upper()
        value = "" if parameter.is_flag else f" {value}"
        name = ", ".join([*parameter.opts, *parameter.secondary_opts]) + value
    told = Text.from_markup(parameter.help or "").plain.replace("|", "\\|")
    default = parameter.default
    if isinstance(default, str | int | float | Path) and not isinstance(default, bool):
        told += f" Default: `{default}`."
    return f"| `{name}` | {told} |"


def _help(text: str) -> list[str]:
    """A help text as Markdown; the lines under its heading *Example* become a code block."""
    plain = Text.from_markup(inspect.cleandoc(text)).plain
    told, _, example = plain.partition("\nExample")
    lines = [line.rstrip() for line in told.strip().splitlines()]
    shown = [line.strip() for line in example.lstrip("s:").splitlines() if line.strip()]
    return [*lines, *(["", "```sh", *shown, "```"] if shown else [])]


def settings() -> str:
    """The page of all settings: name, variable, default, meaning."""
    lines = [
        "# Settings",
        "",
        "Written by `make docs` from `src/nenrin/core/settings.py`. Each is an environment variable; a",
        "command's own option, where it has one, wins.",
        "",
        "| variable | default | |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = "the machine's" if field.default_factory else f"`{field.default}`"
        shown = "" if field.default in (None, "") and not field.default_factory else default
        lines.append(f"| `NENRIN_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


PAGES = {"commands.md": commands, "settings.md": settings}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (DOCS / page).write_text(write(), encoding="utf-8")
