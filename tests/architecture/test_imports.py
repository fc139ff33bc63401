"""Who may import whom, and what may not be imported when nenrin starts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture import sources

# These two load names when they are used.
LAZY = {sources.SOURCE / "__init__.py", sources.SOURCE / "cli" / "app.py"}
HELP = """
from contextlib import redirect_stdout, suppress
from nenrin.cli.app import main
sys.argv = ["nenrin", "--help"]
with suppress(SystemExit), redirect_stdout(io.StringIO()):
    main()
"""


def test_the_contracts_of_pyproject_hold() -> None:
    # In a process of its own: the linter's logging set-up disables every logger that exists.
    program = (
        "import sys\n"
        "from importlinter.cli import lint_imports\n"
        'sys.exit(lint_imports(config_filename="pyproject.toml", no_cache=True))'
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=sources.ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_module_imports_the_package_itself() -> None:
    found = [
        f"{sources.name(path)}:{line}"
        for path in sources.modules()
        for line, module in sources.imported(sources.tree(path))
        if module == "nenrin"
    ]
    assert found == []


def test_our_own_code_is_imported_at_the_top() -> None:
    found = [
        f"{sources.name(path)}:{line}"
        for path in sources.modules()
        if path not in LAZY
        for function in sources.functions(path)
        for line, module in sources.imported(function)
        if module.startswith("nenrin")
    ]
    assert found == []


def test_nothing_is_imported_relatively() -> None:
    found = [
        f"{sources.name(path)}:{line}"
        for path in sources.modules()
        for line, module in sources.imported(sources.tree(path))
        if module == "."
    ]
    assert found == []


def _loaded_by(statement: str) -> set[str]:
    program = f"import io, sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return {module.split(".")[0] for module in done.stdout.split()}


@pytest.mark.parametrize(
    "statement",
    ["import nenrin", HELP, "import nenrin.cli.app, nenrin.cli.deployments"],
    ids=["import nenrin", "nenrin --help", "a client"],
)
def test_starting_imports_nothing_heavy(statement: str) -> None:
    heavy = {
        "alembic", "fastapi", "lightgbm", "numpy", "optuna", "pandas", "polars", "pyarrow",
        "pydantic", "scipy", "sklearn", "sqlalchemy", "starlette",
    }  # fmt: skip
    assert _loaded_by(statement) & heavy == set()
