"""Distributions behind imports: versions, what they need, and folders that are installed as they lie."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nenrin.pipelines.packages import Packages, installed
from tests.pipelines.projects import Written

PROJECT = "import nenrin as nr\nimport made_up\n@nr.step\ndef report(x): return made_up.part(x)\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages; what is imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.startswith("made_up")]:
        del sys.modules[name]


def install(site: Path, name: str, version: str, *, needs: str = "", **more: str) -> Path:
    info = next(iter(site.glob(f"{name}-*.dist-info")), site / f"{name}-{version}.dist-info")
    info.mkdir(exist_ok=True)
    required = f"Requires-Dist: {needs}\n" if needs else ""
    (info / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n{required}\nWords: 1\n")
    for file, text in more.items():
        (info / file.replace("__", ".")).write_text(text)
    return info


def module(folder: Path, name: str, text: str = "def part(x): return x\n") -> Path:
    path = folder / name / "__init__.py"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    return path


def test_the_version_counts(site: Path, written: Written) -> None:
    module(site, "made_up")
    install(site, "made_up", "1.0")
    before = written.code(PROJECT)
    install(site, "made_up", "1.1")
    after = written.code(PROJECT)
    assert before.parts["package made-up"] == "1.0"
    assert after.parts["package made-up"] == "1.1"
    assert {**before.parts, "package made-up": "1.1"} == after.parts


def test_the_version_of_another_package_does_not_count(site: Path, written: Written) -> None:
    module(site, "made_up")
    install(site, "made_up", "1.0")
    before = written.code(PROJECT)
    install(site, "made_up_other", "1.1")
    assert written.code(PROJECT) == before


def test_a_package_that_is_imported_within_a_function_counts(site: Path, written: Written) -> None:
    module(site, "made_up")
    install(site, "made_up", "1.0")
    inside = "import nenrin as nr\ndef report(x):\n    import made_up\n    return made_up.part(x)\n"
    assert written.code(inside).parts["package made-up"] == "1.0"


def test_what_a_package_needs_counts_without_its_extras(site: Path) -> None:
    module(site, "made_up")
    install(
        site, "made_up", "1.0", needs="made-up-deep>=2\nRequires-Dist: made-up-more; extra == 'x'"
    )
    install(site, "made_up_deep", "2.5")
    install(site, "made_up_more", "3.0")
    assert Packages().parts(["made_up", "os", "sys"]) == {
        "package made-up": "1.0",
        "package made-up-deep": "2.5",
    }


def test_a_distribution_is_found_by_its_files(site: Path) -> None:
    module(site, "made_up")
    install(site, "made_up_by_another_name", "4", RECORD="x.py,,\nmade_up/__init__.py,sha256=1,2\n")
    assert Packages().parts(["made_up"]) == {"package made-up-by-another-name": "4"}


def test_copies_within_a_package_are_not_installed(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray puts the folder of its copies on the path when it is imported."""
    module(site, "made_up")
    install(site, "made_up", "1.0", needs="made_up_needed")
    install(site, "made_up_needed", "2.0")
    before, parts = installed(), Packages().parts(["made_up"])
    copies = site / "made_up" / "copies"
    copies.mkdir()
    install(copies, "made_up_needed", "3.0")
    install(copies, "made_up_more", "1.0")
    monkeypatch.syspath_prepend(copies)
    assert "made-up-needed==2.0" in before
    assert (installed(), Packages().parts(["made_up"])) == (before, parts)


def test_nenrin_counts_by_its_version_alone() -> None:
    assert set(Packages().parts(["nenrin"])) == {"package nenrin"}


def editable(folder: Path) -> str:
    return json.dumps({"url": folder.as_uri(), "dir_info": {"editable": True}})


def test_an_editable_package_counts_by_its_files(
    site: Path, tmp_path: Path, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    file = module(source, "made_up")
    monkeypatch.syspath_prepend(source)
    install(site, "made_up", "1.0", direct_url__json=editable(source))
    before = written.code(PROJECT).parts
    file.write_text("# words\ndef part(x):\n\n    return x\n")
    assert written.code(PROJECT).parts == before
    file.write_text("def part(x): return -x\n")
    after = written.code(PROJECT).parts
    assert {name for name in after if after[name] != before.get(name)} == {
        "package made_up (editable)"
    }
    (source / "made_up" / "rates.json").write_text("{}")
    more = written.code(PROJECT).parts
    assert more["package made_up (editable)"] != after["package made_up (editable)"]
    (source / "made_up" / "__pycache__").mkdir(exist_ok=True)
    (source / "made_up" / "__pycache__" / "a.pyc").write_text("")
    assert written.code(PROJECT).parts == more


def test_a_copy_of_a_folder_counts_by_its_record(site: Path) -> None:
    module(site, "made_up")
    copied = json.dumps({"url": "file:///a", "dir_info": {}})
    install(
        site, "made_up", "1.0", direct_url__json=copied, RECORD="made_up/__init__.py,sha256=a,1\n"
    )
    before = Packages().parts(["made_up"])
    install(site, "made_up", "1.0", RECORD="made_up/__init__.py,sha256=b,1\n")
    assert Packages().parts(["made_up"]) != before
    assert set(before) == {"package made-up"}


def test_a_module_that_nobody_installed_counts_by_its_files(
    site: Path, tmp_path: Path, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    file = module(shared, "made_up", "import made_up_deep\ndef part(x): return x\n")
    monkeypatch.syspath_prepend(shared)
    module(site, "made_up_deep")
    install(site, "made_up_deep", "2.5")
    before = written.code(PROJECT).parts
    assert before["package made-up-deep"] == "2.5"
    file.write_text("import made_up_deep\ndef part(x): return -x\n")
    after = written.code(PROJECT).parts
    assert {name for name in after if after[name] != before.get(name)} == {
        "package made_up (not installed)"
    }


def test_what_is_not_there_has_no_part() -> None:
    assert Packages().parts(["made_up_nowhere"]) == {}
