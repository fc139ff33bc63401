"""Logged answers computed anew: an honest log has no difference, and each kind of difference is found."""

from __future__ import annotations

import json
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.features.slices import key_bytes
from tests.journeys.plane import PlaneHere
from tests.journeys.shell import Shell

PROJECT = '''"""Whether somebody agrees: by arithmetic alone, for libraries take long to import."""
import nenrin as nr
import numpy as np

questions = nr.file("questions.parquet", key="id", time="asked")
answers = nr.file("answers.parquet", key="id", time="told")
readings = nr.file("readings.parquet", key=["place", "at"], time="at", known="1m")

@nr.feature_view(questions)
def said(q):
    return {"x": q.x}

@nr.feature_view(readings, by="place", ttl="6h")
def level(r):
    return {"level": r.level}

@nr.feature_view(readings, by="place", hop="10m")
def lately(r):
    return {"n": r.count("6h"), "mean": r.level.mean("6h")}

class Logistic:
    def __init__(self, x, y):
        self.width = np.abs(np.nan_to_num(x)).max(axis=0)
        self.weights = np.zeros(x.shape[1])
        for _ in range(300):
            self.weights += self.scaled(x).T @ (y - self.predict(x)) / len(y)

    def scaled(self, x):
        return 3 * np.clip(np.nan_to_num(x), -99, 99) / self.width

    def predict(self, x):
        return 1 / (1 + np.exp(-self.scaled(x) @ self.weights))

    def predict_proba(self, x):
        return np.column_stack([1 - self.predict(x), self.predict(x)])

@nr.model(rows=questions, label=answers.yes, features=[said, level, lately], metric="log_loss")
def agree(rows):
    return Logistic(rows.numpy(), rows.y)

service = nr.deployment(agree, recipes=[nr.history()], serve="champion", missing=MISSING)
'''
NOW = datetime.now(UTC).replace(microsecond=0)
DAYS, PLACES = 60, ("a", "b", "c")
ONLINE = {"NENRIN_ONLINE": "sqlite"}


def write(folder: Path, until: timedelta) -> None:
    """Sixty questions a day, answered two hours later, and hourly readings, which end so long before now."""
    draw = np.random.default_rng(3)
    n = DAYS * 60
    asked = [NOW - timedelta(hours=float(h)) for h in np.sort(draw.uniform(3, 24 * DAYS, n))[::-1]]
    x = draw.normal(size=n)
    yes = draw.random(n) < 1 / (1 + np.exp(-3 * x))
    ids = [f"q{number}" for number in range(n)]
    place = draw.choice(PLACES, n).tolist()
    pl.DataFrame({"id": ids, "asked": asked, "x": x, "place": place}).write_parquet(
        folder / "questions.parquet"
    )
    told = [instant + timedelta(hours=2) for instant in asked]
    pl.DataFrame({"id": ids, "told": told, "yes": yes}).write_parquet(folder / "answers.parquet")
    hours = [h for h in range(24 * DAYS, 0, -1) if timedelta(hours=h) >= until]
    readings = [
        {"place": each, "at": NOW - timedelta(hours=h), "level": 0.1 * number + 0.001 * h}
        for h in hours
        for number, each in enumerate(PLACES)
    ]
    pl.DataFrame(readings).write_parquet(folder / "readings.parquet")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was run once; its readings have ended twelve hours ago."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "project.py").write_text(PROJECT.replace("MISSING", '{"x": 0.5}'))
    write(folder, timedelta(hours=12))
    Shell(folder, {"NENRIN_WORKERS": "0", **ONLINE}).here("run")
    return folder


