"""Personal fields and the durable log through the command line: no plain value is anywhere in the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.journeys.shell import Shell, Up

IN_PROCESS = {"NENRIN_WORKERS": "0"}
PROJECT = """
import numpy as np

import nenrin as nr

customers = nr.file(
    "customers.csv", key="email", personal={"email": "hash", "name": "drop", "street": "hash"}
)


@nr.feature_view(customers)
def plain(c):
    return {"visits": c.visits, "ann": c.name == "Ann", "lives": c.street == "Elm Street"}


@nr.feature_view(customers)
def of_text(c):
    return {"domain": float(len(c.email.split("@")[1])), "more": 1.0}


@nr.model(rows=customers, label=customers.left == "yes", features=[plain, of_text])
def churn(rows):
    rows.numpy()
    return nr.predictor(
        float(rows.y.mean()),
        predict=lambda mean, seen: np.full(len(seen), mean),
        save=lambda mean: str(mean).encode(),
        load=float,
    )


service = nr.deployment(churn, log="durable")
"""

NEW = {"email": "zoe.secret@example.org", "name": "Zoe Hidden", "street": "Nowhere Lane 7"}
KNOWN = {"email": "person3@example.org", "name": "Cid", "street": "Oak Street"}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("personal")
    random = np.random.default_rng(1)
    visits = random.integers(0, 30, 600)
    frame = pl.DataFrame(
        {
            "email": [f"person{n}@example.org" for n in range(600)],
            "name": random.choice(["Ann", "Bob", "Cid"], 600).tolist(),
            "street": random.choice(["Elm Street", "Oak Street"], 600).tolist(),
            "visits": visits,
            "left": np.where(random.random(600) < 1 / (1 + visits / 5), "yes", "no").tolist(),
        }
    )
    frame.write_csv(folder / "customers.csv")
    (folder / "project.py").write_text(PROJECT)
    shell = Shell(folder, IN_PROCESS)
    shell("run")
    return shell


@pytest.fixture(scope="module")
def answered(shell: Shell) -> list[str]:
    """The ids of three rows: two of a stranger, one of a customer; all processes have ended."""
    with shell.up() as up:
        stranger = {**NEW, "visits": 3}
        ids = _ids(up, [stranger, stranger]) + _ids(up, [{**KNOWN, "visits": 9}])
        assert up.post("/invocations", [{**NEW, "visits": "many"}]).status_code == 400
        example = up.get("/api/deployments/churn/example").json()["records"][0]
        up.kill()
    assert not {"email", "name", "street"} & {name for name in example if example[name]}
    return ids


@pytest.fixture
def logged(answered: list[str], shell: Shell) -> list[dict[str, Any]]:
    files = sorted((shell.folder / ".nenrin" / "predictions").rglob("*.ndjson"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def _ids(up: Up, rows: list[dict[str, Any]]) -> list[str]:
    answer = up.post("/invocations", rows)
    assert answer.status_code == 200, answer.text
    found: list[str] = answer.json()["ids"]
    return found


def test_no_plain_value_is_anywhere(answered: list[str], shell: Shell) -> None:
    shell("why", answered[0])
    looked = 0
    for path in (shell.folder / ".nenrin").rglob("*"):
        if path.is_file():
            looked += 1
            content = path.read_bytes()
            assert not [value for value in NEW.values() if value.encode() in content], path
    assert looked > 20


def test_the_log_has_hashes_and_nothing(logged: list[dict[str, Any]], answered: list[str]) -> None:
    assert [each["id"] for each in logged] == answered
    first, second, third = logged
    assert first["key"] == second["key"] == first["row"]["email"] != third["key"]
    assert first["row"]["street"].startswith("hash-")
    assert first["row"] | {"email": "", "street": ""} == {
        "email": "",
        "name": None,
        "street": "",
        "visits": 3,
    }
    features = first["features"]
    assert features["visits"] == 3
    assert features["ann"] is None
    assert {name for name, value in features.items() if str(value).startswith("hash-")} == {
        "lives",
        "domain",
        "more",
    }
    assert first["latency_ms"] > 0


def test_why_joins_the_label_by_the_hash_and_tells_nothing_personal(
    shell: Shell, answered: list[str]
) -> None:
    told = shell.here("why", answered[2], "--json")
    found = told.json
    assert found["label"]["state"] == "known"
    assert found["label"]["label"] in (0.0, 1.0)
    assert "personal=" in found["moved by"]["says"]
    assert KNOWN["email"] not in told.out
    assert shell.here("why", answered[0], "--json").json["label"]["state"] == "row not loaded"
    assert "personal=" in shell.here("why", answered[0]).out


def test_what_is_not_masked_is_checked(shell: Shell, answered: list[str]) -> None:
    found = shell.here("predictions", "check", "--json").json
    assert (found["logged"], found["checked"], found["differ"]) == (3, 3, 0)
    [left] = found["not checked"]
    assert (left["count"], "the answer alone" in left["why"]) == (3, True)
    log = [*(shell.folder / ".nenrin" / "predictions").rglob("*.ndjson")]
    kept = {path: path.read_text() for path in log}
    for path, text in kept.items():
        path.write_text(text.replace('"features":{"visits":9', '"features":{"visits":8'))
    [visits] = shell.here("predictions", "check", "--json", code=1).json["features"]
    assert (visits["feature"], visits["examples"]) == ("visits", [answered[2]])
    for path, text in kept.items():
        path.write_text(text)


def test_the_commands(shell: Shell, answered: list[str], tmp_path: Path) -> None:
    tail = shell.here("predictions", "tail", "-n", "2", "--json").json
    assert [each["id"] for each in tail] == answered[1:]
    assert answered[2] in shell.here("predictions", "tail").out
    assert shell.here("predictions", "show", answered[0], "--json").json["id"] == answered[0]
    assert "churn" in shell.here("predictions", "show", answered[0]).out
    missing = shell.here("predictions", "show", "prediction-none", code=4)
    assert "it holds 3 of 3 predictions, and lacks none" in missing.err
    for form in ("parquet", "csv", "ndjson"):
        to = tmp_path / f"all.{form}"
        said = shell.here(
            "predictions", "export", "--to", str(to), "--deployment", "churn", "--json"
        )
        assert said.json == {"rows": 3, "path": str(to)}
        assert to.stat().st_size
    assert pl.read_parquet(tmp_path / "all.parquet")["id"].to_list() == answered
    late = shell.here("predictions", "export", "--to", str(to), "--from", "2100-01-01", "--json")
    assert late.json["rows"] == 0
    wrong = shell.here("predictions", "export", "--to", str(to), "--until", "soon", code=2)
    assert "neither a date nor an instant" in wrong.err
    assert "ending in .parquet" in shell.here("predictions", "export", "--to", "x.xml", code=2).err


def test_whole_files_are_answered_beside_the_log(
    shell: Shell, answered: list[str], tmp_path: Path
) -> None:
    to = tmp_path / "answers.parquet"
    words = ("predict", "churn", "--input", "customers.csv", "--output", str(to))
    told = shell.here(*words, "--json").json
    assert (told["rows"], told["bad"], told["resumed"]) == (600, 0, 0)
    found = pl.read_parquet(to)
    assert found["email"].to_list() == [f"person{n}@example.org" for n in range(600)]
    assert found["probability"].n_unique() == 1
    assert shell.here("predictions", "tail", "--json").json[-1]["id"] == answered[-1]
    assert f"{to} is there" in shell.here(*words, code=5).err
    version = found["version"][0]
    by_version = ("predict", version, "--input", "customers.csv", "--output")
    shown = shell.here(*by_version, str(tmp_path / "answers.csv"))
    assert "600" in shown.out
    broken = tmp_path / "broken.ndjson"
    line = json.dumps({**KNOWN, "visits": 3})
    broken.write_text(f"{line}\n{json.dumps({**KNOWN, 'visits': 'many'})}\n")
    refused = ("predict", "churn", "--input", str(broken), "--output", str(tmp_path / "some.csv"))
    said = shell.here(*refused, code=2).err
    assert "row 2" in said
    assert "--bad skip" in said
    assert shell.here(*refused, "--bad", "skip", "--json").json["bad"] == 1
    assert (tmp_path / "some.csv.bad.ndjson").read_text().count("many") == 2


def test_a_column_that_is_not_there_is_refused(shell: Shell) -> None:
    text = shell.project.read_text()
    shell.project.write_text(text.replace('"street": "hash"}', '"streat": "hash"}'))
    refused = shell.here("run", code=2)
    assert "personal= names 'streat', which customers does not have" in refused.err
    shell.project.write_text(text)


def test_other_rules_hold_from_the_next_run(shell: Shell) -> None:
    text = shell.project.read_text()
    shell.project.write_text(text.replace(', log="durable"', ""))
    shell.here("run")
    events = shell.here("predictions", "tail", "-n", "0", "--json")
    assert events.json == []
    shown = shell.here("deployments", "show", "churn", "--json").json
    assert shown["log"]["row"] == {"email": "hash", "name": "drop", "street": "hash"}
    assert not shown["log"].get("durable")
