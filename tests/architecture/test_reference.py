"""Every command and setting is documented, in the words of the code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from nenrin.core import errors
from nenrin.core.settings import Settings
from tests.architecture import sources

sys.path.insert(0, str(sources.ROOT / "tools"))
import reference  # the script of `make docs`


@pytest.mark.parametrize("page", reference.PAGES)
def test_the_page_is_what_the_code_says(page: str) -> None:
    written = (reference.DOCS / page).read_text(encoding="utf-8")
    assert written == reference.PAGES[page](), "write it anew: make docs"


def _commands() -> Iterator[tuple[str, Any]]:
    for name in reference.COMMANDS:
        yield from reference._walk(f"nenrin {name}", reference.load(name))


def test_every_command_shows_an_example_of_itself() -> None:
    for path, command in _commands():
        shown = "\n".join(reference._help(command.help or ""))
        assert re.search(rf"^{path}( |$)", shown, re.MULTILINE), path


def test_every_parameter_says_what_it_is() -> None:
    silent = [
        f"{path} {parameter.opts[0]}"
        for path, command in _commands()
        for parameter in command.params
        if not (parameter.help or "").strip()
    ]
    assert silent == []


def test_every_command_can_print_json() -> None:
    without = [
        path
        for path, command in _commands()
        if "--json" not in [each for parameter in command.params for each in parameter.opts]
    ]
    assert without == []


def test_every_setting_says_what_it_is() -> None:
    silent = [name for name, field in Settings.model_fields.items() if not field.description]
    assert silent == []


def test_no_variable_of_the_environment_is_read_but_settings() -> None:
    known = {f"NENRIN_{name.upper()}" for name in Settings.model_fields} | {"NENRIN_"}
    for path in sources.modules():
        named = set(re.findall(r"NENRIN_[A-Z_]*", path.read_text("utf-8")))
        assert named <= known, sources.name(path)


def test_the_error_tree_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"[├└]── (\w+) .*?(\d{3}), exit (\d+)", errors.__doc__ or "")
    real = [
        (each.__name__, str(each.status), str(each.exit_code))
        for each in errors.NenrinError.__subclasses__()
        if each.__module__ == errors.__name__
    ]
    assert drawn == real
