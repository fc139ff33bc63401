"""What goes wrong in a project: each is told by what, where and what to do; done, the command passes."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.journeys.shell import CHURN, Done, Shell, customers

ROWS = 600


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    customers(ROWS).write_csv(tmp_path / "customers.csv")
    (tmp_path / "project.py").write_text(CHURN)
    return Shell(tmp_path, {"NENRIN_WORKERS": "0"})


@dataclass(frozen=True)
class Broken:
    """A mistake: ``right`` of the sound project reads ``wrong``; what the command then says.

    ``at`` is a text of the line that is to be named, the first line that has it.
    """

    name: str
    right: str
    wrong: str
    at: str
    code: int
    says: str
    do: str


BOOSTED = CHURN.replace(
    "import numpy as np", "import numpy as np\nfrom lightgbm import LGBMClassifier"
)
BOOSTED = BOOSTED.replace(
    "Logistic(rows.numpy(), rows.y)", "LGBMClassifier(n_estimators=9).fit(rows.pandas(), rows.y)"
)

STEPS = """
@nr.step
def sums(shares):
    return shares

@nr.step
def shares({reads}):
    return 1
"""

BROKEN = [
    Broken(
        "a syntax error",
        right='drop=["refund_reason", "signed_up", "value"])',
        wrong='drop=["refund_reason", "signed_up", "value"]',
        at="@nr.model(",
        code=2,
        says="the project file is no Python: '(' was never closed",
        do="mend the line",
    ),
    Broken(
        "an exit in the project file",
        right="import nenrin as nr",
        wrong="import nenrin as nr, sys\nsys.exit(4)",
        at="sys.exit(4)",
        code=2,
        says="the project file raises SystemExit: 4",
        do="mend the line",
    ),
    Broken(
        "an exit in a model function",
        right="rows.numpy()",
        wrong="exit('no numbers')",
        at="exit('no numbers')",
        code=10,
        says="churned raised SystemExit: no numbers",
        do="see the line",
    ),
    Broken(
        "a label column that is not there",
        right="label=customers.churned",
        wrong="label=customers.churn",
        at="@nr.model(",
        code=2,
        says="the label customers.churn == 'Yes' names a column that customers does not have",
        do="did you mean churned?",
    ),
    Broken(
        "a key that is not there",
        right='key="customer_id"',
        wrong='key="customerid"',
        at="customers = nr.file(",
        code=3,
        says="dataset customers has no column customerid, which key= names",
        do="did you mean customer_id?",
    ),
    Broken(
        "a metric of another task",
        right='metric="log_loss"',
        wrong='metric="rmse"',
        at="@nr.model(",
        code=2,
        says="metric='rmse' does not fit a binary model",
        do="one of log_loss, brier, roc_auc",
    ),
    Broken(
        "steps that wait for each other",
        right=STEPS.format(reads="customers"),
        wrong=STEPS.format(reads="sums"),
        at="@nr.step",
        code=2,
        says="the steps sums -> shares -> sums read each other in a circle",
        do="remove one parameter",
    ),
    Broken(
        "a label that never comes",
        right='churned == "Yes"',
        wrong='churned == "yes"',
        at="@nr.model(",
        code=2,
        says="the label customers.churned == 'yes' is false in every row",
        do="customers.churned holds 'No', 'Yes': compare with one of them",
    ),
    Broken(
        "a model function that raises",
        right="rows.numpy()",
        wrong="rows.nunpy()",
        at="rows.nunpy()",
        code=10,
        says="churned raised AttributeError: 'Rows' object has no attribute 'nunpy'",
        do="see the line",
    ),
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name.replace(" ", "_"))
def test_it_is_told_and_mended(shell: Shell, broken: Broken) -> None:
    sound = CHURN if broken.right in CHURN else CHURN + broken.right
    shell.project.write_text(sound.replace(broken.right, broken.wrong))
    _told(shell, shell.here("run", code=broken.code), says=broken.says, at=broken.at, do=broken.do)
    shell.project.write_text(sound)
    assert "beats the baseline" in shell.here("run").out


def test_an_error_in_json_is_the_same_in_one_shape(shell: Shell) -> None:
    shell.project.write_text(CHURN.replace("log_loss", "rmse"))
    error = shell.here("run", "--json", code=2).json["error"]
    assert error["code"] == "project"
    assert error["where"] == f"{shell.project}:{_line(shell, '@nr.model(')}"
    assert set(error) == {"code", "message", "where", "hint"}


def test_what_a_project_file_prints_is_printed_once_by_a_plan(shell: Shell) -> None:
    shell.project.write_text(CHURN + "\nprint('hello from the file')\n")
    done = shell.here("plan")
    assert (done.out + done.err).count("hello from the file") == 1


def test_an_empty_load(shell: Shell) -> None:
    table = shell.folder / "customers.csv"
    rows = table.read_text()
    table.write_text(rows.splitlines()[0] + "\n")
    done = shell.here("run", code=3)
    _told(
        shell, done, says="has no rows", at="customers = nr.file(", do="see what its source gives"
    )
    table.write_text(rows)
    shell.here("run")


def test_a_library_that_is_not_installed(
    shell: Shell, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Python is made to believe so; what the message says to install is there when it may be seen."""
    shell.project.write_text(BOOSTED)
    hiding = tmp_path_factory.mktemp("hiding")
    (hiding / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'lightgbm':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    done = shell("run", code=8, PYTHONPATH=str(hiding))
    at = "from lightgbm import"
    _told(shell, done, says="lightgbm is not installed", at=at, do='pip install "nenrin[lightgbm]"')
    shell("run")


def test_a_worker_that_is_killed_inside_the_fit(shell: Shell) -> None:
    """LightGBM ends the process when it is given a polars frame with texts."""
    shell.project.write_text(BOOSTED.replace("rows.pandas()", "rows.X"))
    done = shell("run", code=10, NENRIN_WORKERS="1")
    at = ".fit(rows.X"
    _told(shell, done, says="train:history was ended by SIGABRT", at=at, do="fit on rows.pandas()")
    shell.project.write_text(BOOSTED)
    shell("run", NENRIN_WORKERS="1")


def test_a_port_in_use(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = shell("up", "--port", str(port), code=5)
        assert f"error: port {port} of 127.0.0.1 is in use" in done.err
        assert f"where: 127.0.0.1:{port}" in done.err
        [other] = re.findall(r"do this: nenrin up --port (\d+)", done.err)
        with shell.up("--port", other) as up:
            assert up.url == f"http://127.0.0.1:{other}"


def _told(shell: Shell, done: Done, *, says: str, at: str, do: str) -> None:
    """The error's three lines; the place is a line of the user's own file."""
    told = done.err[done.err.index("error: ") :]
    assert says in told
    assert f"where: {shell.project}:{_line(shell, at)}\n" in told
    assert f"do this: {do}" in told or do in told.partition("do this: ")[2]
    assert ".nenrin" not in told


def _line(shell: Shell, at: str) -> int:
    lines = shell.project.read_text().splitlines()
    return next(number for number, text in enumerate(lines, 1) if at in text)
