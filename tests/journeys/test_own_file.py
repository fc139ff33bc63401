"""Somebody's own table: from the file to an answering endpoint, and what becomes of more rows."""

from __future__ import annotations

import json
import re
import resource
import subprocess
from pathlib import Path

import polars as pl
import pytest

from nenrin.testing.waiting import wait_until
from tests.journeys.shell import Done, Shell, Up, customers

CSV, PARQUET = "customers.csv", "customers.parquet"
IN_PROCESS = {"NENRIN_WORKERS": "0"}


def _write(frame: pl.DataFrame, path: Path) -> None:
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_five_commands_from_a_file_to_an_endpoint_that_learns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """7,000 rows; the printed curl line is pasted as it is; 10 % new labels are learned by themselves."""
    shell = Shell(tmp_path)
    _write(customers(7_000), tmp_path / CSV)
    before = _cpu()
    told = shell("init", "--from", CSV, "--target", "churned", "--key", "customer_id").out
    assert "left out: refund_reason, which alone tells the target (AUC 1.000)" in told
    ran = shell("run")
    _says_how_good_it_is(ran, "log loss")
    with shell.up() as up:
        assert "its calendar goes with this machine's" in up.text
        [curl] = up.curls
        first = _paste(curl)
        took = ran.took, _cpu() - before
        assert 0 < first["predictions"][0] < 1
        _answered_by_key(up, "c000003")
        unheard = up.post("/invocations", [{"customer_id": "c007003"}])
        assert unheard.status_code == 422
        assert "no row of customers has customer_id 'c007003'" in unheard.json()["error"]
        _write(customers(600, seed=1, first=7_000), tmp_path / "march.csv")
        loaded = shell("data", "load", "customers", "march.csv")
        assert "version 2: 600 added, 0 changed, 0 unchanged; 7,600 rows" in loaded.out
        _write(customers(100, seed=2, first=7_600), tmp_path / "april.csv")
        shell("data", "load", "customers", "april.csv")
        wait_until(lambda: len(up.get("/api/rings").json()) == 2)
        [_, ring] = up.get("/api/rings").json()
        assert ring["trigger"] == "new labels"
        wait_until(lambda: _paste(curl)["versions"] == [ring["ships"]])
        _answered_by_key(up, "c007003")
    with capsys.disabled():
        print(f"\n7,000 rows: nenrin run {took[0]:.1f} s, init and run {took[1]:.1f} CPU s")


def _answered_by_key(up: Up, customer: str) -> None:
    """A customer who is loaded is answered by the key alone, as by all of the row."""
    named = up.post("/invocations", [{"customer_id": customer}]).json()
    table = customers(7_000) if customer < "c007" else customers(600, seed=1, first=7_000)
    [row] = table.filter(pl.col("customer_id") == customer).to_dicts()
    assert named["predictions"] == up.post("/invocations", [row]).json()["predictions"]


def _paste(curl: str) -> dict[str, list[float]]:
    """What a shell gets for the line."""
    ran = subprocess.run(curl, shell=True, capture_output=True, text=True, check=True)
    found: dict[str, list[float]] = json.loads(ran.stdout)
    return found


def _says_how_good_it_is(done: Done, metric: str) -> None:
    """A table of three lines, no longer than a screen, and the page that has it all."""
    assert metric in done.out
    assert re.search(r"model +[\d.,]+ +[\d.,]+ … [\d.,]+\n", done.out)
    assert re.search(r"difference +−[\d.,]+ +−[\d.,]+ … −[\d.,]+ +beats the baseline", done.out)
    assert re.search(r"admitted: version-\w{12} serves", done.out)
    assert "nenrin up" in done.out
    assert len(done.out.splitlines()) <= 14
    assert all(line == line.rstrip() for line in done.out.splitlines())


