"""A shadow is begun and ended by hand, ends where its version answers or is bad, and is compared in pairs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import ConflictError, NotFoundError, RefusedError, RequestError
from nenrin.core.instants import DAY, NEVER
from nenrin.core.settings import Settings
from nenrin.loop.shadowing import Shadows
from nenrin.platform import PREDICTIONS, Platform
from nenrin.project.outcomes import Outcomes
from nenrin.serving.deployments import Deployment
from nenrin.serving.masks import LogRules
from nenrin.serving.observed import Observed, Shadowed, read_observed
from nenrin.serving.pairs import compared, pairs
from nenrin.serving.prediction import Prediction
from nenrin.serving.segments import copy_log, read_predictions, shadow_log
from nenrin.serving.service import feature_states
from nenrin.training.tasks import Task
from tests.loop.test_experimenting import NAME, REQUEST, START, Today, begin
from tests.loop.test_guarding import Plain


@pytest.fixture
def today() -> Today:
    return Today()


@pytest.fixture
def platform(tmp_path: Path, today: Today) -> Iterator[Platform]:
    settings = Settings.read(folder=tmp_path, workers=0)
    with Platform(settings, kinds=[Plain()], calendar=today) as opened:
        yield opened


@pytest.fixture
def versions(platform: Platform) -> tuple[str, str, str]:
    a, b, c = (_register(platform, content) for content in (b"a", b"b", b"c"))
    request = msgspec.structs.replace(REQUEST, output="probability")
    with platform.units.write("dev", 1) as unit:
        platform.serving.deploy(
            unit, NAME, model=NAME, version=a, revision="r", request=request, features="s"
        )
    return a, b, c


def _register(platform: Platform, content: bytes, kind: str = "plain", name: str = NAME) -> str:
    digest = platform.store.put(content)
    with platform.units.write("dev", 1) as unit:
        return platform.registry.register(
            unit, name=name, kind=kind, content=digest, revision="r"
        ).id


def follow(platform: Platform, version: str, budget: int = 25) -> dict[str, Any]:
    return platform.loop.shadows.begin("dev", NAME, version, budget=budget, reason="to see")


def told(platform: Platform, kind: str) -> list[dict[str, Any]]:
    return [event.body for event in platform.units.find("dev", kind=f"deployment.{kind}")]


def shown(platform: Platform) -> Deployment:
    return platform.serving.show("dev", NAME)


def test_it_is_in_the_route_beside_those_that_answer_and_survives_a_restart(
    platform: Platform, versions: tuple[str, str, str]
) -> None:
    a, b, c = versions
    assert follow(platform, b, 60)["shadow"] == b
    with Platform(platform.settings, kinds=[Plain()], calendar=platform.calendar) as again:
        kept = shown(again)
    assert [variant.version for variant in kept.route.variants] == [a]
    assert kept.route.shadow is not None
    assert (kept.route.shadow.version, kept.route.shadow.budget) == (b, 60)
    assert kept.route.shadow.since == START
    assert kept.states == {a: "s", b: "s"}
    [body] = told(platform, "shadowed")
    assert body["shadow"] == {"version": b, "budget": 60, "features": "s"}
    assert body["reason"] == "to see"
    assert [each["version"] for each in body["route"]] == [a]
    follow(platform, c)  # another takes its place
    now = shown(platform).route.shadow
    assert now is not None
    assert now.version == c
    assert platform.loop.shadows.end("dev", NAME, "seen")["left"] == c
    assert shown(platform).route.shadow is None
    [body] = told(platform, "unshadowed")
    assert (body["version"], body["reason"]) == (c, "seen")
    with pytest.raises(ConflictError, match="has no shadow"):
        platform.loop.shadows.end("dev", NAME, "again")
    with pytest.raises(ConflictError, match="has no shadow"):
        platform.loop.shadows.show("dev", NAME)
    assert platform.loop.shadows.compared("dev", NAME) is None


def test_what_cannot_be_a_shadow_is_refused(
    platform: Platform, versions: tuple[str, str, str]
) -> None:
    a, b, _ = versions
    with pytest.raises(NotFoundError, match="version-none"):
        follow(platform, "version-none")
    with pytest.raises(NotFoundError, match="no deployment"):
        platform.loop.shadows.begin("dev", "dealy", b, budget=25, reason="x")
    with pytest.raises(ConflictError, match="answers requests"):
        follow(platform, a)
    with pytest.raises(RequestError, match="no budget"):
        follow(platform, b, 0)
    other = _register(platform, b"o", name="other")
    with pytest.raises(RefusedError, match="no version of 'delay'"):
        follow(platform, other)
    platform.loop.mark_bad("dev", b, "it is")
    with pytest.raises(RefusedError, match="bad"):
        follow(platform, b)
    assert shown(platform).route.shadow is None


@pytest.mark.parametrize("way", ["promote", "canary", "experiment"])
def test_it_ends_where_its_version_answers(
    platform: Platform, versions: tuple[str, str, str], way: str
) -> None:
    _, b, _ = versions
    follow(platform, b)
    if way == "experiment":
        begin(platform, b)
    else:
        with platform.units.write("dev", 2) as unit:
            if way == "promote":
                platform.serving.promote(unit, NAME, b, reason="better")
            else:
                platform.serving.canary(unit, NAME, b, 20, reason="it goes out")
    assert shown(platform).route.shadow is None
    assert [body["version"] for body in told(platform, "unshadowed")] == [b]


def test_it_ends_where_a_roll_back_brings_its_version_back(
    platform: Platform, versions: tuple[str, str, str]
) -> None:
    a, b, _ = versions
    with platform.units.write("dev", 2) as unit:
        platform.serving.promote(unit, NAME, b, reason="better")
    follow(platform, a)
    platform.loop.rollback("dev", NAME)
    assert shown(platform).champion == a
    assert shown(platform).route.shadow is None


def test_it_stays_through_every_other_change(
    platform: Platform, versions: tuple[str, str, str]
) -> None:
    _, b, c = versions
    follow(platform, b)
    with platform.units.write("dev", 2) as unit:
        serving = platform.serving
        serving.canary(unit, NAME, c, 20, reason="it goes out", features="s2")
        serving.set_features(unit, NAME, {b: "s-b", c: "s-c"})
        serving.share(unit, NAME, {}, (0.1, 1.1))
        serving.promote(unit, NAME, c, reason="better")
        serving.freeze(unit, NAME, reason="holidays")
        serving.rollback(unit, NAME, reason="back")
    shadow = shown(platform).route.shadow
    assert shadow is not None
    assert (shadow.version, shadow.variant.features) == (b, "s-b")
    assert shadow.variant.recalibration == (0.1, 1.1)
    assert "s-b" in feature_states(platform.serving.list("dev"))
    assert "s-b" in platform.serving.places_of_states("dev")
    assert told(platform, "unshadowed") == []
    assert told(platform, "promoted")[0]["shadow"]["version"] == b


def test_it_ends_where_its_version_is_marked_bad_unless_a_freeze_holds_that(
    platform: Platform, versions: tuple[str, str, str]
) -> None:
    _, b, _ = versions
    follow(platform, b)
    platform.loop.freeze("dev", NAME)
    platform.loop.mark_bad("dev", b, "it is")
    assert platform.loop.guard("dev") == []
    platform.loop.unfreeze("dev", NAME)
    [said] = platform.loop.guard("dev")
    assert f"{b} is the shadow of 'delay' no more" in said
    assert platform.loop.guard("dev") == []
    assert shown(platform).route.shadow is None


def _log(platform: Platform, mine: str, theirs: str, days: int, lift: float) -> None:
    """Pairs of so many days, forty a day: the truth is even keys; the shadow is nearer to it by ``lift``."""
    folder = shadow_log(platform.settings.state_folder / PREDICTIONS) / "0"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    lines = []
    for number in range(days * 40):
        at = START + number // 40 * DAY + number
        given = float(random.uniform(0.4, 0.6))
        said = given + (lift if number % 2 == 0 else -lift)
        pair = Prediction(
            number=number + 1, id=f"p{number}", deployment=NAME, version=mine, variant=0,
            key=str(number), asked=at, at=at, answer=said, row={}, features={},
            beside=(theirs, given),
        )  # fmt: skip
        lines.append(msgspec.json.encode(pair))
    (folder / "0.ndjson").write_bytes(b"\n".join(lines) + b"\n")


def _labelled(platform: Platform, keys: int) -> Shadows:
    """The platform's shadows over made up labels, of which the last is not known yet."""
    known = np.array([*([START] * (keys - 1)), NEVER])
    table = SimpleNamespace(
        zone="UTC",
        keys=pl.Series([str(number) for number in range(keys)]),
        answered=known,
        y=np.array([1.0 - number % 2 for number in range(keys)]),
    )
    task = Task(kind="binary", metric="log_loss", loss="log_loss")
    prepared = SimpleNamespace(table=table, task=task)
    replay: Any = SimpleNamespace(prepare=lambda *_, **__: prepared)
    folder = platform.settings.state_folder / PREDICTIONS
    shadows = platform.loop.shadows
    shadows._losses = Outcomes(folder, replay, platform.data).losses
    return shadows


