"""The drawn streams are what they promise, on sixty days of them, and their projects load."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from benchmarks.streams import (
    BEGIN,
    DRAWS,
    STREAMS,
    UNANSWERED,
    YEAR,
    Drawn,
    changed,
    flights,
    flights_weak,
    slowly,
    suddenly,
)
from nenrin.core.settings import Settings
from nenrin.loop.declare import DeploymentSpec
from nenrin.platform import Platform
from nenrin.project.loader import Project, load_project

DAYS = 60
ASKED = pl.col("asked")


@pytest.fixture(params=DRAWS)
def drawn(request: pytest.FixtureRequest) -> Drawn:
    return DRAWS[request.param]


def tables(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Questions and answers, as the project that was written there loads them."""
    datasets = load_project(folder).datasets
    return pl.read_parquet(datasets["questions"]()), pl.read_parquet(datasets["answers"]())


def test_rows_a_day(drawn: Drawn, tmp_path: Path) -> None:
    drawn.write(tmp_path, DAYS)
    questions, _ = tables(tmp_path)
    days = questions.group_by(ASKED.dt.date()).len()
    assert len(days) == DAYS
    assert questions["asked"].is_sorted()
    assert questions["asked"].min() >= BEGIN
    assert questions["id"].is_unique().all()
    assert float(np.mean(days["len"].to_numpy())) == pytest.approx(drawn.rows_a_day, rel=0.05)


def test_labels_come_late_by_what_is_promised_and_some_never(drawn: Drawn, tmp_path: Path) -> None:
    drawn.write(tmp_path, DAYS)
    questions, answers = tables(tmp_path)
    both = questions.join(answers, on="id", validate="1:1")
    assert len(both) == len(answers)
    assert 1 - len(answers) / len(questions) == pytest.approx(UNANSWERED, abs=0.008)
    late = (both["told"] - both["asked"]).dt.total_microseconds().to_numpy() - drawn.answered_after
    assert late.min() >= 0
    assert np.mean(late) / 3.6e9 == pytest.approx(1.0, rel=0.05)


def test_a_stream_is_the_same_each_time(drawn: Drawn, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        drawn.write(folder, DAYS)
    names = ("project.py", "questions.parquet", "answers.parquet")
    one, two = ([(folder / name).read_bytes() for name in names] for folder in folders)
    assert one == two


def test_late_labels_are_fourteen_days_late(tmp_path: Path) -> None:
    DRAWS["late"].write(tmp_path, DAYS)
    questions, answers = tables(tmp_path)
    assert (answers["told"].min() - questions["asked"].min()).days == 14


@pytest.mark.parametrize(("name", "metric"), [("few", "log_loss"), ("regression", "rmse")])
def test_the_project_is_planned(name: str, metric: str, tmp_path: Path) -> None:
    DRAWS[name].write(tmp_path, DAYS)
    with Platform.open(Settings.read(folder=tmp_path, workers=0)) as platform:
        plan = platform.projects.plan("dev")
    assert [each["metric"] for each in plan["deployments"]] == [metric]


def test_words_of_the_loop_and_the_model_are_those_of_the_flights(
    drawn: Drawn, tmp_path: Path
) -> None:
    (tmp_path / "flights").mkdir()
    flights(tmp_path / "flights")
    example = load_project(tmp_path / "flights")
    drawn.write(tmp_path, DAYS)
    project = load_project(tmp_path)
    assert _loop(project) == _loop(example)
    (model,), (usual,) = project.models.values(), example.models.values()
    assert model.declared.tune == usual.declared.tune
    text, other = ((f / "project.py").read_text() for f in (tmp_path, tmp_path / "flights"))
    learner = "LGBMRegressor" if drawn.amounts else "LGBMClassifier"
    assert _fit(text) == _fit(other).replace("LGBMClassifier", learner)


def _loop(project: Project) -> DeploymentSpec:
    return msgspec.structs.replace(project.deployment().declared, name="", where="")


def _fit(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("    return LGBM"))


def test_the_weak_flights_lack_only_what_has_landed(tmp_path: Path) -> None:
    flights_weak(tmp_path)
    project = load_project(tmp_path)
    assert sorted(project.views) == ["sky", "trip"]
    assert sorted(project.datasets) == ["arrivals", "flights", "weather"]


def test_what_changes_and_when() -> None:
    days = np.arange(YEAR)
    assert np.unique(suddenly(days)).tolist() == [0.0, 1.0]
    assert int(np.argmax(suddenly(days))) == 181
    steps = np.diff(slowly(days))
    assert slowly(days)[[0, 60]].tolist() == [0.0, 0.0]
    assert steps.max() == pytest.approx(steps[60:].min())
    assert slowly(days)[-1] == pytest.approx(1.0, abs=0.01)


def test_the_sudden_change_is_in_the_labels(tmp_path: Path) -> None:
    DRAWS["sudden"].write(tmp_path, 240)
    questions, answers = tables(tmp_path)
    both = questions.join(answers, on="id").with_columns(day=(ASKED - BEGIN).dt.total_days())
    before, after = both.filter(pl.col("day") < 181), both.filter(pl.col("day") >= 181)
    assert _slope(before) > 2 * _slope(after)


def _slope(rows: pl.DataFrame) -> float:
    """How the label goes with the first number."""
    return float(np.cov(rows["x1"].to_numpy(), rows["yes"].to_numpy())[0, 1])


def test_an_example_that_says_something_else_is_noticed() -> None:
    assert changed("a b", "a", "c") == "c b"
    with pytest.raises(SystemExit, match=r"mend streams\.py"):
        changed("a b", "d", "c")


def test_there_are_nine_streams_by_their_names() -> None:
    assert len(STREAMS) == 9
    assert set(DRAWS) < set(STREAMS)
