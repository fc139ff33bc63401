"""Proposals: what the gate says of a version of any kind, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import (
    ConflictError,
    DataError,
    NotFoundError,
    RefusedError,
    RequestError,
    StepError,
)
from nenrin.core.settings import Settings
from nenrin.loop.exam import Exam
from nenrin.platform import Platform
from nenrin.registry.kinds import Answerer, OpenContext
from nenrin.registry.kinds.prompt import Prompt
from nenrin.stats.intervals import ONE_SIDED_5

ROWS = pl.DataFrame({"x": np.linspace(-1.0, 1.0, 41)})
LABELS = (ROWS["x"].to_numpy() > 0).astype(float).tolist()


def squared(labels: Sequence[float], answers: Sequence[float]) -> np.ndarray:
    return np.square(np.subtract(labels, answers))


class Slope:
    """Answers .5 + slope x, cut to [0, 1]; a slope of nothing answers nan, of 9 one answer too few."""

    name = "slope"

    def describe(self, content: bytes) -> dict[str, Any]:
        return {"slope": float(content)}

    def open(self, content: bytes, context: OpenContext) -> Answerer:
        class Opened:
            def answer(self, frame: pl.DataFrame) -> np.ndarray:
                p = np.clip(0.5 + float(content) * frame["x"].to_numpy(), 0, 1)
                return p[1:] if content == b"9" else p

        return Opened()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with Platform(Settings.read(folder=tmp_path, workers=0), kinds=[Slope()]) as opened:
        yield opened


@pytest.fixture
def exam() -> Exam:
    return Exam(rows=ROWS, labels=LABELS, loss=squared, baseline=0.5)


def register(platform: Platform, content: bytes, kind: str = "slope", revision: str = "") -> str:
    digest = platform.store.put(content)
    with platform.units.write("dev", platform.calendar.now()) as unit:
        return platform.registry.register(
            unit, name="side", kind=kind, content=digest, revision=revision
        ).id


def proposed(platform: Platform, exam: Exam, content: bytes, **options: Any) -> str:
    version = register(platform, content)
    platform.loop.propose("dev", "side", version, exam, **options)
    return version


def test_the_first_version_must_not_be_worse_than_the_plain_answer(
    platform: Platform, exam: Exam
) -> None:
    wrong = register(platform, b"-0.4")
    with pytest.raises(RefusedError, match="not worse than the baseline"):
        platform.loop.propose("dev", "side", wrong, exam)
    assert platform.serving.list("dev") == []
    assert [verdict.ships for verdict in platform.gates.verdicts("dev", "side")] == [wrong]
    right = proposed(platform, exam, b"0.2")
    served = platform.serving.show("dev", "side")
    assert (served.champion, served.anchor, served.example) == (right, right, {"x": -1.0})
    assert platform.audit.verify("dev").holds


def test_the_numbers_are_those_of_paired_rows(platform: Platform, exam: Exam) -> None:
    proposed(platform, exam, b"0.2")
    verdict = platform.loop.propose("dev", "side", register(platform, b"0.3"), exam)
    x = ROWS["x"].to_numpy()
    gap = squared(LABELS, 0.5 + 0.3 * x) - squared(LABELS, 0.5 + 0.2 * x)
    se = gap.std(ddof=1) / np.sqrt(len(gap))
    assert verdict.numbers["champion.mean"] == pytest.approx(gap.mean())
    assert verdict.numbers["champion.high"] == pytest.approx(gap.mean() + ONE_SIDED_5 * se)
    assert verdict.numbers["champion.days"] == len(gap)
    assert verdict.numbers["anchor.mean"] == verdict.numbers["champion.mean"]
    assert (verdict.outcome, verdict.compared) == ("better", "paired")


def test_a_later_version_must_be_better_than_the_champion(platform: Platform, exam: Exam) -> None:
    first = proposed(platform, exam, b"0.3")
    even = Exam(rows=ROWS[19:22], labels=[0.0, 0.0, 0.0], loss=squared)
    for content, asked in ((b"0.2", exam), (b"0.4", even)):  # worse, and neither better nor worse
        with pytest.raises(RefusedError, match="better than the champion"):
            platform.loop.propose("dev", "side", register(platform, content), asked)
    outcomes = [verdict.outcome for verdict in platform.gates.verdicts("dev", "side")]
    assert outcomes == ["better", "worse", "undecided"]
    with pytest.raises(ConflictError, match=r"serves .* already"):
        platform.loop.propose("dev", "side", first, exam)
    assert platform.serving.show("dev", "side").champion == first


def test_a_canary_is_promoted_by_hand(platform: Platform, exam: Exam) -> None:
    first = proposed(platform, exam, b"0.2", weight=5)  # nobody else is there to answer the rest
    assert [v.weight for v in platform.serving.show("dev", "side").route.variants] == [100]
    second = proposed(platform, exam, b"0.3", weight=20)
    tried = platform.serving.show("dev", "side")
    assert [(v.version, v.weight) for v in tried.route.variants] == [(first, 80), (second, 20)]
    assert platform.loop.promote("dev", "side", second)["champion"] == second
    done = platform.serving.show("dev", "side")
    assert (done.champion, done.anchor, done.previous) == (second, second, first)
    assert platform.loop.promote("dev", "side", first, "we know it")["champion"] == first
    last = platform.units.find("dev", kind="deployment.promoted")[-1]
    assert last.body["reason"] == "promoted by hand: we know it"
    assert platform.serving.show("dev", "side").anchor == second  # it was better; that stays known


def test_what_a_rollback_leaves_is_never_served_again(platform: Platform, exam: Exam) -> None:
    first = proposed(platform, exam, b"0.2")
    canary = proposed(platform, exam, b"0.3", weight=20)
    assert platform.loop.rollback("dev", "side")["champion"] == first
    champion = proposed(platform, exam, b"0.4")
    assert platform.loop.rollback("dev", "side")["champion"] == first
    for version in (canary, champion):
        assert platform.registry.get("dev", version).status == "bad"
        with pytest.raises(RefusedError, match="marked bad"):
            platform.loop.propose("dev", "side", version, exam)
        with pytest.raises(RefusedError, match="marked bad"):
            platform.loop.promote("dev", "side", version)
    with pytest.raises(ConflictError, match="served nothing before"):
        platform.loop.rollback("dev", "side")


def test_only_what_the_gate_admitted_is_promoted(platform: Platform, exam: Exam) -> None:
    first = proposed(platform, exam, b"0.3")
    unseen = register(platform, b"0.4")
    with pytest.raises(RefusedError, match="never admitted"):
        platform.loop.promote("dev", "side", unseen)
    worse = register(platform, b"0.1")
    with pytest.raises(RefusedError):
        platform.loop.propose("dev", "side", worse, exam)
    with pytest.raises(RefusedError, match="never admitted"):
        platform.loop.promote("dev", "side", worse)
    with pytest.raises(NotFoundError):
        platform.loop.promote("dev", "side", "version-nobody")
    assert platform.serving.show("dev", "side").champion == first


def test_answers_without_a_loss_are_not_sane(platform: Platform, exam: Exam) -> None:
    with pytest.raises(RefusedError, match="sanity"):
        platform.loop.propose("dev", "side", register(platform, b"nan"), exam)


def test_what_does_not_fit_is_said(platform: Platform, exam: Exam) -> None:
    version = register(platform, b"0.2")
    with pytest.raises(DataError, match="41 rows and 40 labels"):
        platform.loop.propose("dev", "side", version, Exam(rows=ROWS, labels=LABELS[1:]))
    with pytest.raises(DataError, match="0 rows"):
        platform.loop.propose("dev", "side", version, Exam(rows=ROWS[:0], labels=[]))
    with pytest.raises(DataError, match="the loss has shape"):
        platform.loop.propose(
            "dev", "side", version, Exam(rows=ROWS, labels=LABELS, loss=lambda y, a: np.zeros(3))
        )
    with pytest.raises(RequestError, match="no percentage"):
        platform.loop.propose("dev", "side", version, exam, weight=0)
    with pytest.raises(StepError, match="40 answers to 41 questions"):
        platform.loop.propose("dev", "side", register(platform, b"9"), exam)
    assert platform.gates.verdicts("dev", "side") == []


def test_a_verdict_on_a_champion_that_went_is_not_acted_on(platform: Platform, exam: Exam) -> None:
    proposed(platform, exam, b"0.2")
    late = register(platform, b"0.4")

    def slow(labels: Sequence[float], answers: Sequence[float]) -> np.ndarray:
        if platform.serving.show("dev", "side").previous is None:
            proposed(platform, exam, b"0.3")
        return squared(labels, answers)

    with pytest.raises(ConflictError, match="another champion"):
        platform.loop.propose("dev", "side", late, Exam(rows=ROWS, labels=LABELS, loss=slow))
    assert late not in [verdict.ships for verdict in platform.gates.verdicts("dev", "side")]


def test_every_version_is_opened_by_the_code_that_made_it(tmp_path: Path) -> None:
    exam = Exam(rows=pl.DataFrame({"text": ["no"] * 9 + ["yes"] * 9}), labels=["n"] * 9 + ["y"] * 9)
    with Platform(Settings.read(folder=tmp_path, workers=0)) as platform:
        versions = []
        for code, template in (("'y'", "{text}"), ("text[0]", "{text}!")):
            (tmp_path / "project.py").write_text(f"def answers(text):\n    return {code}\n")
            revision = platform.projects.snapshot("dev").id
            prompt = Prompt(template=template, model="answers").dumps()
            versions.append(register(platform, prompt, "prompt", revision))
        platform.loop.propose("dev", "letters", versions[0], exam)
        verdict = platform.loop.propose("dev", "letters", versions[1], exam)
    # by the newer code, which both name alike, the first would have been right too
    assert verdict.numbers["champion.mean"] == -0.5


def test_a_frozen_deployment_takes_no_proposal_and_is_promoted_by_name(
    platform: Platform, exam: Exam
) -> None:
    first = proposed(platform, exam, b"0.1")
    second = proposed(platform, exam, b"0.3")
    [frozen] = platform.loop.freeze("dev", None, "the release")
    assert (frozen["deployment"], frozen["reason"]) == ("side", "the release")
    third = register(platform, b"0.4")
    with pytest.raises(RefusedError, match="'side' is frozen: the release"):
        platform.loop.propose("dev", "side", third, exam)
    done = platform.loop.promote("dev", "side", first)
    assert "still, the release" in done["frozen"]
    assert second in str(platform.loop.rollback("dev", "side"))
    platform.loop.unfreeze("dev", "side")
    platform.loop.propose("dev", "side", third, exam)
    assert platform.serving.show("dev", "side").champion == third
    with pytest.raises(NotFoundError, match="nothing is deployed"):
        platform.loop.freeze("prod", None)