@pytest.mark.parametrize(("lift", "says"), [(0.2, "better"), (-0.2, "worse")])
def test_pairs_are_compared_by_answers_and_by_the_labels_of_closed_days(
    platform: Platform, versions: tuple[str, str, str], today: Today, lift: float, says: str
) -> None:
    a, b, _ = versions
    follow(platform, b)
    _log(platform, b, a, 9, lift)
    shadows = _labelled(platform, 9 * 40)
    today.at = START + 5 * DAY
    early = shadows.show("dev", NAME)["labels"]
    assert early["says"].startswith("not yet: 4 of 7")
    assert "difference" not in early
    today.at = START + 11 * DAY
    found = shadows.show("dev", NAME)
    assert json.loads(json.dumps(found)) == found
    answers = found["answers"]
    assert (found["against"], answers["pairs"]) == (a, 360)
    assert answers["largest"] == pytest.approx(0.2)
    assert answers["mean_difference"] == pytest.approx(0.0)
    assert answers["quantiles"]["95%"] == pytest.approx(0.2)
    assert answers["rank_correlation"] < 1
    labels = found["labels"]
    assert (labels["says"], labels["outcomes"], labels["days"]) == (says, 359, 9)
    assert labels["low"] <= labels["difference"] <= labels["high"]
    assert labels["difference"] == pytest.approx(labels["shadow_loss"] - labels["loss"], abs=0.01)
    with platform.units.write("dev", 3) as unit:
        platform.serving.set_log(unit, NAME, LogRules(row={"id": "hash"}))
    assert "personal" in shadows.show("dev", NAME)["labels"]["says"]


