"""The command line as a whole: its help, how fast it is there, and how it says what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from nenrin.cli import app as cli
from nenrin.core.errors import ProjectError
from tests.cli.running import Run

HEAVY = (
    "rich.markdown",
    "polars",
    "numpy",
    "fastapi",
    "alembic",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "pydantic",
)


def _leaves() -> list[tuple[str, Any]]:
    """Every command by its full name."""
    found = []
    for name in cli.COMMANDS:
        command = cli.load(name)
        children = getattr(command, "commands", {})
        if not children or name == "backtest":
            found.append((name, command))
        found += [(f"{name} {child}", each) for child, each in children.items()]
    return found


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['nenrin', '--help']\n"
        "from nenrin.cli.app import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        f"    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for name, entry in cli.COMMANDS.items():
        assert name in done.stdout
        assert entry.help in done.stdout


def test_importing_nenrin_imports_nothing_but_itself() -> None:
    code = "import sys, nenrin; print([m for m in sys.modules if m.startswith('nenrin')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['nenrin']"


def test_python_m_nenrin_is_nenrin() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nenrin", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("nenrin ")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_name_of_the_table_is_a_command(name: str) -> None:
    command = cli.load(name)
    assert command.name == name
    assert command.help


@pytest.mark.parametrize(("name", "command"), _leaves())
def test_every_command_has_an_example_json_and_help_of_every_option(
    name: str, command: Any
) -> None:
    assert f"nenrin {name}" in command.help.split("Example", 1)[1]
    options = {each for parameter in command.params for each in parameter.opts}
    assert "--json" in options
    assert all(parameter.help for parameter in command.params), name


def test_nenrin_alone_shows_its_commands(run: Run) -> None:
    done = run()
    assert done.code == 2
    assert "backtest" in done.out


def test_a_typing_error_finds_the_command(run: Run) -> None:
    done = run("statsu")
    assert done.code == 2
    assert "Did you mean 'status'" in done.err


def test_an_unknown_option_is_a_usage_error(run: Run) -> None:
    assert run("status", "--josn").code == 2


def test_without_a_project_file_it_says_how_to_begin(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run("-C", str(tmp_path / "empty"), "status")
    assert done.code == ProjectError.exit_code
    assert "there is no project.py here" in done.err
    assert "nenrin init" in done.err
    assert not (tmp_path / "empty" / ".nenrin").exists()


def test_a_folder_that_is_not_there(run: Run) -> None:
    done = run("-C", "nowhere", "status")
    assert done.code == 2
    assert "nowhere" in done.err


def test_an_error_says_what_where_and_what_to_do(run: Run) -> None:
    done = run("deployments", "promote", "delay", "version-1")
    assert done.code == 6
    assert done.err.splitlines() == [
        "error: the gate says no",
        "  where: delay",
        "  do this: see nenrin gates check",
    ]
    assert done.out == ""


def test_an_error_as_json_has_the_shape_of_the_api(run: Run) -> None:
    done = run("models", "show", "version-9", "--json")
    assert done.code == 4
    assert done.json["error"]["code"] == "not_found"
    assert done.err == ""


def test_markup_in_a_message_is_only_text(run: Run) -> None:
    run.platform.projects.error = ProjectError("no column [bold]x[/]", hint="write ['y']")
    done = run("plan")
    assert "no column [bold]x[/]" in done.err
    assert "write ['y']" in done.err


def test_nobody_is_shown_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nenrin.cli.session.connect", lambda settings, hold: 1 / 0)
    done = run("status")
    assert done.code == 1
    assert "ZeroDivisionError" in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in (run.folder / ".nenrin" / "nenrin.log").read_text()


def test_ctrl_c_is_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(settings: object, hold: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nenrin.cli.session.connect", interrupted)
    assert run("status").code == 130


def test_the_group_lists_every_command_of_the_table() -> None:
    assert list(get_command(cli.app).commands) == list(cli.COMMANDS)  # type: ignore[attr-defined]


def test_serve_is_up_for_who_starts_containers_so() -> None:
    group = get_command(cli.app)
    name, command, rest = group.resolve_command(
        group.make_context("nenrin", ["--help"], resilient_parsing=True), ["serve", "--port", "1"]
    )
    assert (name, command.name, rest) == ("up", "up", ["--port", "1"])
