"""Reading a project file: what it raises is told with its line."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from nenrin.core.errors import ProjectError
from nenrin.project.loader import load_project, one_reading


@pytest.mark.parametrize(
    "line", ["sys.exit(4)", "raise SystemExit", "exit('no key')", "1 / 0", "nr.every('banana')"]
)
def test_the_line_that_raises_or_exits_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "project.py"
    file.write_text(f"import sys\nimport nenrin as nr\n{line}\n")
    with pytest.raises(ProjectError) as raised:
        load_project(tmp_path)
    assert raised.value.where == f"{file}:3"


def test_an_exit_in_another_module_is_named_there(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text("import leaves_at_once\n")
    module = tmp_path / "leaves_at_once.py"
    module.write_text("import sys\n\nsys.exit('no key')\n")
    with pytest.raises(ProjectError, match="raises SystemExit: no key") as raised:
        load_project(tmp_path)
    assert raised.value.where == f"{module}:3"


def test_one_reading_imports_a_file_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "project.py").write_text("print('read')\n")
    with one_reading():
        first = load_project(tmp_path)
        with one_reading():
            assert load_project(tmp_path) is first
        assert load_project(tmp_path) is first
    assert capsys.readouterr().out == "read\n"
    assert load_project(tmp_path) is not first
    assert capsys.readouterr().out == "read\n"


def test_helpers_are_imported_as_they_are_now(tmp_path: Path) -> None:
    """Those of an edit before, and of another project, are forgotten; what is installed below is kept."""
    installed = ModuleType("installed_below")
    installed.__file__ = str(tmp_path / "one" / ".venv" / "site-packages" / "installed_below.py")
    sys.modules["installed_below"] = installed
    for folder, rate in (("one", 1), ("one", 2), ("other", 3)):
        helper = tmp_path / folder / "shop_tools" / "rates.py"
        helper.parent.mkdir(parents=True, exist_ok=True)
        helper.write_text(f"RATE = {rate}\n")
        (tmp_path / folder / "project.py").write_text("from shop_tools.rates import RATE\n")
        assert rate == load_project(tmp_path / folder).module.RATE
    assert sys.modules.pop("installed_below") is installed
