"""What must make a step run again, and what must not: one change at a time, through the command line."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nenrin.core.settings import Settings
from nenrin.platform import Platform
from tests.journeys.shell import Shell

PROJECT = """
import functools
import os
from pathlib import Path

import nenrin as nr
from shapes import Circle, scaled, traced

RATE = 2
rows = nr.file("rows.csv", key="id")


def counted(factor):
    def count(value):
        return value * factor
    return count


count = counted(3)
thrice = functools.partial(scaled, by=3)


def padded(value, by=1):
    return value + by


@nr.step
def body():
    return 1


@nr.step
def helper():
    return scaled(2, by=2)


@nr.step
def constant():
    return RATE


@nr.step
def closure():
    return count(2)


@nr.step
def default():
    return padded(1)


@nr.step
def attribute():
    return Circle.sides


@nr.step
def inherited():
    return Circle().area()


@nr.step
def decorated():
    return traced(2)


@nr.step
def partial():
    return thrice(2)


@nr.step
def reads(rows):
    return int(rows["value"].sum())


@nr.step(files=["words.txt"])
def declared():
    return Path("words.txt").read_text()


@nr.step(env=["COLOUR"])
def coloured():
    return os.environ.get("COLOUR", "")


@nr.step
def below(body):
    return 0 * body


@nr.step
def last(below):
    return below
"""
SHAPES = """
def loud(function):
    def called(value):
        return function(value) + 0
    return called


def scaled(value, by=1):
    return value * by


@loud
def traced(value):
    return value


class Shape:
    sides = 0

    def area(self):
        return 7


class Circle(Shape):
    sides = 1
"""
ROWS = "id,value\n" + "".join(f"r{n},{n}\n" for n in range(20))


@dataclass(frozen=True)
class Change:
    """In ``file``, ``old`` becomes ``new``; the steps that must run, and what is said of the first."""

    file: str
    old: str
    new: str
    ran: tuple[str, ...] = ()
    said: str = ""
    variables: dict[str, str] = field(default_factory=dict)


CHANGES = {
    "the body, whose output then cuts off what is below": Change(
        *("project.py", "return 1\n", "return 2\n", ("body", "below")),
        "function body, project.py:29: return 1 -> return 2",
    ),
    "a comment": Change("project.py", "RATE = 2", "RATE = 2  # a half of four"),
    "a comment in a helper": Change(
        "shapes.py", "    return value\n", "    # as it is\n    return value\n"
    ),
    "empty lines": Change("project.py", "\n\n@nr.step\ndef body", "\n\n\n\n@nr.step\ndef body"),
    "line ends": Change("shapes.py", "\n", "\r\n"),
    "a function that nothing reaches": Change(
        "shapes.py", "class Shape", "def idle():\n    return 1\n\n\nclass Shape"
    ),
    "a helper in another module": Change(
        *("shapes.py", "return value * by", "return value * by + 0", ("helper", "partial")),
        "function scaled, shapes.py:9",
    ),
    "a module constant": Change(
        "project.py", "RATE = 2", "RATE = 3", ("constant",), "constant RATE"
    ),
    "a value closed over": Change(
        "project.py", "counted(3)", "counted(4)", ("closure",), "closure"
    ),
    "a default argument": Change(
        "project.py",
        "by=1):\n    return value + by",
        "by=2):\n    return value + by",
        ("default",),
        "project.py",
    ),
    "an attribute of a class": Change(
        "shapes.py",
        "sides = 1",
        "sides = 2",
        ("attribute", "inherited"),
        "shapes.py:25: sides = 1 -> sides = 2",
    ),
    "an inherited method": Change(
        "shapes.py", "return 7", "return 8", ("attribute", "inherited"), "return 7 -> return 8"
    ),
    "a decorator": Change("shapes.py", "+ 0", "+ 1", ("decorated",), "function(value) + 0"),
    "a partial": Change("project.py", "scaled, by=3", "scaled, by=5", ("partial",), "thrice"),
    "one row of the input": Change("rows.csv", "r7,7\n", "r7,8\n", ("reads",), "changed: rows"),
    "the input written anew, with equal bytes": Change("rows.csv", "r7,7\n", "r7,7\n"),
    "a declared file": Change("words.txt", "old", "new", ("declared",), "file words.txt"),
    "a declared file written anew, with equal bytes": Change("words.txt", "old", "old"),
    "a file that nothing declares": Change("notes.txt", "old", "new"),
    "a declared variable": Change(
        "notes.txt", "old", "old", ("coloured",), "variable COLOUR", {"COLOUR": "red"}
    ),
    "a variable that nothing declares": Change(
        "notes.txt", "old", "old", variables={"SHAPE": "round"}
    ),
}


def _run(folder: Path, **variables: str) -> dict[str, Any]:
    done = Shell(folder, {"NENRIN_WORKERS": "0"}).here("run", "--json", **variables)
    found: dict[str, Any] = json.loads(done.out)
    return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything has been run once."""
    folder = tmp_path_factory.mktemp("mutations")
    for name, text in (("project.py", PROJECT), ("shapes.py", SHAPES), ("rows.csv", ROWS)):
        (folder / name).write_text(text)
    (folder / "words.txt").write_text("old")
    (folder / "notes.txt").write_text("old")
    assert len(_run(folder)["ran"]) == 14
    return folder


