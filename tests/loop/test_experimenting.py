"""Versions side by side: weights, what the log tells of them, a bandit, and every way to the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
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
from nenrin.loop.experimenting import Asked
from nenrin.loop.exposures import LAG, Measured, analysed, planned
from nenrin.platform import PREDICTIONS, Platform
from nenrin.project.outcomes import Outcomes, closed_days, joined
from nenrin.serving.batch.logging import FIRST
from nenrin.serving.experiment import Experiment, Stretch, dealt
from nenrin.serving.masks import LogRules
from nenrin.serving.prediction import Prediction
from nenrin.serving.router import Route, Router, Variant, key_hashes
from nenrin.serving.signature import RequestField, RequestSignature
from nenrin.training.tasks import Task
from tests.loop.test_guarding import Plain, observed

NAME = "delay"
START = 20_000 * DAY
REQUEST = RequestSignature(fields=(RequestField(name="id", kind="integer"),), key=("id",))


class Today:
    """A calendar that a test moves."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> int:
        return self.at


@pytest.fixture
def today() -> Today:
    return Today()


@pytest.fixture
def platform(tmp_path: Path, today: Today) -> Iterator[Platform]:
    (tmp_path / "outcomes.csv").write_text("id,won\n-1,0\n")
    (tmp_path / "project.py").write_text(
        'import nenrin as nr\noutcomes = nr.file("outcomes.csv", key="id")\n'
    )
    settings = Settings.read(folder=tmp_path, workers=0)
    with Platform(settings, kinds=[Plain()], calendar=today) as opened:
        yield opened


@pytest.fixture
def versions(platform: Platform) -> tuple[str, str, str]:
    found = []
    for content in (b"a", b"b", b"c"):
        digest = platform.store.put(content)
        with platform.units.write("dev", 1) as unit:
            found.append(
                platform.registry.register(
                    unit, name=NAME, kind="plain", content=digest, revision="r"
                ).id
            )
    with platform.units.write("dev", 1) as unit:
        platform.serving.deploy(
            unit, NAME, model=NAME, version=found[0], revision="r", request=REQUEST, features="s"
        )
    return found[0], found[1], found[2]


def begin(platform: Platform, *challengers: str, **said: Any) -> dict[str, Any]:
    asked = Asked(challengers=challengers, **said)
    return platform.loop.experiments.start("dev", NAME, asked)


def test_versions_answer_side_by_side_and_the_loop_rests(
    platform: Platform, versions: tuple[str, str, str]
) -> None:
    a, b, _ = versions
    told = begin(platform, b, weight=30)
    assert told["route"] == [{"version": a, "weight": 70}, {"version": b, "weight": 30}]
    kept = platform.serving.show("dev", NAME)
    assert [variant.features for variant in kept.route.variants] == ["s", "s"]
    assert kept.frozen
    [event] = platform.units.find("dev", kind="experiment.started")
    assert event.body["experiment"]["versions"] == [a, b]
    with pytest.raises(ConflictError, match="an experiment runs"):
        platform.loop.unfreeze("dev", NAME)
    with pytest.raises(ConflictError, match="an experiment runs"):
        begin(platform, b)
    assert platform.loop.tick("dev") == 0


def test_a_weight_is_moved_and_no_key_is_dealt_anew(
    platform: Platform, today: Today, versions: tuple[str, str, str]
) -> None:
    a, b, _ = versions
    begin(platform, b, weight=30)
    hashes = key_hashes(map(str, range(1_000)))
    before = Router(platform.serving.show("dev", NAME).route).split(hashes)
    today.at += DAY
    told = platform.loop.experiments.weigh("dev", NAME, 60)
    assert told["route"] == [{"version": a, "weight": 40}, {"version": b, "weight": 60}]
    deployment = platform.serving.show("dev", NAME)
    assert deployment.experiment is not None
    assert deployment.experiment.stretches == (
        Stretch(START, (70, 30)),
        Stretch(START + DAY, (40, 60)),
    )
    after = Router(deployment.route).split(hashes)
    assert set(after[before == 1]) == {1}
    assert 0.2 < np.mean(after != before) < 0.4
    assert deployment.route.challengers[0].features == "s"
    assert len(platform.units.find("dev", kind="experiment.weighed")) == 1
    platform.loop.experiments.weigh("dev", NAME, 60)  # as it is: no event
    assert len(platform.units.find("dev", kind="experiment.weighed")) == 1
    with pytest.raises(RequestError, match="cannot be dealt"):
        platform.loop.experiments.weigh("dev", NAME, 100)
    platform.loop.experiments.stop("dev", NAME)
    with pytest.raises(ConflictError, match="has ended"):
        platform.loop.experiments.weigh("dev", NAME, 50)


