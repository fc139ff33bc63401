"""The report can be recomputed: its table from the export, its predictions from the raw files."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.instants import to_us
from nenrin.training.artefact import Artefact
from tests.journeys.flights.conftest import Replayed
from tests.journeys.flights.reference import NEW_YORK, Raw


def log_loss(y: np.ndarray, p: np.ndarray) -> float:
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return float(np.mean(np.where(y == 1, -np.log(p), -np.log1p(-p))))


def roc_auc(y: np.ndarray, p: np.ndarray) -> float:
    """By ranks, ties counted half (Mann and Whitney, 1947)."""
    _, inverse, counts = np.unique(p, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    rank = (last - (counts - 1) / 2)[inverse]
    ones = float(np.sum(y))
    zeros = len(y) - ones
    return (float(np.sum(rank[y == 1])) - ones * (ones + 1) / 2) / (ones * zeros)


def by_policy(replayed: Replayed) -> dict[str, pl.DataFrame]:
    frame = replayed.predictions.filter(pl.col("label").is_not_null())
    return {name: frame.filter(policy=name) for name in frame["policy"].unique()}


def columns(rows: pl.DataFrame) -> dict[str, float]:
    y, p = rows["label"].to_numpy(), rows["p"].to_numpy()
    return {"log_loss": log_loss(y, p), "roc_auc": roc_auc(y, p), "bias": float(np.mean(y - p))}


def month_of(rows: pl.DataFrame) -> pl.Series:
    return rows["asked"].dt.convert_time_zone(str(NEW_YORK)).dt.strftime("%Y-%m")


def test_the_table_follows_from_the_exported_predictions(replayed: Replayed) -> None:
    report, policies = replayed.report, by_policy(replayed)
    assert len(policies) == 5
    for name, rows in policies.items():
        total = report["total"][name]
        assert total["rows"] == rows.height
        found = columns(rows)
        assert {n: total[n] for n in found} == pytest.approx(found, abs=1e-12)
        assert [line["month"] for line in report["months"]] == sorted(set(month_of(rows)))
        for line in report["months"]:
            here = rows.filter(month_of(rows) == line["month"])
            assert line["rows"] == here.height
            assert line["base_rate"] == pytest.approx(here["label"].mean())
            assert line[name] == pytest.approx(columns(here), abs=1e-12)


def test_the_best_in_hindsight_is_the_best_other_of_each_month(replayed: Replayed) -> None:
    report, policies = replayed.report, by_policy(replayed)
    chosen = []
    for line in report["months"]:
        here = [
            rows.filter(month_of(rows) == line["month"])
            for name, rows in policies.items()
            if name != "loop"
        ]
        best = min(here, key=lambda rows: columns(rows)["log_loss"])
        chosen.append(best)
        assert line["hindsight"] == pytest.approx(columns(best), abs=1e-12)
    found = columns(pl.concat(chosen))
    total = report["total"]["hindsight"]
    assert {n: total[n] for n in found} == pytest.approx(found, abs=1e-12)


def test_differences_are_those_of_the_exported_predictions(replayed: Replayed) -> None:
    policies = by_policy(replayed)
    mine = policies["loop"]
    for line in replayed.report["differences"]:
        if line["against"] == "hindsight":
            continue
        theirs = policies[line["against"]]
        assert mine["key"].equals(theirs["key"])
        y = mine["label"].to_numpy()
        gap = log_loss(y, mine["p"].to_numpy()) - log_loss(y, theirs["p"].to_numpy())
        assert line["mean"] == pytest.approx(gap, abs=1e-12)
        assert line["low"] <= line["mean"] <= line["high"]
        assert line["pays"] == (line["high"] < 0)


def test_no_policy_answered_from_rows_it_was_trained_on(replayed: Replayed) -> None:
    frame = replayed.predictions
    assert frame.filter(pl.col("cutoff") > pl.col("asked")).is_empty()
    assert frame["policy"].n_unique() == 5
    assert frame.group_by("policy").len()["len"].n_unique() == 1


def test_five_hundred_predictions_from_the_raw_files(replayed: Replayed) -> None:
    raw = Raw()
    rows = replayed.predictions.to_dicts()
    chosen = random.Random(7).sample(rows, 500)
    store, registry = replayed.platform.store, replayed.platform.registry
    environment = f"backtest/{replayed.report['id']}"
    contents = {v.id: v.content for v in registry.list(environment)}
    shared = [
        (event.at, event.body)
        for event in replayed.platform.units.events(environment)
        if event.kind == "deployment.shared"
    ]
    models: dict[str, Artefact] = {}
    for row in chosen:
        features, found = raw.features(row["asked"], _raw_row(raw, row)), 0.0
        body = [body for at, body in shared if at <= to_us(row["asked"])][-1]
        assert body["recalibration"] is None
        alone = [{"version": row["version"], "share": 1.0}]  # a comparator's fit
        for member in body["members"].get(row["version"], alone):
            version = member["version"]
            if version not in models:
                models[version] = Artefact.loads(store.get(contents[version]), trusted=True)
            found += member["share"] * models[version].predict(_frame(features))[0]
        assert math.isclose(found, row["p"], rel_tol=0, abs_tol=1e-12), (row, features)


def _raw_row(raw: Raw, row: dict[str, Any]) -> dict[str, str]:
    """The raw line of a flight, by its key and its local departure."""
    _, _, _, carrier, number, origin, *_ = row["key"].split("-")
    local = row["asked"].astimezone(NEW_YORK).replace(tzinfo=None)
    for moved in (local, local + timedelta(hours=1), local - timedelta(hours=1)):
        found = raw.flights.get((moved, carrier, number, origin))
        if found is not None:
            return found
    raise AssertionError(row)


def _frame(features: dict[str, Any]) -> pl.DataFrame:
    types = {"wet": pl.Boolean, "far": pl.Boolean, "carrier": pl.String, "dest": pl.String}
    types |= {"hour": pl.Int64, "landed_1h": pl.Int64}
    return pl.DataFrame(
        {
            name: pl.Series([value], dtype=types.get(name, pl.Float64))
            for name, value in features.items()
        }
    )


def test_what_happened_is_told_with_dates_and_reasons(replayed: Replayed) -> None:
    report = replayed.report
    assert report["counts"]["looks"] >= 9
    assert report["counts"]["trainings"] >= 3 * 9
    assert all(line["at"] and line["text"] for line in report["events"])
    labels = report["labels"]
    window = replayed.predictions.filter(policy="loop").height
    assert sum(labels.values()) == window
    assert labels["never"] > 0
    assert report["settle_age"] == "9h"


def test_costs_are_told_by_whose_code_ran(replayed: Replayed) -> None:
    cpu = replayed.report["cost"]["cpu"]
    assert cpu["total"] == pytest.approx(cpu["fit"] + cpu["predict"] + cpu["platform"])
    assert cpu["fit"] > cpu["predict"] > 0
    assert cpu["platform"] > 0