@pytest.fixture
def shell(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    folder = tmp_path / "folder"
    shutil.copytree(begun, folder)
    monkeypatch.setenv("NENRIN_ONLINE", "sqlite")
    return Shell(folder, {"NENRIN_WORKERS": "0", **ONLINE})


def log_of(shell: Shell, plane: PlaneHere) -> None:
    """The plane here keeps its log beside ``.nenrin``; the command reads the one in it."""
    shutil.rmtree(shell.folder / ".nenrin" / "predictions", ignore_errors=True)
    shutil.copytree(shell.folder / "predictions", shell.folder / ".nenrin" / "predictions")


def ask(shell: Shell, plane: PlaneHere) -> None:
    """Ask of before, of now, by the key alone; of a place that nobody knows, and a row that is not there."""
    rows = pl.read_parquet(shell.folder / "questions.parquet").tail(45).head(5).to_dicts()
    known = [{**row, "asked": row["asked"].isoformat()} for row in rows]
    places = enumerate((*PLACES, "nowhere"))
    new = [{"id": f"new {each}", "x": 0.1 * number, "place": each} for number, each in places]
    by_key = [{"id": row["id"]} for row in rows]
    plane.post("/invocations", *[[row] for row in (*known, *new, *by_key, {"id": "unheard of"})])
    log_of(shell, plane)


def check(shell: Shell, *words: str, code: int) -> dict[str, Any]:
    found: dict[str, Any] = shell.here("predictions", "check", *words, "--json", code=code).json
    return found


def counts(found: dict[str, Any]) -> dict[str, dict[str, int]]:
    """By feature, the kinds of difference that it has."""
    kinds = ("mismatch", "missing", "stale")
    return {
        each["feature"]: {kind: each[kind] for kind in kinds if each[kind]}
        for each in found["features"]
    }


def stored(shell: Shell) -> sqlite3.Connection:
    return sqlite3.connect(shell.folder / ".nenrin" / "facts.db")


def test_an_honest_log_differs_nowhere_and_later_data_is_no_difference(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = PlaneHere(shell.folder)
    plane.post("/invocations", b'[{"id": "far", "x": Infinity, "place": "a"}]')
    log_of(shell, plane)
    found = check(shell, code=0)
    assert (found["checked"], found["differ"]) == (1, 0)
    assert '"x": Infinity' in shell.here("predictions", "tail", "--json").out
    for form in ("ndjson", "parquet"):
        shell.here("predictions", "export", "--to", str(shell.folder / f"all.{form}"))
    assert '"row":{"id":"far","x":Infinity' in (shell.folder / "all.ndjson").read_text()
    [row] = pl.read_parquet(shell.folder / "all.parquet")["row"]
    assert json.loads(row)["x"] == float("inf")
    shutil.rmtree(shell.folder / "predictions")
    ask(shell, plane)
    found = check(shell, code=0)
    assert found["checked"] == found["logged"] == 15
    assert (found["differ"], found["came later"], found["not checked"]) == (0, 0, [])
    seen = plane.logged()[5]
    assert seen.features["level"] is None  # twelve hours old, and of use for six
    assert 12 * 3600 <= (seen.ages["level"] or 0) < 13 * 3600
    assert plane.logged()[8].ages == {"level": None, "lately": None}
    write(shell.folder, timedelta(hours=1))
    shell.here("run")  # the readings of eleven hours, which were known before what was asked
    found = check(shell, code=0)
    assert (found["checked"], found["differ"], found["came later"]) == (15, 0, 3)
    ask(shell, PlaneHere(shell.folder))
    found = check(shell, "--grace", "0s", code=0)
    assert (found["checked"], found["differ"], found["came later"]) == (30, 0, 3)
    assert check(shell, "--sample", "7", code=0)["checked"] == 7
    assert check(shell, "--until", "2020-01-01", code=0)["logged"] == 0
    assert "no prediction" in shell.here("predictions", "check", "--until", "2020-01-01").out
    monkeypatch.setenv("NENRIN_JOIN_MEMORY", "1000")
    (left,) = check(shell, code=0)["not checked"]
    assert left["count"] == 30
    assert "readings is too large" in left["why"]


def test_a_store_that_nobody_fills_is_stale(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    plane = PlaneHere(shell.folder)
    plane.get("/v2/health/live")
    write(shell.folder, timedelta(hours=1))
    shell.here("run", NENRIN_ONLINE="")
    monkeypatch.setattr(plane._table, "refresh", lambda: None)  # what is new is not there to load
    ask(shell, plane)
    found = check(shell, "--grace", "0s", code=1)
    assert counts(found) == {"level": {"stale": 3}, "mean": {"stale": 3}, "n": {"stale": 3}}
    assert found["differ"] == 3
    assert {each["behind"] for each in found["features"]} == {11 * 3600.0}
    assert found["answers"][0]["differ"] == 3
    assert found["features"][0]["examples"][0] in {each.id for each in plane.logged()}
    told = shell.here("predictions", "check", "--grace", "0s", code=1).out
    assert "15 of 15 predictions were checked, 3 differ" in told
    assert check(shell, code=0)["came later"] == 3  # it may have been about to


def test_a_changed_and_a_deleted_value_are_found(shell: Shell) -> None:
    write(shell.folder, timedelta(hours=1))
    shell.here("run")
    with stored(shell) as store:
        of_b = dict(
            store.execute("SELECT space, value FROM online WHERE key = ?", (key_bytes(["b"]),))
        )
        assert len(of_b) == 2
        for space, value in of_b.items():
            change = "UPDATE online SET value = ? WHERE space = ? AND key = ?"
            store.execute(change, (value, space, key_bytes(["a"])))
            store.execute(
                "DELETE FROM online WHERE space = ? AND key = ?", (space, key_bytes(["c"]))
            )
    store.close()
    rows = [{"id": f"new {each}", "x": 0.3, "place": each} for each in PLACES]
    plane = PlaneHere(shell.folder)
    plane.post("/invocations", *[[row] for row in rows])
    log_of(shell, plane)
    found = check(shell, "--grace", "0s", code=1)
    assert counts(found) == {
        "level": {"mismatch": 1, "missing": 1},
        "mean": {"mismatch": 1, "missing": 1},
        "n": {"missing": 1},
    }
    worst = {each["feature"]: each["worst"] for each in found["features"]}
    # the oldest of six readings may have left the window since they were made
    assert worst.pop("n") in (5.0, 6.0)
    assert worst == {"level": pytest.approx(0.1), "mean": pytest.approx(0.1)}
    a, _, c = (each.id for each in plane.logged())
    assert found["features"][0]["examples"] == [a, c]
    assert found["differ"] == 2


def test_an_answer_that_the_version_does_not_give_is_found(shell: Shell) -> None:
    plane = PlaneHere(shell.folder)
    ask(shell, plane)
    first = plane.logged()[5]
    for segment in (shell.folder / ".nenrin" / "predictions").rglob("*.ndjson"):
        text = segment.read_text().replace(f'"values":[{first.answer}]', '"values":[0.125]')
        segment.write_text(text)
    found = check(shell, code=1)
    assert (found["differ"], found["features"]) == (1, [])
    [answers] = found["answers"]
    assert (answers["differ"], answers["examples"]) == (1, [first.id])
    assert answers["worst"] == pytest.approx(abs(float(first.answer) - 0.125))