def test_a_bandit_weighs_by_itself(platform: Platform, versions: tuple[str, str, str]) -> None:
    with pytest.raises(NotFoundError, match="never was an experiment"):
        platform.loop.experiments.weigh("dev", NAME, 50)
    begin(platform, versions[1], strategy="bandit")
    with pytest.raises(ConflictError, match="by itself"):
        platform.loop.experiments.weigh("dev", NAME, 60)


def test_it_survives_a_restart_and_is_stopped_once(
    platform: Platform, versions: tuple[str, str, str]
) -> None:
    a, b, _ = versions
    begin(platform, b)
    with Platform(platform.settings, kinds=[Plain()], calendar=platform.calendar) as again:
        told = again.loop.experiments.stop("dev", NAME)
    assert told["route"] == [{"version": a, "weight": 100}]
    assert told["why"] == "stopped by hand"
    kept = platform.serving.show("dev", NAME)
    assert not kept.frozen
    [event] = platform.units.find("dev", kind="experiment.stopped")
    assert event.body["serves"] == a
    with pytest.raises(ConflictError, match="has ended"):
        platform.loop.experiments.stop("dev", NAME)


def test_what_is_promoted_by_hand_ends_it(
    platform: Platform, versions: tuple[str, str, str]
) -> None:
    _, b, _ = versions
    begin(platform, b)
    with platform.units.write("dev", 2) as unit:
        done = platform.serving.promote(unit, NAME, b, reason="by hand")
    assert done.experiment is not None
    assert not done.experiment.runs
    assert not done.frozen


def test_what_is_not_safe_is_taken_back_from_an_experiment(
    platform: Platform, versions: tuple[str, str, str]
) -> None:
    a, b, _ = versions
    begin(platform, b, weight=20)
    observed(platform, b, a)
    assert len(platform.loop.guarding.guard("dev")) == 1
    kept = platform.serving.show("dev", NAME)
    assert kept.champion == a
    assert not kept.route.challengers
    assert kept.experiment is not None
    assert "not safe" in kept.experiment.why


def test_what_cannot_be_an_experiment_is_refused(
    platform: Platform, versions: tuple[str, str, str]
) -> None:
    a, b, _ = versions
    with pytest.raises(RequestError, match="comes twice"):
        begin(platform, a)
    with pytest.raises(RequestError, match="cannot be dealt"):
        begin(platform, b, weight=100)
    with pytest.raises(RequestError, match="no strategy"):
        begin(platform, b, strategy="luck")
    with pytest.raises(RequestError, match="a day or more"):
        begin(platform, b, effect=0.0)
    with pytest.raises(NotFoundError, match="never was"):
        platform.loop.experiments.show("dev", NAME)
    platform.loop.mark_bad("dev", b, "it is")
    with pytest.raises(RefusedError, match="bad"):
        begin(platform, b)
    with platform.units.write("dev", 3) as unit:
        platform.serving.set_log(unit, NAME, LogRules(row={"id": "hash"}))
    with pytest.raises(RefusedError, match="is personal"):
        begin(platform, versions[2])
    by_header = msgspec.structs.replace(REQUEST, sticky="x-user")
    with platform.units.write("dev", 3) as unit:
        platform.serving.declare(unit, NAME, by_header, None)
    with pytest.raises(RefusedError, match="not logged"):
        begin(platform, versions[2])


def test_raising_a_weight_moves_keys_from_the_champion_alone() -> None:
    hashes = key_hashes(f"user-{n}" for n in range(20_000))

    def split(weight: int) -> np.ndarray:
        weights = dealt(weight, 1)
        variants = tuple(Variant(version=v, weight=w) for v, w in zip("ab", weights, strict=True))
        return Router(Route(deployment=NAME, variants=variants)).split(hashes)

    before, after = split(10), split(35)
    assert not (after[before == 1] == 0).any()
    assert (after != before).mean() == pytest.approx(0.25, abs=0.02)


def _experiment(*stretches: Stretch, **said: Any) -> Experiment:
    return Experiment(
        versions=("a", "b"), stretches=stretches or (Stretch(START, (50, 50)),), **said
    )


def _rows(days: int, a_day: int, effect: float, seed: int, share: float = 0.5) -> pl.DataFrame:
    """Fresh keys each day, days that differ, and half as much noise again that a key's past explains."""
    random = np.random.default_rng(seed)
    n = days * a_day
    arm, day = random.random(n) < share, np.repeat(np.arange(days), a_day)
    value = effect * arm + random.normal(scale=3, size=days)[day] + random.normal(size=n)
    first = date(2024, 10, 4)
    return pl.DataFrame(
        {
            "unit": [f"u{i}" for i in range(n)],
            "version": np.where(arm, "b", "a"),
            "at": START + LAG + day * DAY + np.tile(np.arange(a_day), days),
            "day": [first + timedelta(days=int(each)) for each in day],
            "closed": True,
            "value": value,
        }
    )


