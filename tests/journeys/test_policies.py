"""A backtest of several policies through the real command line: another deployment, its errors, sharing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.journeys.shell import Shell
from tests.journeys.small.growing import PROJECT, write

OTHER = """
from project import agree

import nenrin as nr

slow = nr.deployment(agree, recipes=[nr.history()], refresh=nr.every("14d", at="04:00"), serve="champion")
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "project.py").write_text(PROJECT)
    (tmp_path / "other.py").write_text(OTHER)
    write(tmp_path, 80)
    return Shell(tmp_path, {"NENRIN_WORKERS": "0"})


def test_policies_stand_side_by_side_and_share_what_they_can(shell: Shell) -> None:
    asked = ("--policy", "frozen", "--policy", "every 14d", "--policy", "other.py:slow", "--matrix")
    first = shell.here("backtest", "--from", "2024-02-15", *asked, "--json").json
    assert [policy["name"] for policy in first["policies"]] == [
        *("loop", "never", "every_14d", "other_slow", "hindsight")
    ]
    assert first["cost"]["fits_reused"] > 0  # the first fits are the same
    assert first["total"]["other_slow"]["fits"] >= 5
    assert first["cost"]["policies"]["loop"] > 0
    assert first["matrix"]["weeks"][0] == "2024-02-15"
    shown = shell.here("backtest", "--from", "2024-02-15", *asked).out
    assert "other.py:slow" in shown
    assert "trainings" in shown
    (shell.folder / "other.py").write_text(OTHER.replace("14d", "7d"))
    again = shell.here("backtest", "--from", "2024-02-15", *asked, "--json").json
    assert again["cost"]["fits"] == 0  # the changed policy fits what the loop fits
    assert again["total"]["loop"]["log_loss"] == first["total"]["loop"]["log_loss"]
    assert again["total"]["other_slow"]["fits"] > first["total"]["other_slow"]["fits"]
    page = (shell.folder / ".nenrin" / "reports" / f"{again['id']}.html").read_text()
    assert "other.py:slow" in page


def test_what_was_predicted_once_is_not_asked_again_and_changes_nothing(shell: Shell) -> None:
    asked = ("backtest", "--from", "2024-03-10", "--json", "--policy", "frozen")
    struck = shell.here(*asked, "--inject", "scrambled_fit:2024-03-10").json
    plain, again = shell.here(*asked).json, shell.here(*asked).json
    assert struck["cost"]["cpu"]["predict"] > 0
    assert again["cost"]["cpu"]["predict"] == 0  # only what is computed is counted
    assert again["predictions"] == plain["predictions"]
    alone = Shell(shell.folder / "alone", shell.variables)
    alone.folder.mkdir()
    for name in ("project.py", "other.py", "questions.parquet", "answers.parquet"):
        shutil.copy(shell.folder / name, alone.folder)
    clean = alone.here(*asked).json  # where no faulty fit was ever asked
    assert clean["ledger_head"] == plain["ledger_head"] == again["ledger_head"]
    assert struck["total"]["loop"]["log_loss"] > clean["total"]["loop"]["log_loss"]


@pytest.mark.parametrize(
    ("policy", "text", "said"),
    [
        ("gone.py:slow", "", "there is no gone.py beside project.py"),
        ("other.py:fast", OTHER, "declares no deployment 'fast'"),
        ("other.py:slow", "slow = (", "is no Python"),
        ("other.py:slow", PROJECT.replace("service", "slow"), "deploys another model than 'agree'"),
        ("weekly", "", "'weekly' is no policy"),
    ],
)
def test_what_is_wrong_with_a_policy_is_said(
    shell: Shell, policy: str, text: str, said: str
) -> None:
    (shell.folder / "other.py").write_text(text)
    done = shell.here("backtest", "--policy", policy, code=None)
    assert done.code
    assert said in (done.out + done.err).replace("\n", " ")


def test_a_fault_of_the_data_is_told_beside_the_same_window_undisturbed(shell: Shell) -> None:
    asked = (
        "--from",
        "2024-02-15",
        "--policy",
        "every 14d",
        "--inject",
        "sensor_stuck:x:2024-03-01",
    )
    done = shell.here("backtest", *asked, "--json").json
    (sign,) = done["faults"]["signs"]
    assert sign["fault"] == "sensor_stuck:x:2024-03-01"
    assert any(sentence.startswith(sign["fault"]) for sentence in done["sentences"])
    assert done["faults"]["cost"]["every_14d"] > 0
    plain = shell.here("backtest", "--from", "2024-02-15", "--policy", "every 14d", "--json").json
    assert plain["id"].endswith("-2")  # the faulty one had it replayed first
    gap = done["total"]["loop"]["log_loss"] - plain["total"]["loop"]["log_loss"]
    assert done["faults"]["cost"]["loop"] == pytest.approx(gap)
    refused = shell.here("backtest", "--inject", "null_burst:zz:2024-03-01", code=None)
    assert "no dataset has a column 'zz'" in refused.out + refused.err
