"""Steps of one's own through the command line: what runs, what is taken from before, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.shell import Shell

IN_PROCESS = {"NENRIN_WORKERS": "0"}

PROJECT = """
import os
from pathlib import Path

import nenrin as nr

CALLS = Path(__file__).parents[3] / "calls"


def note(name):
    CALLS.mkdir(exist_ok=True)
    (CALLS / f"{len(list(CALLS.iterdir())):03} {name}").touch()


@nr.dataset(key="shop")
def sales():
    return {"shop": ["a", "b", "c"], "sold": [1, 2, 3]}


@nr.step
def shops(sales):
    note("shops")
    return sorted(sales["shop"])


@nr.map("shops")
def doubled(shops, sales):
    note(f"doubled {shops}")
    return shops, 2 * sales.filter(sales["shop"] == shops)["sold"].item()


@nr.step(env=["RATE"])
def total(doubled):
    note("total")
    return sum(sold for _, sold in doubled) * float(os.environ.get("RATE", "1"))


@nr.step(cache=False)
def always(total):
    note("always")
    return total
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "project.py").write_text(PROJECT)
    return Shell(tmp_path, IN_PROCESS)


def run(shell: Shell, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Run the project: what it says, and the calls that were made."""
    calls = folder / "calls"
    for call in calls.iterdir() if calls.is_dir() else ():
        call.unlink()
    done = json.loads(shell.here("run", "--json").out)
    return done, sorted(call.name[4:] for call in calls.iterdir())


def test_what_has_been_done_is_not_done_again(shell: Shell, tmp_path: Path) -> None:
    done, calls = run(shell, tmp_path)
    assert calls == ["always", "doubled a", "doubled b", "doubled c", "shops", "total"]
    assert done["steps"]["total"] == "12.0"
    assert done["steps"]["doubled"] == "[('a', 2), ('b', 4), ('c', 6)]"
    done, calls = run(shell, tmp_path)
    assert calls == ["always"]
    assert done["ran"] == ["always"]
    assert done["why"] == {"always": "declared with cache=False"}
    planned = {
        node["name"]: (node["does"], node["why"])
        for node in json.loads(shell.here("plan", "--json").out)["steps"]
    }
    assert planned["total"] == ("kept", "same code, parameters and inputs")
    assert planned["always"] == ("runs", "declared with cache=False")


def test_a_step_that_raises_names_its_line_and_the_rest_is_kept(
    shell: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "project.py"
    file.write_text(PROJECT.replace('note("total")', 'raise ValueError("no total")'))
    failed = shell.here("run", code=10)
    assert "step total raised ValueError: no total" in failed.err
    line = next(n for n, text in enumerate(file.read_text().split("\n"), 1) if "no total" in text)
    assert f"project.py:{line}" in failed.err


HELPERS = """
RATE = 2


def scale(number):
    return number * RATE


def unused(number):
    return number


class Added:
    def to(self, number):
        return number + 1
"""
READING = """
from pathlib import Path

import helpers
import nenrin as nr

OUTSIDE = str(Path(__file__).parents[3] / "outside.txt")


@nr.step
def numbers():
    return [1, 2]


@nr.step
def scaled(numbers):
    return [helpers.scale(number) for number in numbers]


@nr.step
def added(numbers):
    return helpers.Added()


@nr.step
def out(added, scaled):
    return [added.to(number) for number in scaled]


@nr.step
def outside():
    with open(OUTSIDE) as file:
        return file.read()
"""


def test_the_line_that_changed_is_named_and_only_what_reads_it_runs(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(READING)
    (tmp_path / "helpers.py").write_text(HELPERS)
    (tmp_path / "outside.txt").write_text("out of sight")
    shell = Shell(tmp_path, IN_PROCESS)

    def ran() -> tuple[list[str], dict[str, str]]:
        done = json.loads(shell.here("run", "--json").out)
        return done["ran"], done["why"]

    done = json.loads(shell.here("run", "--json").out)
    assert done["steps"]["out"] == "[3, 5]"
    (note,) = done["notes"]
    assert "step outside read" in note
    assert "outside.txt, which it does not declare" in note
    helpers = tmp_path / "helpers.py"
    helpers.write_text("# a comment\n" + HELPERS.replace("return number\n", "return -number\n"))
    assert ran()[0] == []
    helpers.write_text(HELPERS.replace("RATE = 2", "RATE = 3"))
    names, why = ran()
    assert names == ["scaled", "out"]
    assert "RATE" in why["scaled"]
    helpers.write_text(HELPERS.replace("RATE = 2", "RATE = 3").replace("* RATE", "* RATE + 1"))
    names, why = ran()
    assert names == ["scaled", "out"]
    assert "helpers.py:6: return number * RATE -> return number * RATE + 1" in why["scaled"]
    helpers.write_text(helpers.read_text().replace("number + 1\n", "number + 2\n"))
    assert "out" in ran()[0]  # a value of a class that behaves otherwise is another value


def test_what_a_step_wrote_is_kept(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "project.py"
    file.write_text(PROJECT.replace('note("total")', 'print("half way"); raise ValueError("no")'))
    shell("run", code=10, NENRIN_WORKERS="1")
    (log,) = (tmp_path / ".nenrin" / "logs").rglob("total.1.log")
    own, _, whole = log.read_text().partition("Whole traceback:")
    assert own.startswith("half way\nIn the project's own code")
    assert "ValueError: no" in own
    assert "run_step" not in own
    assert "own_steps.py" in whole
    log.write_text("half way")
    assert shell.here("logs", "total").out == "half way\n"
    assert "no step 'base' has written" in shell.here("logs", "base", code=4).err
