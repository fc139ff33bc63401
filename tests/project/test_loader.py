"""Reading a project file: what it raises is told with its line."""

from __future__ import annotations

from pathlib import Path

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
