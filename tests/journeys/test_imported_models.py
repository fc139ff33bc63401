"""Fitted models from files: judged, served and replaced, and nothing is ever trained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import ProjectError
from nenrin.core.settings import Settings
from nenrin.loop.timeless import NOTHING_TO_TRAIN
from nenrin.platform import Platform
from nenrin.stats.metrics import METRICS
from tests.journeys.plane import PlaneHere

pytest.importorskip("skops")

N = 2400
PROJECT = """import nenrin as nr
data = nr.file("data.csv", key="id"{time})
churn = nr.import_model("{file}", rows=data, label=data.churned == "Yes"{more})
service = nr.deployment(churn)
"""


def rows() -> pl.DataFrame:
    """Customers, one every four hours, with more columns than the model knows, in another order."""
    random = np.random.default_rng(2)
    a, b, plan = random.normal(size=N), random.normal(size=N), random.choice(["basic", "pro"], N)
    p = 1 / (1 + np.exp(-(1.5 * a - b - 1.0 * (plan == "pro"))))
    start = np.datetime64("2021-01-01T00:00:00")
    return pl.DataFrame(
        {
            "id": np.arange(N),
            "at": np.datetime_as_string(start + 4 * np.arange(N) * np.timedelta64(1, "h")),
            "other": random.normal(size=N),
            "b": b,
            "plan": plan,
            "a": a,
            "churned": np.where(random.random(N) < p, "Yes", "No"),
        }
    )


def fitted(frame: pl.DataFrame, columns: tuple[str, ...] = ("plan", "a", "b")) -> Any:
    """A pipeline that somebody fitted elsewhere, on texts and on classes that are texts."""
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["plan"]), remainder="passthrough"
    )
    pandas = frame.select(columns).to_pandas()
    return make_pipeline(encoder, LogisticRegression()).fit(pandas, frame["churned"].to_list())


def save(model: Any, path: Path) -> None:
    if path.suffix == ".skops":
        import skops.io

        skops.io.dump(model, path)
    else:
        import joblib

        joblib.dump(model, path)


def write(folder: Path, model: Any, *, timed: bool) -> pl.DataFrame:
    """A folder with the rows, the model's file and a project; the rows."""
    frame = rows()
    frame.write_csv(folder / "data.csv")
    file = "model.skops" if timed else "model.joblib"
    save(model, folder / file)
    more = "" if timed else ', trust=True, drop=["at"]'
    project = PROJECT.format(file=file, more=more, time=', time="at"' if timed else "")
    (folder / "project.py").write_text(project)
    return frame


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with Platform.open(Settings.read(folder=tmp_path, workers=0)) as opened:
        yield opened


def run(platform: Platform) -> dict[str, Any]:
    (done,) = platform.projects.run("dev")["deployments"]
    return done


