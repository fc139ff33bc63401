"""A model folder of MLflow's: every file of it is part of the revision, and another file is another model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from nenrin.core.settings import Settings
from nenrin.platform import Platform

PROJECT = """import nenrin as nr
data = nr.file("data.csv", key="id")
churn = nr.import_model("model", rows=data, label=data.churned)
service = nr.deployment(churn)
"""


def write(folder: Path, frame: pl.DataFrame, trees: int) -> None:
    from lightgbm import LGBMClassifier

    X, y = frame.select("a", "b").to_pandas(), frame["churned"].to_numpy()
    model = LGBMClassifier(n_estimators=trees, n_jobs=1, verbose=-1).fit(X, y)
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "MLmodel").write_text("flavors: {lightgbm: {data: model.lgb}}\n")
    model.booster_.save_model(str(folder / "model" / "model.lgb"))


def test_a_folder_is_judged_and_replaced(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    a, b = random.normal(size=1200), random.normal(size=1200)
    churned = (random.random(1200) < 1 / (1 + np.exp(-2 * a + b))).astype(int)
    frame = pl.DataFrame({"id": np.arange(1200), "b": b, "a": a, "churned": churned})
    frame.write_csv(tmp_path / "data.csv")
    (tmp_path / "project.py").write_text(PROJECT)
    write(tmp_path, frame, 3)
    with Platform.open(Settings.read(folder=tmp_path, workers=0)) as platform:
        (first,) = platform.projects.run("dev")["deployments"]
        write(tmp_path, frame, 30)
        (second,) = platform.projects.run("dev")["deployments"]
        versions = platform.registry.list("dev", "churn")
    assert first["verdict"]["admitted"]
    assert second["verdict"]["outcome"] == "better"
    assert len({version.content for version in versions}) == 2
    assert {version.facts["format"] for version in versions} == {"lightgbm"}
