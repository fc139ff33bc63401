"""The seams hold: prompts, kinds from outside and models from files go the one way to live answers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import nenrin
from nenrin.core.errors import RefusedError
from nenrin.core.settings import Settings
from nenrin.loop.exam import Exam
from nenrin.platform import Platform
from nenrin.registry.kinds import Answerer, OpenContext
from nenrin.registry.kinds.prompt import Prompt
from tests.journeys.plane import PlaneHere

PRAISE = '''
def echo(text):
    """A language model that is not one: it follows the instruction, if there is one."""
    if text.startswith("Is this praise?"):
        return "yes" if "good" in text else "no"
    return "yes"
'''
QUESTIONS = pl.DataFrame({"text": [f"{word} {n}" for n in range(30) for word in ("good", "bad")]})
LABELS = ["yes", "no"] * 30

KIND = '''
"""A kind that nothing in nenrin knows."""
import numpy as np


class Cut:
    def __init__(self, at):
        self.at = at

    def answer(self, frame):
        return (frame["x"].to_numpy() > self.at).astype(float)


class CutKind:
    name = "cut"

    def describe(self, content):
        return {"at": float(content)}

    def open(self, content, context):
        return Cut(float(content))
'''


class ThresholdAnswerer:
    """Answers 1.0 above the threshold."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold

    def answer(self, frame: pl.DataFrame) -> np.ndarray:
        return (frame["x"].to_numpy() > self._threshold).astype(np.float64)


class ThresholdKind:
    """A kind that is defined here and handed to the platform."""

    name = "threshold"

    def describe(self, content: bytes) -> dict[str, Any]:
        return {"threshold": float(content)}

    def open(self, content: bytes, context: OpenContext) -> Answerer:
        return ThresholdAnswerer(float(content))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.read(folder=tmp_path, workers=0)


@pytest.fixture
def platform(settings: Settings) -> Iterator[Platform]:
    with Platform(settings, kinds=[ThresholdKind()]) as opened:
        yield opened


def register(
    platform: Platform, name: str, kind: str, content: bytes, *, revision: str = ""
) -> str:
    digest = platform.store.put(content)
    with platform.units.write("dev", platform.calendar.now()) as unit:
        return platform.registry.register(
            unit, name=name, kind=kind, content=digest, revision=revision
        ).id


def kinds_of(platform: Platform) -> list[str]:
    return [event.kind for event in platform.units.events("dev")]


def cuts_exam() -> Exam:
    x = np.random.default_rng(1).normal(size=200)
    return Exam(
        rows=pl.DataFrame({"x": x}),
        labels=(x > 0.5).astype(float).tolist(),
        loss=lambda labels, answers: np.square(np.subtract(labels, answers)),
        baseline=0.5,
    )


