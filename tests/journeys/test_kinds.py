"""The kind seam: prompts, a kind of one's own, and fitted models from a file go one way."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import ConflictError, RefusedError
from nenrin.core.settings import Settings
from nenrin.loop.exam import Exam
from nenrin.platform import Platform, plane_parts
from nenrin.registry.kinds import Answerer, OpenContext
from nenrin.registry.kinds.prompt import Prompt
from nenrin.serving.plane.process import PlaneSettings

QUESTIONS = pl.DataFrame({"text": [f"{word} {n}" for n in range(30) for word in ("good", "bad")]})
LABELS = ["yes", "no"] * 30


def echo(text: str) -> str:
    """A language model that is not one: it follows the instruction, if there is one."""
    if text.startswith("Is this praise?"):
        return "yes" if "good" in text else "no"
    return "yes"


class ThresholdAnswerer:
    """Answers 1.0 above the threshold."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold

    def answer(self, frame: pl.DataFrame) -> np.ndarray:
        """0.0 or 1.0 a row."""
        return (frame["x"].to_numpy() > self._threshold).astype(np.float64)


class ThresholdKind:
    """A kind that nothing in nenrin knows."""

    name = "threshold"

    def describe(self, content: bytes) -> dict[str, Any]:
        """The threshold."""
        return {"threshold": float(content)}

    def open(self, content: bytes, context: OpenContext) -> Answerer:
        """A ready answerer."""
        return ThresholdAnswerer(float(content))


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    settings = Settings.read(folder=tmp_path, workers=0)
    with Platform(settings, kinds=[ThresholdKind()]) as opened:
        yield opened


def register(platform: Platform, name: str, kind: str, content: bytes) -> str:
    digest = platform.store.put(content)
    with platform.units.write("dev", platform.calendar.now()) as unit:
        return platform.registry.register(unit, name=name, kind=kind, content=digest).id


def kinds_of(platform: Platform) -> list[str]:
    return [event.kind for event in platform.units.events("dev")]


def test_a_prompt_is_gated_deployed_and_rolled_back(platform: Platform) -> None:
    project = {"echo": echo}
    plain = Prompt(template="{text}", model="echo").dumps()
    asked = Prompt(template="Is this praise? {text}", model="echo").dumps()
    first = register(platform, "praise", "prompt", plain)
    better = register(platform, "praise", "prompt", asked)
    exam = Exam(rows=QUESTIONS, labels=LABELS, baseline="yes")

    verdict = platform.loop.propose("dev", "praise", first, exam, project=project)
    assert verdict.admitted
    assert platform.serving.show("dev", "praise").champion == first

    verdict = platform.loop.propose("dev", "praise", better, exam, project=project)
    assert (verdict.outcome, verdict.against["champion"]) == ("better", first)
    assert platform.serving.show("dev", "praise").champion == better

    with pytest.raises(RefusedError, match="not shown to be better"):
        platform.loop.propose("dev", "praise", first, exam, project=project)
    assert platform.serving.show("dev", "praise").champion == better

    assert platform.loop.rollback("dev", "praise")["champion"] == first
    assert [kind for kind in kinds_of(platform) if kind.startswith("deployment.")] == [
        "deployment.created",
        "deployment.promoted",
        "deployment.rolled_back",
    ]
    assert kinds_of(platform).count("verdict.given") == 3
    assert platform.audit.verify("dev").holds


def test_a_kind_of_ones_own_goes_the_same_way(platform: Platform) -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=200)
    exam = Exam(
        rows=pl.DataFrame({"x": x}),
        labels=(x > 0.5).astype(float).tolist(),
        loss=lambda labels, answers: np.square(np.subtract(labels, answers)),
        baseline=0.5,
    )
    far = register(platform, "cut", "threshold", b"0.2")
    near = register(platform, "cut", "threshold", b"0.45")
    platform.loop.propose("dev", "cut", far, exam)
    platform.loop.propose("dev", "cut", near, exam)
    assert platform.serving.show("dev", "cut").champion == near
    assert platform.loop.rollback("dev", "cut")["champion"] == far
    with pytest.raises(ConflictError, match="served nothing before"):
        platform.loop.rollback("dev", "cut")


def test_the_live_plane_opens_a_prompt(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(
        'def echo(text):\n    return "yes" if "good" in text else "no"\n'
    )
    settings = Settings.read(folder=tmp_path, workers=0)
    with Platform.open(settings) as platform:
        revision = platform.projects.snapshot("dev")
        digest = platform.store.put(Prompt(template="{text}", model="echo").dumps())
        with platform.units.write("dev", platform.calendar.now()) as unit:
            version = platform.registry.register(
                unit, name="praise", kind="prompt", content=digest, revision=revision.id
            )
        project = {"echo": echo}
        exam = Exam(rows=QUESTIONS, labels=LABELS)
        platform.loop.propose("dev", "praise", version.id, exam, project=project)
        parts = plane_parts(
            PlaneSettings(
                folder=tmp_path,
                environment="dev",
                predictions=tmp_path / "log",
                control=tmp_path / "control.sock",
            )
        )
        (route,) = parts.routes.routes()
        answers = parts.loader.open(route.deployment.champion).answer_rows([{"text": "good day"}])
        assert list(answers) == ["yes"]


@pytest.mark.parametrize("timed", [False, True])
def test_a_fitted_model_is_gated_and_deployed_without_training(tmp_path: Path, timed: bool) -> None:
    sklearn = pytest.importorskip("sklearn.linear_model")
    skops = pytest.importorskip("skops.io")
    random = np.random.default_rng(2)
    n = 3000
    x = random.normal(size=(n, 2))
    y = random.random(n) < 1 / (1 + np.exp(-(x[:, 0] - x[:, 1])))
    skops.dump(sklearn.LogisticRegression().fit(x, y), tmp_path / "model.skops")
    start = np.datetime64("2021-01-01T00:00")
    with (tmp_path / "data.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "at", "a", "b", "y"])
        for i in range(n):
            rows.writerow([i, start + np.timedelta64(i * 60, "m"), x[i, 0], x[i, 1], int(y[i])])
    time = ', time="at"' if timed else ""
    (tmp_path / "project.py").write_text(
        "import nenrin as nr\n"
        f'data = nr.file("data.csv", key="id"{time})\n'
        "@nr.feature_view(data)\n"
        'def numbers(r):\n    return {"a": r.a, "b": r.b}\n'
        'old = nr.import_model("model.skops", rows=data, label=data.y == 1, features=[numbers],'
        ' metric="log_loss", container="numpy")\n'
        "service = nr.deployment(old, recipes=[nr.history()])\n"
    )
    with Platform.open(Settings.read(folder=tmp_path, workers=0)) as platform:
        (done,) = platform.projects.run("dev")["deployments"]
        assert done["verdict"]["admitted"]
        assert done["evaluation"]["beats_baseline"]
        champion = platform.registry.get("dev", done["champion"])
        assert champion.facts["format"] == "skops"
        answers = platform.registry.open(champion, OpenContext(store=platform.store)).answer(
            pl.DataFrame({"a": [2.0, -2.0], "b": [-2.0, 2.0]})
        )
        assert answers[0] > 0.9 > 0.1 > answers[1]