@pytest.fixture
def folder(ran: Path, tmp_path: Path) -> Iterator[Path]:
    copy = tmp_path / "copy"
    shutil.copytree(ran, copy)
    yield copy
    shutil.rmtree(copy)


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_runs_what_it_must_and_nothing_else(folder: Path, what: str) -> None:
    change = CHANGES[what]
    file = folder / change.file
    data = file.read_bytes()
    assert change.old.encode() in data
    file.write_bytes(data.replace(change.old.encode(), change.new.encode()))
    done = _run(folder, **change.variables)
    assert tuple(done["ran"]) == change.ran
    assert change.said in (done["why"][change.ran[0]] if change.ran else "")
    assert _run(folder, **change.variables)["ran"] == []


def test_a_stored_output_that_is_gone_is_made_again_and_said(folder: Path) -> None:
    settings = Settings.read(folder=folder)
    with Platform.open(settings) as platform:
        newest = platform.projects._replay.engine("dev").newest("helper")
        assert newest is not None
        platform.store.file(newest.output).unlink()
    done = _run(folder)
    assert done["ran"] == ["helper"]
    assert done["why"] == {"helper": "its stored output is gone"}
    assert _run(folder)["ran"] == []


@pytest.mark.parametrize(
    ("option", "again", "said"),
    [
        ("cache=False", ["last"], "declared with cache=False"),
        ('cache="1d"', [], ""),
        ('cache="1s"', ["last"], "what is remembered is too old"),
    ],
)
def test_how_long_an_output_is_good_is_declared(
    folder: Path, option: str, again: list[str], said: str
) -> None:
    text = PROJECT.replace("@nr.step\ndef last", f"@nr.step({option})\ndef last")
    (folder / "project.py").write_text(text)
    _run(folder)
    time.sleep(1.1)
    done = _run(folder)
    assert done["ran"] == again
    assert done["why"].get("last", "") == said


def test_a_key_that_cannot_be_computed_is_said_and_nothing_is_cached(folder: Path) -> None:
    text = PROJECT.replace("RATE = 2", "RATE = (n for n in [1])")
    text = text.replace("return RATE", "return RATE is None")
    (folder / "project.py").write_text(text)
    for _ in range(2):
        done = _run(folder)
        assert done["ran"] == ["constant"]
        assert "cannot be cached" in done["why"]["constant"]
        assert "RATE" in done["why"]["constant"]


def test_an_undeclared_read_is_told(folder: Path) -> None:
    outside = folder.parent / "outside.txt"
    outside.write_text("out of sight")
    reading = f'return len(Path("{outside}").read_text())\n'
    (folder / "project.py").write_text(PROJECT.replace("return 1\n", reading))
    (note,) = _run(folder)["notes"]
    assert f"step body read {outside}, which it does not declare" in note


MAPPED = """
import nenrin as nr
from shape import Box, Rate, opened


@nr.step
def numbers():
    return [1, 2, 3]


@nr.map("numbers")
def boxed(numbers):
    print("boxes", numbers)
    return Box(numbers)


@nr.step
def total(boxed):
    return sum(box.size() for box in boxed)


@nr.step
def rated():
    with opened(2) as rate:
        return rate.value
"""
SHAPE = """
import contextlib
import dataclasses


class Box:
    def __init__(self, number):
        self.number = number

    def __repr__(self):
        return f"Box({self.number})"

    def size(self):
        return self.number * 1


@dataclasses.dataclass
class Rate:
    value: int = 0


@contextlib.contextmanager
def opened(value):
    yield Rate(value)
"""


def test_what_elements_of_a_map_can_do_decides_what_reads_them(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(MAPPED)
    (tmp_path / "shape.py").write_text(SHAPE)
    assert _run(tmp_path)["steps"]["total"] == "6"
    done = _run(tmp_path)
    assert (done["ran"], done["why"]) == (
        [],
        {},
    )  # dataclasses and wrappers in helpers are followed
    (tmp_path / "shape.py").write_text(SHAPE.replace("* 1", "* 100"))
    assert _run(tmp_path)["steps"]["total"] == "600"
    (tmp_path / "shape.py").write_text(SHAPE.replace("yield Rate(value)", "yield Rate(value + 1)"))
    done = _run(tmp_path)
    assert done["steps"]["rated"] == "3"
    assert "yield Rate(value + 1)" in done["why"]["rated"]


def test_the_logs_of_a_map_are_those_of_its_elements(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(MAPPED)
    (tmp_path / "shape.py").write_text(SHAPE)
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "1"})
    shell("run")
    told = shell.here("logs", "boxed").out
    assert all(f"boxes {number}" in told for number in (1, 2, 3))
    assert told.count("boxed[") == 3
