"""Several writers beside the layout of before, as readers see them; segments that go when they are old."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from nenrin.core.errors import RequestError
from nenrin.core.instants import DAY
from nenrin.serving import exporting, livelog
from nenrin.serving.appending import newest_at
from nenrin.serving.exporting import Which, export
from nenrin.serving.livelog import LiveLog
from nenrin.serving.logged import find_prediction, first_and_newest, tally
from nenrin.serving.router import Member, Variant
from nenrin.serving.segments import (
    Counts,
    copy_log,
    read_counts,
    read_predictions,
    worker_folder,
)
from nenrin.serving.tailing import after, newest
from tests.serving.logging_here import predict

OLD_LINE = (
    b'{"number":1,"id":"prediction-old","deployment":"delay","version":"v0","variant":0,"key":"k",'
    b'"asked":1,"at":2,"answer":0.5,"row":{},"features":{}}\n'
)


@pytest.fixture(autouse=True)
def _never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livelog, "PERIOD", 60)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A log of before, and two workers that answered in turns."""
    (tmp_path / f"{0:016d}.ndjson").write_bytes(OLD_LINE)
    (tmp_path / "counters").write_bytes(b"\x02" + bytes(15) + b"\x01" + bytes(7))
    logs = [LiveLog(worker_folder(tmp_path, worker)) for worker in (0, 11)]
    for at in range(10, 16):
        predict(logs[at % 2], at=at)
    for log in logs:
        log.close()
    return tmp_path


def instants(folder: Path) -> list[int]:
    return [prediction.at for prediction in read_predictions(folder)]


def test_all_folders_are_read_in_order_of_time(root: Path) -> None:
    found = list(read_predictions(root))
    assert [each.at for each in found] == [2, *range(10, 16)]
    assert len({each.id for each in found}) == 7
    assert [each.number for each in found] == [1, 1, 1, 2, 2, 3, 3]
    assert read_counts(root) == Counts(issued=8, dropped=0, lost=1)
    assert tally(root).written == 7
    first, last = first_and_newest(root)
    assert first is not None
    assert last is not None
    assert (first.id, last.at) == ("prediction-old", 15)
    for each in found:
        assert find_prediction(root, each.id) == each


def test_a_copy_has_all_folders(root: Path, tmp_path: Path) -> None:
    to = tmp_path / "copy"
    to.mkdir()
    (root / "personal.key").write_bytes(bytes(32))
    copy_log(root, to)
    assert list(read_predictions(to)) == list(read_predictions(root))
    assert read_counts(to) == read_counts(root)
    assert not list(to.rglob("personal.key"))


def test_a_tail_goes_on_where_it_ended(root: Path) -> None:
    tail = newest(root, 3)
    assert [each.at for each in tail.predictions] == [13, 14, 15]
    assert newest(root, 0).predictions == []
    assert newest(root, 5, "other").predictions == []
    assert after(root, tail.cursor).predictions == []
    for worker in (0, 2):  # 2 is new
        log = LiveLog(worker_folder(root, worker))
        predict(log, 2, at=20 + worker)
        log.close()
    more = after(root, tail.cursor)
    assert [each.at for each in more.predictions] == [20, 20, 22, 22]
    assert after(root, more.cursor, "delay").predictions == []
    with pytest.raises(RequestError, match="is not where a look ended"):
        after(root, "nonsense")


def test_a_tail_takes_a_long_log_in_parts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nenrin.serving.tailing.LIMIT", 2)
    looks, cursor = [], ""
    while (tail := after(root, cursor)).predictions:
        looks.append([each.at for each in tail.predictions])
        cursor = tail.cursor
    assert looks == [[2, 10, 11, 12, 13], [14, 15]]


def test_a_tail_of_nothing(tmp_path: Path) -> None:
    tail = newest(tmp_path / "none", 3)
    assert tail.predictions == after(tmp_path / "none", tail.cursor).predictions == []