@pytest.mark.parametrize("timed", [False, True])
def test_a_file_is_judged_and_served_without_training(
    tmp_path: Path, platform: Platform, timed: bool
) -> None:
    model = fitted(rows())
    frame = write(tmp_path, model, timed=timed)
    stages = [node["name"] for node in platform.projects.plan("dev")["deployments"][0]["nodes"]]
    assert not [name for name in stages if name.startswith(("train", "twin", "tune"))]
    done = run(platform)
    assert done["verdict"]["admitted"]
    assert done["evaluation"]["beats_baseline"]
    assert "with nothing trained" in done["evaluation"]["how"]
    assert done["due"] == NOTHING_TO_TRAIN
    assert done["cost"]["fit"] == 0

    # every version, of every fold and every look, is the same model
    versions = platform.registry.list("dev", "churn")
    assert len({version.content for version in versions}) == 1
    assert versions[-1].facts["file"] == ("model.skops" if timed else "model.joblib")

    own = model.predict_proba(frame.select("plan", "a", "b").to_pandas())[:, 1]
    days = re.findall(r"\d{4}-\d\d-\d\d", done["evaluation"]["how"]) or ["0", "9"]
    judged = frame["at"].str.head(10).is_between(*days).to_numpy()
    assert judged.sum() == done["evaluation"]["rows"]
    y = (frame["churned"] == "Yes").cast(float).to_numpy()
    assert done["evaluation"]["value"] == pytest.approx(METRICS["log_loss"](y[judged], own[judged]))

    assert run(platform)["steps"] == []
    live = PlaneHere(tmp_path)
    asked = [*frame.drop("churned")[:50].to_dicts(), {**frame.row(0, named=True), "plan": "gold"}]
    (answer,) = live.post("/invocations", asked)
    gold = frame[:1].with_columns(plan=pl.lit("gold")).select("plan", "a", "b").to_pandas()
    expected = [*own[:50], model.predict_proba(gold)[0, 1]]
    assert answer["predictions"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("timed", [False, True])
def test_another_file_must_be_better(tmp_path: Path, platform: Platform, timed: bool) -> None:
    frame = rows()
    shuffled = frame.with_columns(a=pl.col("a").shuffle(seed=1))
    write(tmp_path, fitted(shuffled), timed=timed)
    first = run(platform)["champion"]
    better, worse = fitted(frame), fitted(frame.with_columns(b=pl.col("a"), a=pl.col("b")))
    file = tmp_path / ("model.skops" if timed else "model.joblib")

    save(worse, file)
    refused = run(platform)
    assert (refused["verdict"]["admitted"], refused["verdict"]["outcome"]) == (False, "worse")
    assert refused["champion"] == first
    again = run(platform)  # as after the loop's own turn: who asks hears what was refused
    assert (refused["refused"], again["verdict"]) == (None, None)
    assert again["refused"]["reason"] == refused["verdict"]["reason"]

    save(better, file)
    admitted = run(platform)
    assert (admitted["verdict"]["outcome"], admitted["refused"]) == ("better", None)
    served = platform.serving.show("dev", "churn")
    newest = served.route.variants[-1]
    assert newest.version == admitted["verdict"]["ships"]
    assert newest.weight == (20 if timed else 100)

    project = tmp_path / "project.py"
    project.write_text(project.read_text() + "# nothing else\n")
    assert run(platform)["verdict"] is None  # the same bytes are not judged again
    assert platform.loop.rollback("dev", "churn")["champion"] == first
    checked = platform.gates.check("dev", "churn")
    assert (checked["bad"], checked["admitted"]) == (True, False)
    assert platform.registry.get("dev", newest.version).status == "bad"


def test_a_backtest_takes_one_look(tmp_path: Path, platform: Platform) -> None:
    write(tmp_path, fitted(rows()), timed=True)
    report = platform.loop.backtest(from_="2021-06-01", until="2021-09-01")
    assert (report["counts"]["looks"], report["counts"]["rollbacks"]) == (1, 0)
    policies = {name: total["log_loss"] for name, total in report["total"].items()}
    assert len(set(policies.values())) == 1  # all of them answer by the same file
    assert not any(each["pays"] for each in report["differences"])
    assert platform.loop.adopt(report["id"], "dev")["champion"]
    assert run(platform)["verdict"] is None


@pytest.mark.parametrize(
    ("more", "label", "message", "hint"),
    [
        (
            ', container="numpy"',
            "== 'Yes'",
            "takes numbers, and plan is text",
            'container="pandas"',
        ),
        (', drop=["plan"]', "== 'Yes'", "rows have no plan", "feature view"),
        ("", "!= 'No'", "classes of churn are 'No', 'Yes'", "data.churned == 'Yes'"),
    ],
)
def test_what_does_not_fit_is_said_with_its_line(
    tmp_path: Path, platform: Platform, more: str, label: str, message: str, hint: str
) -> None:
    write(tmp_path, fitted(rows()), timed=True)
    project = tmp_path / "project.py"
    text = PROJECT.format(file="model.skops", more=more, time=', time="at"')
    project.write_text(text.replace('== "Yes"', label))
    with pytest.raises(ProjectError, match=message) as caught:
        run(platform)
    assert hint in caught.value.hint
    assert caught.value.where == f"{project}:3"


def test_texts_are_refused_only_where_it_is_known_which_are_known(
    tmp_path: Path, platform: Platform
) -> None:
    write(tmp_path, fitted(rows()), timed=True)
    project = tmp_path / "project.py"
    text = PROJECT.format(file="model.skops", more="", time=', time="at"')
    project.write_text(text.replace("(churn)", '(churn, unseen="refuse")'))
    with pytest.raises(ProjectError, match="nothing tells which texts of plan churn") as caught:
        run(platform)
    assert "leave unseen= out" in caught.value.hint
    assert caught.value.where == f"{project}:4"