def test_a_prompt_goes_the_whole_way_to_live_answers(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(PRAISE)
    revision = platform.projects.snapshot("dev").id
    first, better = (
        register(
            platform,
            "praise",
            "prompt",
            Prompt(template=template, model="echo").dumps(),
            revision=revision,
        )
        for template in ("{text}", "Is this praise? {text}")
    )
    exam = Exam(rows=QUESTIONS, labels=LABELS, baseline="yes")
    live = PlaneHere(tmp_path)
    infer, bad_day = "/v2/models/praise/infer", request("text", "a bad day")

    assert platform.loop.propose("dev", "praise", first, exam).admitted
    assert live.post(infer, bad_day)[0]["outputs"][0] == {
        "name": "prediction",
        "datatype": "BYTES",
        "shape": [1],
        "data": ["yes"],
    }
    (text,) = live.get("/v2/models/praise")["inputs"]
    assert (text["name"], text["datatype"]) == ("text", "BYTES")

    # a canary answers its share of the keys, and each key always alike
    verdict = platform.loop.propose("dev", "praise", better, exam, weight=50)
    assert (verdict.outcome, verdict.against["champion"]) == ("better", first)
    texts = [{"text": f"a bad day, number {n}"} for n in range(40)]
    once, again = (answer["predictions"] for answer in live.post("/invocations", texts, texts))
    assert once == again
    assert 5 < once.count("no") < 35
    platform.loop.promote("dev", "praise", better)
    assert live.post("/invocations", texts)[0]["predictions"] == ["no"] * 40

    with pytest.raises(RefusedError, match="better than the champion"):
        platform.loop.propose("dev", "praise", first, exam)
    assert platform.loop.rollback("dev", "praise")["champion"] == first
    assert live.post(infer, bad_day)[0]["outputs"][0]["data"] == ["yes"]
    with pytest.raises(RefusedError, match="marked bad"):
        platform.loop.propose("dev", "praise", better, exam)

    assert [kind for kind in kinds_of(platform) if kind.startswith("deployment.")] == [
        "deployment.created",
        "deployment.routed",
        "deployment.promoted",
        "deployment.rolled_back",
    ]
    assert kinds_of(platform).count("verdict.given") == 3
    assert platform.audit.verify("dev").holds
    predictions = live.logged()
    assert len(predictions) == 1 + 80 + 40 + 1
    assert {(each.version, each.answer) for each in predictions} == {(first, "yes"), (better, "no")}


def request(name: str, value: Any) -> dict[str, Any]:
    datatype = "BYTES" if isinstance(value, str) else "FP64"
    return {"inputs": [{"name": name, "datatype": datatype, "shape": [1], "data": [value]}]}


def test_a_kind_of_ones_own_goes_the_same_way(platform: Platform) -> None:
    exam = cuts_exam()
    far = register(platform, "cut", "threshold", b"0.2")
    near = register(platform, "cut", "threshold", b"0.45")
    platform.loop.propose("dev", "cut", far, exam)
    platform.loop.propose("dev", "cut", near, exam)
    assert platform.serving.show("dev", "cut").champion == near
    assert platform.registry.get("dev", near).facts == {"threshold": 0.45}
    assert platform.loop.rollback("dev", "cut")["champion"] == far


def test_a_kind_of_another_distribution_answers_live(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    described = site / "cut_kind-1.0.dist-info"
    described.mkdir(parents=True)
    (site / "cut_kind.py").write_text(KIND)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: cut-kind\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[nenrin.kinds]\ncut = cut_kind:CutKind\n")
    monkeypatch.syspath_prepend(site)
    with Platform.open(settings) as platform:
        far, near = (register(platform, "cut", "cut", content) for content in (b"0.2", b"0.45"))
        live = PlaneHere(tmp_path)
        for version, answer in ((far, 1.0), (near, 0.0)):
            platform.loop.propose("dev", "cut", version, cuts_exam())
            (said,) = live.post("/v2/models/cut/infer", request("x", 0.3))
            assert said["outputs"][0]["data"] == [answer]
            assert said["model_version"] == version
        platform.loop.rollback("dev", "cut")
        (said,) = live.post("/v2/models/cut/infer", request("x", 0.3))
        assert (said["model_version"], said["outputs"][0]["data"]) == (far, [1.0])


def test_a_model_challenges_a_prompt(platform: Platform, tmp_path: Path) -> None:
    """One deployment may be served by versions of several kinds: nobody asks."""
    (tmp_path / "project.py").write_text("def guess(text):\n    return 1.0\n")
    revision = platform.projects.snapshot("dev").id
    prompt = Prompt(template="Is {x} much?", model="guess").dumps()
    first = register(platform, "much", "prompt", prompt, revision=revision)
    second = register(platform, "much", "threshold", b"0.5")
    exam = cuts_exam()
    plain = Exam(rows=exam.rows, labels=exam.labels, loss=exam.loss)
    platform.loop.propose("dev", "much", first, plain)
    platform.loop.propose("dev", "much", second, plain)
    assert platform.serving.show("dev", "much").champion == second
    assert platform.loop.rollback("dev", "much")["champion"] == first


def test_nothing_outside_a_kind_names_it() -> None:
    """No module but the kinds' own spells ``prompt``; ``model`` is asked for only by who makes models."""
    source = Path(nenrin.__file__).parent
    naming = [
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if "prompt" in _strings(path.read_text("utf-8"))
    ]
    assert naming == ["registry/kinds/prompt.py"]
    asking = [
        f"{path.relative_to(source)}:{node.lineno}"
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Compare)
        and any(isinstance(side, ast.Attribute) and side.attr == "kind" for side in _sides(node))
        and any(isinstance(side, ast.Constant) and side.value == "model" for side in _sides(node))
    ]
    assert asking == []


def _strings(text: str) -> set[str]:
    return {
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _sides(node: ast.Compare) -> list[ast.expr]:
    return [node.left, *node.comparators]
