"""Making room: nothing that is needed goes, and what went is made again by itself."""

from __future__ import annotations

import os
from pathlib import Path

from nenrin.core.settings import Settings
from nenrin.platform import Platform
from tests.journeys.shell import CHURN, Shell, customers

STEPS = """

@nr.step
def numbers():
    return list(range(20000))


@nr.step
def total(numbers):
    return sum(numbers)
"""


def _age(folder: Path) -> None:
    """As if everything had been written two hours ago."""
    for path in (folder / ".nenrin" / "store").rglob("*"):
        if path.is_file():
            at = path.stat().st_mtime - 7200
            os.utime(path, (at, at))


def test_a_folder_that_was_pruned_works_as_before(tmp_path: Path) -> None:
    customers(300).write_csv(tmp_path / "customers.csv")
    project = tmp_path / "project.py"
    project.write_text(CHURN + STEPS)
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    first = shell.here("run", "--json").json
    project.write_text((CHURN + STEPS).replace("range(20000)", "range(30000)"))
    shell.here("run")
    _age(tmp_path)
    with Platform.open(Settings.read(folder=tmp_path)) as platform:
        before = set(platform.store.digests())
    said = shell.here("prune", "--budget", "1kB", "--dry-run", "--json").json
    assert said["results"] > 2
    assert said["blobs"] > 0
    assert said["over"] > 0
    with Platform.open(Settings.read(folder=tmp_path)) as platform:
        assert set(platform.store.digests()) == before
    assert shell.here("prune", "--budget", "1kB", "--json").json == said
    with Platform.open(Settings.read(folder=tmp_path)) as platform:
        assert len(set(platform.store.digests())) == said["kept_blobs"]
        (event,) = platform.units.find("dev", kind="content.pruned")
        assert event.body["blobs"] == said["blobs"]
    assert "holds" in shell.here("audit", "verify").out
    assert shell.here("doctor", "--json").json
    again = shell.here("run", "--json").json
    assert again["ran"] == []  # the newest result of each step is not a result to let go of
    project.write_text(CHURN + STEPS)
    back = shell.here("run", "--json").json
    assert back["ran"] == ["numbers", "total"]
    assert back["steps"] == first["steps"]


def test_ages_and_sizes_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(CHURN)
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    assert "'5 apples' is not a size" in shell.here("prune", "--budget", "5 apples", code=2).err
    assert "'old' is not a duration" in shell.here("prune", "--keep", "old", code=2).err


def test_an_old_result_that_was_damaged_is_only_a_result(tmp_path: Path) -> None:
    project = tmp_path / "project.py"
    project.write_text("import nenrin as nr\n" + STEPS)
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    shell.here("run")
    with Platform.open(Settings.read(folder=tmp_path)) as platform:
        newest = platform.projects._replay.engine("dev").newest("total")
        assert newest is not None
        old = platform.store.file(newest.output)
    project.write_text("import nenrin as nr\n" + STEPS.replace("range(20000)", "range(9)"))
    shell.here("run")
    old.chmod(0o644)
    old.write_text("damaged")
    _age(tmp_path)
    assert shell.here("prune", "--budget", "1kB", "--json").json["results"] == 2
    project.write_text("import nenrin as nr\n" + STEPS)
    assert shell.here("run", "--json").json["steps"]["total"] == "199990000"
