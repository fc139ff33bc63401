"""A version whose features cannot be answered from is never served, and what serves goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nenrin.core.errors import UnavailableError
from nenrin.core.settings import Settings
from nenrin.platform import Platform

SMALL = 100_000  # bytes: an index of 250 rows; of a person's visits there are 20 at most

PROJECT = """
import nenrin as nr
import numpy as np
import polars as pl


@nr.dataset(key="person")
def people():
    luck = np.random.default_rng(1).random(200)
    person = np.arange(200)
    age = 20 + person % 50
    return pl.DataFrame({"person": person, "age": age, "bought": (age > 45) != (luck < 0.1)})


visits = nr.file("visits.csv", key=["person", "day"], time="day", tz="UTC")


@nr.feature_view(people)
def own(p):
    return {"age": p.age}


@nr.feature_view(visits, by="person")
def seen(v):
    return {"pages": v.pages}


@nr.model(rows=people, label=people.bought, features=[own, seen], metric="log_loss")
def buys(rows):
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=2, random_state=0).fit(rows.numpy(), rows.y)


shop = nr.deployment(buys)
"""


@contextmanager
def opened(folder: Path, *, visitors: int, **given: Any) -> Iterator[Platform]:
    folder.mkdir(exist_ok=True)
    (folder / "project.py").write_text(PROJECT)
    lines = [
        f"{person},2024-01-{day:02} 08:00:00,{(person + day) % 7}"
        for person in range(visitors)
        for day in range(1, 21)
    ]
    (folder / "visits.csv").write_text("\n".join(["person,day,pages", *lines]))
    with Platform.open(Settings.read(folder=folder, workers=0, **given)) as platform:
        yield platform


def run(platform: Platform) -> dict[str, Any]:
    (told,) = platform.projects.run("dev")["deployments"]
    return told


def test_a_first_version_that_could_not_answer_is_refused_before_it_is_fitted(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "here", visitors=50, join_memory=SMALL) as platform:
        with pytest.raises(UnavailableError, match="visits is too large") as caught:
            run(platform)
        assert "NENRIN_JOIN_MEMORY" in caught.value.hint
        assert platform.serving.list("dev") == []
        assert platform.registry.list("dev") == []
    with opened(tmp_path / "here", visitors=50) as platform:
        assert run(platform)["champion"]


def test_what_serves_goes_on_by_the_features_that_it_has(tmp_path: Path) -> None:
    with opened(tmp_path / "here", visitors=10, join_memory=SMALL) as platform:
        assert run(platform)["warnings"] == []
        before = platform.serving.show("dev", "buys").route
    with opened(tmp_path / "here", visitors=50, join_memory=SMALL) as platform:
        told = run(platform)
        assert platform.serving.show("dev", "buys").route == before
        assert "NENRIN_JOIN_MEMORY" in told["warnings"][0]
    with opened(tmp_path / "here", visitors=50) as platform:
        assert run(platform)["warnings"] == []
        after = platform.serving.show("dev", "buys").route
        assert after.champion.version == before.champion.version
        assert after.champion.features != before.champion.features
