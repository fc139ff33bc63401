"""Personal fields: masked before anything is written, and equal values alike."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from nenrin.serving.livelog import LiveLog
from nenrin.serving.masks import SECRET, LogRules, Masks
from nenrin.serving.prediction import Prediction, masked
from nenrin.serving.router import key_text
from nenrin.serving.segments import read_predictions, worker_folder
from nenrin.training.records import Records
from tests.serving.fakes import deployment
from tests.serving.logging_here import answered, predict, ruled

RULES = LogRules(
    row={"flight_id": "hash", "origin": "drop"}, features={"domain": "hash", "far": "drop"}
)


def logged(folder: Path, rules: LogRules = RULES, worker: int = 0) -> Prediction:
    log = LiveLog(worker_folder(folder, worker))
    row = {"flight_id": "ann@example.org", "origin": "Ann", "distance": 7.0}
    seen = {"domain": "example.org", "far": True, "origin": "Ann", "rest": 1}
    request = answered(log, rows=[row], features=[seen], keys=["ann@example.org"])
    log.append(request, ruled(rules))
    log.close()
    return list(read_predictions(folder))[-1]


def test_what_is_personal_is_hashed_or_null(tmp_path: Path) -> None:
    found = logged(tmp_path)
    hashed = Masks(tmp_path).value("ann@example.org", "hash")
    assert hashed is not None
    assert hashed.startswith("hash-")
    assert found.row == {"flight_id": hashed, "origin": None, "distance": 7.0}
    assert found.key == hashed
    assert found.features["rest"] == 1
    assert found.features["far"] is found.features["origin"] is None
    assert found.features["domain"].startswith("hash-")
    assert found.masked == ("domain", "far", "flight_id", "origin")
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"example.org" not in path.read_bytes()


def test_nothing_personal_nothing_masked_and_no_secret(tmp_path: Path) -> None:
    assert logged(tmp_path, LogRules()).row["origin"] == "Ann"
    assert not (tmp_path / SECRET).exists()


def test_the_secret_is_one_for_all_workers_and_nobody_elses(tmp_path: Path) -> None:
    first, second = logged(tmp_path), logged(tmp_path, worker=1)
    assert first.key == second.key
    secret = tmp_path / SECRET
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob(f"{SECRET}*")] == [SECRET]
    assert logged(tmp_path / "other").key != first.key


def test_masking_twice_is_masking_once(tmp_path: Path) -> None:
    found = logged(tmp_path)
    assert masked(found, deployment("v1", log=RULES), Masks(tmp_path)) == found


def test_what_became_personal_later_is_masked_too(tmp_path: Path) -> None:
    fewer = LogRules(row={"origin": "drop"})
    found = logged(tmp_path, fewer)
    assert (found.key, found.masked) == ("ann@example.org", ("origin",))
    now = masked(found, deployment("v1", log=RULES), Masks(tmp_path))
    assert now == msgspec.structs.replace(logged(tmp_path), number=1, id=found.id)


def test_what_looks_like_a_hash_is_hashed(tmp_path: Path) -> None:
    hashed = Masks(tmp_path).value("ann@example.org", "hash")
    assert Masks(tmp_path).value(hashed, "hash") not in (None, hashed)


def test_of_a_key_of_parts_the_personal_are_hashed(tmp_path: Path) -> None:
    masks = Masks(tmp_path)
    hashed = masks.value("a|b", "hash")
    row = {"shop": "x|y", "mail": "a|b"}
    key = masks.key("x\\|y|a\\|b", ["shop", "mail"], row, {"mail": "hash"})
    assert key == key_text(["x|y", hashed])
    assert masks.key("", ["mail"], row, {"mail": "hash"}) == ""
    assert masks.key("a", ["mail"], row, {"shop": "hash"}) == "a"


def test_numbers_are_hashed_as_their_text(tmp_path: Path) -> None:
    masks = Masks(tmp_path)
    assert masks.value(7, "hash") == masks.value("7", "hash")
    assert masks.value(None, "hash") is None


def test_a_secret_that_cannot_be_read_lets_nothing_plain_through(tmp_path: Path) -> None:
    (tmp_path / SECRET).write_bytes(b"short")
    log = LiveLog(worker_folder(tmp_path, 0))
    log.append(answered(log), ruled(RULES))
    log.append(answered(log), ruled())
    log.close()
    assert [each.number for each in read_predictions(tmp_path)] == [2]
    assert log.counts.dropped == 1


def test_columns_are_made_rows_of(tmp_path: Path) -> None:
    log = LiveLog(tmp_path)
    columns = {"distance": [1.5, None], "flight_id": ["a", "b"]}
    predict(log, 2, rows=Records(columns, 2), features=None)
    log.close()
    rows = [{"distance": 1.5, "flight_id": "a"}, {"distance": None, "flight_id": "b"}]
    found = list(read_predictions(tmp_path))
    assert [each.row for each in found] == [each.features for each in found] == rows
    assert found[0].latency_ms == pytest.approx(1.2)