def test_a_regression_from_parquet_learns_at_the_next_run(tmp_path: Path) -> None:
    shell = Shell(tmp_path, IN_PROCESS)
    _write(customers(1_000), tmp_path / PARQUET)
    assert (
        "value is predicted as regression"
        in shell.here("init", "--from", PARQUET, "--target", "value").out
    )
    first = shell.here("run")
    _says_how_good_it_is(first, "RMSE")
    assert "5 folds by key; rows are taken to be independent" in first.out
    again = shell.here("run")
    assert "nothing was due: a refresh starts by itself at 100 new labels; 0 came" in again.out
    _write(customers(100, seed=1, first=1_000), tmp_path / "more.parquet")
    shell.here("data", "load", "customers", "more.parquet")
    third = shell.here("run", "--json").json["deployments"][0]
    assert third["verdict"]["admitted"]
    assert third["champion"] == third["verdict"]["ships"]
    assert third["rows"] == 1_100
    refused = shell.here("backtest", code=6)
    assert "have no time, so there is no history to replay" in refused.err


def test_a_table_with_a_time_is_judged_on_its_last_days(tmp_path: Path) -> None:
    shell = Shell(tmp_path, IN_PROCESS)
    _write(customers(2_000), tmp_path / PARQUET)
    shell.here("init", "--from", PARQUET, "--target", "churned", "--time", "signed_up")
    ran = shell.here("run")
    assert "closed days, 2025-07-31 to 2025-08-27, held back from training" in ran.out
    assert "label and features of customers share an instant" in ran.out
    status = shell.here("status").out
    assert "dev at 2025-08-28 00:00Z, its calendar stands at the end of the data" in status
    later = customers(500, seed=1, first=2_000).with_columns(
        signed_up=pl.Series([f"2025-09-{1 + n * 28 // 500:02d}" for n in range(500)])
    )
    _write(later, tmp_path / "september.parquet")
    shell.here("data", "load", "customers", "september.parquet", "--backfill")
    turned = shell.here("run", "--json").json["deployments"][0]
    assert turned["now"].startswith("2025-09-28")
    rings = shell.here("rings", "--json").json
    assert [ring["trigger"] for ring in rings[:2]] == ["first", "schedule"]
    assert len(rings) >= 4


def test_a_regression_with_a_time(tmp_path: Path) -> None:
    shell = Shell(tmp_path, IN_PROCESS)
    _write(customers(2_000), tmp_path / CSV)
    shell.here("init", "--from", CSV, "--target", "value", "--time", "signed_up")
    ran = shell.here("run", "--json").json
    [found] = ran["deployments"]
    assert found["task"] == "regression"
    assert found["evaluation"]["beats_baseline"]
    page = (tmp_path / ran["page"]).read_text()
    assert "value beats the baseline by" in page
    assert "Can its probabilities" not in page


def test_a_leaking_column_is_named_by_the_run_too(tmp_path: Path) -> None:
    shell = Shell(tmp_path, IN_PROCESS)
    _write(customers(1_000), tmp_path / CSV)
    shell.here("init", "--from", CSV, "--target", "churned")
    written = shell.project.read_text()
    shell.project.write_text(written.replace(', drop=["refund_reason"]', ""))
    ran = shell.here("run")
    assert "refund_reason alone all but tells the label (AUC 1.000)" in ran.out
    assert 'leave it out: drop=["refund_reason"]' in " ".join(ran.out.split())


def test_a_run_that_the_gates_refuse_says_why(tmp_path: Path) -> None:
    """Labels that have nothing to do with the columns."""
    shell = Shell(tmp_path, IN_PROCESS)
    noise = (
        customers(600)
        .select("customer_id", "age", "calls")
        .with_columns(
            pl.Series("churned", ["Yes" if n * 7919 % 13 < 6 else "No" for n in range(600)])
        )
    )
    _write(noise, tmp_path / CSV)
    shell.here("init", "--from", CSV, "--target", "churned")
    refused = shell.here("run", code=6)
    assert "not shown to be better" in refused.out
    assert "fail  not worse than the baseline" in refused.out
    assert "nothing serves yet" in refused.out
    assert "nenrin gates check churned" in refused.out
    checked = shell.here("gates", "check", "churned")
    assert "fail  not worse than the baseline" in checked.out