@pytest.mark.parametrize("form", ["parquet", "csv", "ndjson"])
def test_an_export_has_what_is_wanted(
    root: Path, tmp_path: Path, form: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "BATCH", 2)
    log = LiveLog(worker_folder(root, 0))
    members = (Member("history", "v9", 1.0),)
    mixed = Variant(version="m", members=members)
    predict(log, at=99, values=["late"], variants=(mixed,), ages=[{"sky": 3.5}])
    log.close()

    def wrote(**which: Any) -> list[dict[str, Any]]:
        to = tmp_path / f"out.{form}"
        number = export(root, to, form, Which(**which))
        rows = _rows(to)
        assert number == len(rows)
        assert sorted(path.name for path in tmp_path.glob("out*")) == [to.name]
        return rows

    assert len(wrote()) == 8
    assert len(wrote(deployment="other")) == 0
    assert [_instant(row["at"]) for row in wrote(since=11, until=14)] == [11, 12, 13]
    (only,) = wrote(version="v9")
    answers = (only["answer"],) if form == "ndjson" else (only["answer"], only["answer_text"])
    assert answers[-1] == "late"
    assert answers[0] in (None, "", "late")
    ages = only["ages"]
    assert (ages if form == "ndjson" else msgspec.json.decode(ages)) == {"sky": 3.5}


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pl.read_parquet(path).to_dicts()
    if path.suffix == ".csv":
        return list(csv.DictReader(path.read_text("utf-8").splitlines()))
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def _instant(value: Any) -> int:
    if isinstance(value, int):
        return value
    text = value if isinstance(value, str) else value.isoformat()
    return int(text.split(".")[1][:6])


def test_segments_that_are_too_old_go(tmp_path: Path) -> None:
    log = LiveLog(tmp_path, keep_days=3)
    for day in range(1, 9):
        for hour in (1, 13):
            predict(log, at=day * DAY + hour)
            log._write_waiting()
    log.close()
    kept = instants(tmp_path)
    assert kept[0] >= 4 * DAY  # three days, and up to one of the segment that is not too old yet
    assert kept[-1] == 8 * DAY + 13
    counted = tally(tmp_path)
    assert (counted.written, counted.written - counted.removed) == (16, len(kept))
    log = LiveLog(tmp_path)
    assert predict(log)[0].number == 17
    log.close()
    assert log.counts == Counts(17, 0, 0)


def test_what_a_process_left_in_another_folder_goes_too(tmp_path: Path) -> None:
    """A plane that took over writes beside the folder of the one before, which nobody opens any more."""
    before = LiveLog(worker_folder(tmp_path, 0), keep_days=3)
    predict(before, at=DAY)
    before.close()
    after = LiveLog(worker_folder(tmp_path, 1), keep_days=3)
    for day in (2, 3, 4, 5):
        predict(after, at=day * DAY)
        after._write_waiting()
    after.close()
    assert instants(tmp_path)[0] > DAY
    again = LiveLog(worker_folder(tmp_path, 0), keep_days=3)
    assert predict(again)[0].number == 2
    again.close()
    assert again.counts == Counts(2, 0, 0)


def test_the_instant_of_a_last_line_of_any_length(tmp_path: Path) -> None:
    segment = tmp_path / "0.ndjson"
    for content, at in [
        (b"", 0),
        (b'{"at":7}\n', 7),
        (b'{"at":7}\n{"at":9,"row":"' + b"x" * 2**18 + b'"}\n', 9),
        (b'{"at":8,"row":"' + b"x" * 2**18 + b'"}\n', 8),
        (b'{"at":7}\n{"at"\n', None),
    ]:
        segment.write_bytes(content)
        assert newest_at(segment) == at


def test_without_a_limit_nothing_goes(tmp_path: Path) -> None:
    log = LiveLog(tmp_path, segment_bytes=1)
    for day in range(1, 5):
        predict(log, at=day * 1000 * DAY)
        log._write_waiting()
    log.close()
    assert len(instants(tmp_path)) == 4