def test_a_difference_is_told_after_a_week_and_not_before() -> None:
    rows = _rows(10, 300, -0.6, 1)
    told = analysed(_experiment(), Measured(rows.head(6 * 300)))
    assert told["differences"][0]["difference"] is None
    assert told["says"] == "b: not yet: 6 of 7 closed days with outcomes of both"
    [found] = analysed(_experiment(effect=0.5), Measured(rows))["differences"]
    assert found["low"] < -0.6 < found["high"] < 0
    assert found["says"] == "better"
    assert found["power"]["of_the_effect_asked_for"] > 0.9
    [other] = analysed(_experiment(lower=False), Measured(rows))["differences"]
    assert other["says"] == "worse"
    nothing = analysed(_experiment(days=10), Measured(_rows(10, 300, 0.0, 2)))
    assert nothing["says"] == "b: no difference found"
    assert nothing["split"]["sound"]


def test_open_days_named_versions_and_the_first_seconds_are_left_out() -> None:
    rows = _rows(10, 300, 0.0, 3)
    late = rows.with_columns(closed=pl.col("day") < date(2024, 10, 6))
    assert analysed(_experiment(), Measured(late))["days"] == 2
    early = rows.with_columns(at=pl.lit(START + LAG - 1, pl.Int64))
    assert analysed(_experiment(), Measured(early))["exposures"][0]["keys"] == 0
    others = rows.with_columns(version=pl.lit("c"))
    assert analysed(_experiment(), Measured(others))["outcomes"] == 0


def test_a_broken_split_is_not_read() -> None:
    told = analysed(_experiment(), Measured(_rows(10, 300, -0.6, 4, share=0.4)))
    assert not told["split"]["sound"]
    assert told["differences"] == []
    assert "broken" in told["says"]
    said = Stretch(START, (60, 40))
    assert analysed(_experiment(said), Measured(_rows(10, 300, -0.6, 4, share=0.4)))["split"][
        "sound"
    ]


def test_weights_that_moved_are_judged_stretch_by_stretch() -> None:
    first, second = _rows(10, 300, 0.0, 5, share=0.1), _rows(20, 300, 0.0, 6, share=0.8)
    moved = second.with_columns(unit=pl.col("unit") + "x").tail(3_000)
    rows = Measured(pl.concat([first, moved]))
    split = Stretch(START, (90, 10)), Stretch(START + 10 * DAY, (20, 80))
    assert analysed(_experiment(*split), rows)["split"]["sound"]
    assert not analysed(_experiment(), rows)["split"]["sound"]


def test_what_a_key_did_before_narrows_the_interval() -> None:
    random = np.random.default_rng(7)
    rows = _rows(10, 300, -0.3, 7)
    level = random.normal(scale=2, size=300)
    same = rows.with_columns(
        unit=pl.Series([f"u{i % 300}" for i in range(3_000)]),
        version=pl.Series(np.tile(np.where(np.arange(300) % 2, "b", "a"), 10)),
        value=pl.Series(
            np.tile(level - 0.3 * (np.arange(300) % 2), 10) + random.normal(size=3_000)
        ),
    )
    before = same.with_columns(at=pl.col("at") - 20 * DAY, value=pl.Series(np.tile(level, 10)))
    plain = analysed(_experiment(), Measured(same))["differences"][0]
    cuped = analysed(_experiment(), Measured(pl.concat([before, same])))["differences"][0]
    assert plain["cuped"] is None
    assert cuped["cuped"]["slope"] == pytest.approx(1, abs=0.05)
    assert cuped["standard_error"] < 0.4 * plain["standard_error"]
    assert cuped["low"] < -0.3 < cuped["high"]


