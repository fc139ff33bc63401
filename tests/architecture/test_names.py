"""Names say what is inside; nothing that is kept names a machine or an address of a download."""

from __future__ import annotations

import re
import tomllib

from tests.architecture import sources

EMPTY_NAMES = re.compile(r"^(utils?|helpers?|common|misc|manager|base_.*)$")
MACHINE = re.compile(r"(^|[^a-zA-Z0-9._~-])/(work|farm|root|home/[a-z]+|Users/[a-z]+)/[a-zA-Z._]")
PIN = re.compile(r"[a-z0-9]+([-.][a-z0-9]+)*==[0-9][0-9a-z.+!]*")


def _canonical(requirement: str) -> str:
    return re.split(r"[<>=!~\[; ]", requirement)[0].lower().replace("_", "-")


def test_no_file_has_a_name_that_says_nothing() -> None:
    everywhere = [*sources.SOURCE.rglob("*"), *(sources.ROOT / "tests").rglob("*")]
    assert [sources.name(path) for path in everywhere if EMPTY_NAMES.match(path.stem)] == []


def test_no_path_of_a_machine_is_kept() -> None:
    found = []
    for path in sources.texts():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{sources.name(path)}:{number}"
            for number, line in enumerate(lines, 1)
            if MACHINE.search(line) and "MACHINE = " not in line
        ]
    assert found == []


def test_constraints_are_plain_pins_of_all_that_is_declared() -> None:
    lines = (sources.ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not PIN.fullmatch(line)] == []
    assert lines == sorted(lines, key=lambda line: line.split("==")[0])
    pinned = {line.split("==")[0] for line in lines}
    project = tomllib.loads((sources.ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    declared = [*project["dependencies"], *(each for extra in extras for each in extra)]
    assert {_canonical(each) for each in declared} - pinned - {"nenrin"} == set()


def test_every_room_says_what_it_is() -> None:
    for room in sources.rooms():
        text = (sources.SOURCE / room / "__init__.py").read_text()
        assert re.match(r'"""\w.{8,}', text), room


def test_tests_lie_where_their_subject_lies() -> None:
    outside = {"architecture", "journeys", "contracts", "upgrade", "docs"}
    folders = {
        path.name
        for path in (sources.ROOT / "tests").iterdir()
        if path.is_dir() and path.name != "__pycache__"
    }
    assert folders - outside - set(sources.rooms()) == set()