def test_only_pairs_with_the_champion_since_it_began_count(
    platform: Platform, versions: tuple[str, str, str], today: Today
) -> None:
    a, b, c = versions
    today.at = START + DAY
    follow(platform, b)
    _log(platform, b, a, 2, 0.2)
    folder = platform.settings.state_folder / PREDICTIONS
    deployment = shown(platform)
    assert deployment.route.shadow is not None
    rows = pairs(folder, deployment, deployment.route.shadow)
    assert rows.height == 40  # of the second day
    flipped = (rows["given"] >= 0.5) != (rows["said"] >= 0.5)
    assert compared(rows)["labels_flipped"] == flipped.sum() > 0
    with platform.units.write("dev", 3) as unit:
        platform.serving.promote(unit, NAME, c, reason="better")
    assert pairs(folder, shown(platform), deployment.route.shadow).is_empty()
    shadows = platform.loop.shadows
    assert shadows.show("dev", NAME)["labels"]["says"] == "nothing is scored yet"


def test_texts_are_alike_or_not(platform: Platform, versions: tuple[str, str, str]) -> None:
    rows = pl.DataFrame(
        {"given": [None, None], "said": [None, None], "other": [True, False]},
        schema={"given": pl.Float64, "said": pl.Float64, "other": pl.Boolean},
    )
    assert compared(rows) == {"pairs": 2, "labels_flipped": 1}


def test_labels_that_cannot_be_read_are_said(
    platform: Platform, versions: tuple[str, str, str]
) -> None:
    a, b, _ = versions
    follow(platform, b)
    _log(platform, b, a, 1, 0.1)
    found = platform.loop.shadows.show("dev", NAME)  # there is no project file
    assert found["labels"]["says"].startswith("labels cannot be read: ")
    assert found["answers"]["pairs"] == 40


def test_counts_of_all_planes_are_told_by_status_and_show(
    platform: Platform, versions: tuple[str, str, str]
) -> None:
    _, b, _ = versions
    folder = platform.settings.state_folder / PREDICTIONS
    folder.mkdir(parents=True)
    for worker, since in ((0, START), (1, START), (2, START - 1)):
        counts = Shadowed(
            deployment=NAME, version=b, since=since, offered=100, scored=70, dropped=29,
            failed=1, batches=7, seconds=0.14, one=0.002, error="ValueError",
        )  # fmt: skip
        observed = Observed(environment="dev", shadows=[counts])
        (folder / f"observed-{worker}.json").write_bytes(msgspec.json.encode(observed))
    assert platform.loop.shadows.counted("dev", NAME) is None
    follow(platform, b)
    assert len(read_observed(folder, "dev", NAME).shadows) == 2
    [line] = platform.loop.status("dev")["deployments"]
    assert line["shadow"] == {
        "version": b,
        "budget": 25,
        "since": "2024-10-04T00:00:00Z",
        "offered": 200,
        "scored": 140,
        "failed": 2,
        "dropped": 58,
        "scored_of_offered": 0.7,
        "ms_a_row": 2.0,
        "ms_for_one_row": 2.0,
        "newest_error": "ValueError",
    }


def test_a_backup_has_the_pairs(
    platform: Platform, versions: tuple[str, str, str], tmp_path: Path
) -> None:
    _log(platform, versions[1], versions[0], 1, 0.1)
    folder, to = platform.settings.state_folder / PREDICTIONS, tmp_path / "copy"
    to.mkdir()
    copy_log(folder, to)
    kept = list(read_predictions(shadow_log(to)))
    assert kept == list(read_predictions(shadow_log(folder)))
    assert len(kept) == 40
    assert list(read_predictions(to)) == []