def test_a_plan_is_made_of_what_was_before() -> None:
    rows = Measured(_rows(10, 300, 0.0, 8))
    plan = planned(_experiment(effect=0.5), rows)
    assert plan is not None
    assert plan["outcomes_a_day"] == 300
    assert plan["days_needed"] == -(-plan["outcomes_needed"] // 300)
    assert planned(_experiment(), rows) is None


def test_an_outcome_counts_as_it_was_known_when_its_day_closed() -> None:
    asked = [START, START + DAY - 1, START + DAY]
    rows = pl.DataFrame({"key": ["1", "2", "3"], "asked": asked})
    closed = closed_days(rows, "UTC", DAY, START + 2 * DAY)
    assert closed["closed"].to_list() == [True, True, False]
    values = pl.DataFrame(
        {
            "of": ["1", "1", "2", "9"],
            "known": [START, START + DAY, START + 3 * DAY, START],
            "found": [1.0, 2.0, 3.0, 4.0],
        }
    )
    assert joined(closed, values, "key")["found"].to_list() == [2.0, None, None]


def test_a_loss_is_of_the_label_that_was_known_in_time(
    platform: Platform, versions: tuple[str, str, str]
) -> None:
    begin(platform, versions[1])
    outcomes = platform.projects.load().datasets["outcomes"]
    platform.data.load("dev", outcomes, START)
    _log(platform, versions, 1, 4)
    table = SimpleNamespace(
        zone="UTC",
        keys=pl.Series(["0", "1", "2", "9"]),
        answered=np.array([START, START + 9 * DAY, NEVER, START]),
        y=np.array([1.0, 0.0, np.nan, 1.0]),
    )
    prepared = SimpleNamespace(
        table=table, task=Task(kind="binary", metric="log_loss", loss="log_loss")
    )
    load = platform.projects.load
    replay: Any = SimpleNamespace(prepare=lambda *_, **__: prepared, load=load)
    measure = Outcomes(platform.settings.state_folder / PREDICTIONS, replay, platform.data).measure
    deployment = platform.serving.show("dev", NAME)
    found = measure("dev", deployment, _experiment(), DAY, START + 3 * DAY).rows
    assert found["closed"].all()
    assert found["value"][0] == pytest.approx(np.log(2))
    assert np.isnan(found["value"].to_numpy()[1:]).all()
    with pytest.raises(RequestError, match="no dataset"):
        measure("dev", deployment, _experiment(outcome="orders.won"), DAY, START)
    with pytest.raises(RequestError, match="no column of numbers"):
        measure("dev", deployment, _experiment(outcome="outcomes.lost"), DAY, START)


def _log(platform: Platform, versions: tuple[str, ...], days: int, a_day: int) -> None:
    """What planes log of fresh keys, dealt by the route of now; the last version wins most often."""
    random = np.random.default_rng(days)
    folder = platform.settings.state_folder / PREDICTIONS / "1"
    batches = folder.with_name(str(FIRST))
    for each in (folder, batches):
        each.mkdir(parents=True, exist_ok=True)
    router = Router(platform.serving.show("dev", NAME).route)
    lines, outcomes = [], ["id,won", "-1,0"]
    for number in range(days * a_day):
        place, at = router.pick(str(number)), START + number // a_day * DAY + LAG + number
        lines.append(
            msgspec.json.encode(
                Prediction(
                    number=number + 1,
                    id=f"p{number}",
                    deployment=NAME,
                    version=versions[place],
                    variant=place,
                    key=str(number),
                    asked=at,
                    at=at,
                    answer=0.5,
                    row={"id": number},
                    features={},
                )
            )
        )
        outcomes.append(f"{number},{int(random.random() < 0.3 + 0.15 * place)}")
    (folder / "0.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    batch = b"\n".join(lines).replace(b'"key":"', b'"key":"batch-')
    (batches / "0.ndjson").write_bytes(batch + b"\n")
    dataset = platform.projects.load().datasets["outcomes"]
    for day in range(1, days + 1):  # each day is known at its end
        text = "\n".join(outcomes[: 2 + day * a_day]) + "\n"
        (platform.settings.folder / "outcomes.csv").write_text(text)
        platform.data.load("dev", dataset, START + day * DAY)


def test_a_bandit_learns_from_closed_days_one_event_a_change(
    platform: Platform, versions: tuple[str, str, str], today: Today
) -> None:
    dataset = platform.projects.load().datasets["outcomes"]
    platform.data.load("dev", dataset, START)
    begin(platform, *versions[1:], weight=66, strategy="bandit", outcome="outcomes.won")
    _log(platform, versions, 4, 300)
    assert platform.loop.experiments.tick("dev") == 0
    today.at = START + 5 * DAY
    assert platform.loop.experiments.tick("dev") == 1
    assert platform.loop.experiments.tick("dev") == 0
    kept = platform.serving.show("dev", NAME)
    weights = [variant.weight for variant in kept.route.variants]
    assert min(weights) >= 5
    assert weights[2] == max(weights) > 60
    [event] = platform.units.find("dev", kind="experiment.weighed")
    assert event.body["experiment"]["read"] == "2024-10-07"
    today.at += 1
    assert platform.loop.experiments.tick("dev") == 0  # no day has come to it
    told = platform.loop.experiments.show("dev", NAME)
    assert [each["keys"] for each in told["exposures"]] == pytest.approx([408, 396, 396], abs=60)
    assert told["changes_of_weight"] == 1
    rows = platform.loop.experiments.exposures("dev", NAME)
    assert len(rows) == 1_200
    assert json.dumps(told)
